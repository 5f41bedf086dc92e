from decimal import Decimal

import pytest

from translator.boundary import ABSENT, around, neighbours, text
from translator.literal import number
from translator.program import Condition, Json, Number, Op


def num(written: str) -> Number:
    return Number(written, Decimal(written))


def texts(*conditions: Condition, numeric_text: bool = False) -> list[str]:
    return [text(value) for value in around(conditions, numeric_text=numeric_text).values]


def when(op: Op, value: Json, as_number: bool = False) -> Condition:
    return Condition(("a",), op, value, as_number)


@pytest.mark.parametrize(
    ("bounds", "wanted"),
    [
        (["50000"], ["49999", "50000", "50001"]),
        (["0"], ["-1", "0", "1"]),
        (["-2.5"], ["-2.6", "-2.5", "-2.4"]),
        (["0.30"], ["0.29", "0.3", "0.31"]),
        (["1", "2"], ["0", "1", "1.5", "2", "3"]),
        (["1", "3"], ["0", "1", "2", "3", "4"]),
        (["1", "1.1"], ["0", "1", "1.05", "1.1", "1.2"]),
        (["9007199254740993"], ["9007199254740992", "9007199254740993", "9007199254740994"]),
        (["1e400"], ["9.9999999999999999e399", "1e400", "1.00000000000000001e400"]),
        (["1e-1000"], ["0", "1e-1000", "2e-1000"]),
        ([], []),
    ],
)
def test_neighbours_of_numbers(bounds: list[str], wanted: list[str]) -> None:
    found = [number(each.value) for each in neighbours(map(Decimal, bounds))]
    assert [Decimal(each) for each in found] == [Decimal(each) for each in wanted]


def test_neighbours_stay_within_what_arguments_may_hold() -> None:
    assert [len(number(each.value)) < 110 for each in neighbours([Decimal("9" * 100), Decimal("1e1000")])] == [True] * 5


def test_a_number_is_met_beside_every_other_type_null_and_absence() -> None:
    found = texts(when(Op.GT, num("10")))
    assert found[:4] == ["absent", "9", "10", "11"]
    assert {'"other"', '""', "true", "false", "[]", "null", '{"other": true}'} <= set(found)


def test_every_number_of_a_list_counts() -> None:
    assert {"0", "1", "2", "4", "5", "6", '"x"', '"x "', '"X"'} <= set(texts(when(Op.IN, [num("1"), num("5"), "x"])))


def test_numbers_in_strings_are_spelt_twice() -> None:
    found = texts(when(Op.GT, num("1.5"), True))
    assert {'"1.5"', '"1.5e0"', "1.5", '"other"'} <= set(found)
    assert '"7"' in texts(when(Op.EXISTS, True), numeric_text=True)
    assert '"1e400"' in texts(when(Op.EQ, num("1e400"), True))


def test_amounts_count_like_bounds() -> None:
    assert [text(each) for each in around((), [Decimal(0), Decimal(5)]).values][:6] == [
        "absent",
        "-1",
        "0",
        "1",
        "4",
        "5",
    ]


def test_contained_texts_and_elements_come_in_every_set() -> None:
    found = texts(when(Op.CONTAINS, "prod"), when(Op.CONTAINS, "eu"), when(Op.CONTAINS, num("1")))
    assert {'" prod "', '" eu "', '" prod eu "', '"other"'} <= set(found)
    assert {"[]", '["other"]', '["other", "prod", "eu"]', '["other", "prod", "eu", 1]', '["other", 1]'} <= set(found)


def test_separator_and_other_text_are_in_no_part() -> None:
    found = around([when(Op.CONTAINS, part) for part in ("a b", "other", "o")] + [when(Op.EQ, "p")])
    free = {each for each in found.values if isinstance(each, str)}
    assert any("o" not in each and each not in ("", "p") for each in free)
    assert "|a b|o|" in free
    odd = [when(Op.CONTAINS, each) for each in " |~_/"]
    assert any(isinstance(each, str) and all(part in each for part in " |~_/") for each in around(odd).values)
    assert around([when(Op.CONTAINS, " |~_/:;,.")]).gap == ""


def test_literals_of_arrays_and_objects_have_their_neighbours() -> None:
    found = texts(when(Op.EQ, [num("1")]), when(Op.NEQ, {"k": None}))
    assert {"[1]", '[1, "other"]', '{"k": null}', '{"other": true}'} <= set(found)


def test_no_gap_where_every_set_of_answers_was_met() -> None:
    assert around([when(Op.REGEX, "^[a-z]+$")]).gap == ""
    assert around([when(Op.REGEX, "x"), when(Op.EQ, "x")]).gap == ""
    assert around([when(Op.CONTAINS, "prod"), when(Op.CONTAINS, "pro")]).gap == ""


def test_gap_tells_a_pattern_that_could_not_be_tried() -> None:
    assert around([when(Op.REGEX, r"^\p{Greek}$")]).gap == r'regex "^\\p{Greek}$": not every text could be tried'
    assert "regex" in around([when(Op.REGEX, "^a+$"), when(Op.REGEX, "^b+$")]).gap


def test_gap_tells_too_many_parts_and_texts_read_in_two_ways() -> None:
    assert "to contain" in around([when(Op.CONTAINS, f"p{n}") for n in range(6)]).gap
    assert "as a number and as a text" in around([when(Op.CONTAINS, "5"), when(Op.GT, num("1"), True)]).gap


def test_nothing_asked_still_has_one_value_of_each_type() -> None:
    assert around(()).values[0] is ABSENT
    assert len(around(()).values) == 10
