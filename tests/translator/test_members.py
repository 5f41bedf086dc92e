import json
from enum import StrEnum
from typing import Any

import pytest

from translator.errors import Problem
from translator.members import array, is_blank, members, word
from translator.report import Report
from translator.source import read
from translator.tree import Node


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def _node(value: Any, report: Report) -> Node:
    node = read(json.dumps(value), report)
    assert node is not None
    return node


def _told(report: Report) -> list[tuple[str, str]]:
    problems: tuple[Problem, ...] = report.problems("", "")
    return [(each.pointer, each.message) for each in problems]


@pytest.mark.parametrize(
    "text", ["", " ", "\t\n\v\f\r", "\x85\xa0\u1680", "\u2000\u200a\u2028\u2029\u202f\u205f\u3000"]
)
def test_is_blank_of_white_space_holds(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", " a ", "\x1c", "\x1d\x1e\x1f", "\u200b", "\ufeff", "\u180e", "\u2060", "\x00"])
def test_is_blank_of_anything_else_does_not_hold(text: str) -> None:
    assert not is_blank(text)


def test_members_of_an_object_are_found_by_name() -> None:
    report = Report()
    found = members(_node({"a": "x", "b": ["y"]}, report), ("a", "b", "c"), report)
    assert found is not None
    assert ("a" in found, "c" in found) == (True, False)
    assert (found.text("a"), found.text("c")) == ("x", "")
    assert [each.value for each in found.array("b")] == ["y"]
    assert found.array("c") == []
    assert (found.find("c"), found.need("a")) == (None, found.find("a"))
    assert not report


def test_members_with_unknown_names_are_reported_with_their_hints() -> None:
    report = Report()
    members(_node({"x": 1, "y": 2}, report), ("a",), report, {"y": "why"})
    told = report.problems("", "")
    assert [(each.pointer, each.hint) for each in told] == [("/x", 'expected one of "a"'), ("/y", "why")]


def test_members_of_another_type_are_none_and_a_fault() -> None:
    report = Report()
    assert members(_node([], report), (), report) is None
    assert _told(report) == [("", "must be an object, not an array")]


def test_members_of_wrong_types_are_reported_where_they_stand() -> None:
    report = Report()
    found = members(_node({"a": None, "b": "x"}, report), ("a", "b"), report)
    assert found is not None
    assert (found.text("a"), found.array("b"), found.need("c")) == ("", [], None)
    assert _told(report) == [
        ("", 'lacks the member "c"'),
        ("/a", "must be a string, not null"),
        ("/b", "must be an array, not a string"),
    ]


def test_array_of_elements_gives_them_in_order() -> None:
    report = Report()
    assert [each.value for each in array(_node([True, None], report), report)] == [True, None]


def test_word_of_an_enumeration_is_its_member() -> None:
    report = Report()
    assert word(_node("red", report), Colour, report) is Colour.RED
    assert not report


@pytest.mark.parametrize("value", ["Red", 1, None, ["red"], {}])
def test_word_outside_its_enumeration_is_none_and_a_fault(value: Any) -> None:
    report = Report()
    assert word(_node(value, report), Colour, report) is None
    assert len(_told(report)) == 1
