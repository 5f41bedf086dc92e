import pytest

from translator.arguments import clash, holding, together
from translator.boundary import ABSENT, Value
from translator.program import Json


def at(text: str) -> tuple[str, ...]:
    return tuple(text.split("."))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, {}),
        ({"a": "x", "b": ABSENT}, {"a": "x"}),
        ({"a.b": "x", "a.c.d": True}, {"a": {"b": "x", "c": {"d": True}}}),
        ({"a.*.b": "x", "a.*.c": "y"}, {"a": [{"b": "x", "c": "y"}]}),
        ({"a.*": ABSENT}, {"a": [None]}),
        ({"a.0": "x", "a.2": "y"}, {"a": ["x", "other", "y"]}),
        ({"a.1.*": "x"}, {"a": ["other", ["x"]]}),
        ({"*.b": "x", "0": "y"}, {"*": {"b": "x"}, "0": "y"}),
        ({"a.01": "x"}, {"a": {"01": "x"}}),
        ({"a.65": "x"}, None),
    ],
)
def test_values_stand_at_their_paths(values: dict[str, Value], wanted: dict[str, Json] | None) -> None:
    assert together({at(path): value for path, value in values.items()}) == wanted


@pytest.mark.parametrize(
    ("path", "several", "wanted"),
    [
        ("a", ["x"], {"a": "x", "k": True}),
        ("a.*", ["x", "y"], {"a": ["x", "y"], "k": True}),
        ("a.*.b.*.c", ["x", ABSENT], {"a": [{"b": [{"c": "x"}]}, {"b": [{}]}], "k": True}),
        ("a.1.*", ["x", "y"], {"a": ["other", ["x", "y"]], "k": True}),
        ("k.*", [], {"k": []}),
        ("a.65.*", ["x", "y"], None),
    ],
)
def test_several_elements_stand_under_the_first_star(path: str, several: list[Value], wanted: Json) -> None:
    assert holding({at("k") if path[0] == "a" else at(path): True}, at(path), several) == wanted


def test_neighbours_of_an_element_are_repeated_beside_each() -> None:
    values: dict[tuple[str, ...], Value] = {at("a.*.q"): True, at("a.*.p"): "old"}
    assert holding(values, at("a.*.p"), ["x", "y"]) == {"a": [{"p": "x", "q": True}, {"p": "y", "q": True}]}


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("a", "b", False),
        ("0", "*", False),
        ("a.b", "a.c", False),
        ("a.0", "a.1", False),
        ("a.*.b", "a.*.c", False),
        ("a", "a.b", True),
        ("a.b", "a", True),
        ("a.*", "a.0", True),
        ("a.b", "a.0", True),
        ("a.*.b", "a.*.b.c", True),
    ],
)
def test_paths_that_meet_clash(one: str, other: str, wanted: bool) -> None:
    assert clash(at(one), at(other)) is wanted
