from collections.abc import Callable, Hashable
from decimal import Decimal

from translator.boundary import Around, Value, text
from translator.program import Condition, Json, Number, Op
from translator.space import MAX_VALUES, Place, space


def num(written: str) -> Number:
    return Number(written, Decimal(written))


def driven(place: Place, mark: Callable[[Value], Hashable] = text) -> Around:
    """The space, told apart by `mark`."""
    talk = space(place)
    asked = next(talk)
    try:
        while True:
            asked = talk.send([mark(value) for value in asked])
    except StopIteration as end:
        found: Around = end.value
        return found


def place(*asked: tuple[str, Op, Json]) -> Place:
    root = Place()
    for path, op, value in asked:
        root.add(Condition(tuple(path.split(".")) if path else (), op, value))
    return root


def texts(found: Around) -> set[str]:
    return {text(value) for value in found.values}


def test_values_of_a_plain_argument_are_told_apart() -> None:
    root = place(("", Op.GT, num("10")))
    assert {"9", "10", "11", "absent", '"other"'} <= texts(driven(root))
    assert driven(root, lambda value: text(value) == "11").values == (root_absent := driven(root).values[0], num("11"))
    assert text(root_absent) == "absent"


def test_members_are_combined_and_the_object_is_nothing_more() -> None:
    found = texts(driven(place(("a", Op.EQ, "x"), ("b", Op.EQ, True))))
    assert {"absent", "{}", '{"a": "x"}', '{"b": true}', '{"a": "x", "b": true}'} <= found
    assert '"other"' not in found


def test_an_object_that_is_compared_is_met_with_one_member_more() -> None:
    found = texts(driven(place(("", Op.EQ, {"a": num("1")}), ("a", Op.EQ, num("1")))))
    assert {'{"a": 1}', '{"a": 1, "other": true}', "[]"} <= found


def test_elements_are_combined_without_their_order() -> None:
    root = place(("*", Op.EQ, "x"))
    kinds = driven(root, lambda value: text(value) if text(value) in ('["x"]', "[true]") else "")
    assert {"absent", "[]", "[null]", '["x"]', "[true]", '["x", true]'} >= texts(kinds)
    assert {"[]", '["x"]'} <= texts(driven(root))


def test_elements_that_the_array_is_asked_for_are_among_them() -> None:
    root = place(("", Op.CONTAINS, "a"), ("", Op.EQ, ["a"]), ("*", Op.EQ, num("1")))
    found = texts(driven(root, lambda value: text(value) if '"a"' in text(value) else "rest"))
    assert {'["a"]', '["a", "a"]', '["a", "other"]'} <= found


def test_positions_are_filled_and_the_rest_is_something_else() -> None:
    found = texts(driven(place(("1", Op.EQ, "x"))))
    assert {'["other", "x"]', '["other", null]'} <= found
    assert not any(each.startswith("{") and "1" in each.partition(":")[0] for each in found)


def test_positions_are_followed_by_what_the_array_is_asked_for() -> None:
    found = texts(driven(place(("0", Op.EQ, "y"), ("", Op.CONTAINS, "x"), ("", Op.CONTAINS, num("1")))))
    assert {'["y"]', '["y", "x"]', '["y", 1]', '["y", "x", 1]'} <= found


def test_an_index_beside_a_star_makes_arrays_of_every_length() -> None:
    found = driven(place(("0", Op.EXISTS, True), ("*", Op.EXISTS, False)))
    assert {"[]", "[null]", "[null, null, null]", '{"0": true, "*": true}'} <= texts(found)


def test_an_index_beside_a_star_deep_inside_is_not_told_apart_by_element() -> None:
    root = place(
        ("k.0.n", Op.EQ, num("1")), ("k.*.m", Op.EQ, num("2")), ("k.*.n", Op.EXISTS, True), ("k.name", Op.EQ, "x")
    )
    root.at(("k", "*", "m")).amounts.append(Decimal(0))
    found = driven(root, lambda value: "")
    assert len(found.values) == 1
    assert "combinations" in found.gap


def test_an_index_far_away_is_a_gap() -> None:
    assert "index" in driven(place(("1000000", Op.EQ, "x"))).gap


def test_too_many_combinations_are_cut_and_said() -> None:
    root = place(*((f"m{n}", Op.GT, num("1")) for n in range(5)))
    found = driven(root)
    assert len(found.values) == MAX_VALUES
    assert found.gap == "too many combinations of values"


def test_gaps_of_what_is_inside_are_told() -> None:
    assert "Greek" in driven(place(("a.*.b", Op.REGEX, r"\p{Greek}"))).gap


def test_size_counts_every_question() -> None:
    root = place(("a", Op.EQ, "x"), ("a", Op.EQ, "x"), ("a.*", Op.EXISTS, True))
    root.at(("b",)).amounts.append(Decimal(0))
    assert root.size() == 3
