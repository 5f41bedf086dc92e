"""Source: policy-semantics, section 5."""

import json
from typing import Any

import pytest

from translator.lint.values import ALL, ANYTHING, NONE, Some, Values, open_of, true_of
from translator.program import Condition, Json, Op
from translator.report import Report
from translator.source import read
from translator.tree import plain


def _json(value: Any) -> Json:
    node = read(json.dumps({"v": value}), Report())
    assert node is not None
    made = plain(node)
    assert isinstance(made, dict)
    return made["v"]


def _is(op: str, value: Any, *, as_number: bool = False) -> Condition:
    return Condition(("a",), Op(op), _json(value), as_number)


def _contradict(one: Condition, other: Condition) -> bool:
    return true_of(one).meet(true_of(other)).is_empty


def _implies(one: Condition, other: Condition) -> bool:
    """Does `other` fire on whatever `one` fires?"""
    return open_of(one).meet(open_of(other).complement()).is_empty


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (_is("gt", 5), _is("lt", 5), True),
        (_is("gte", 5), _is("lte", 5), False),
        (_is("eq", "a"), _is("eq", "b"), True),
        (_is("eq", "a"), _is("eq", 1), True),
        (_is("eq", 1), _is("eq", 1.0), False),
        (_is("eq", True), _is("neq", True), True),
        (_is("neq", True), _is("neq", False), True),
        (_is("eq", 1), _is("eq", True), True),
        (_is("in", ["a", "b"]), _is("not_in", ["a", "b"]), True),
        (_is("in", ["a", "b"]), _is("neq", "a"), False),
        (_is("in", []), _is("exists", True), True),
        (_is("not_in", []), _is("eq", "a"), False),
        (_is("exists", True), _is("exists", False), True),
        (_is("regex", "^a"), _is("eq", "b"), False),
        (_is("regex", "^a"), _is("gt", 1), True),
        (_is("contains", "a"), _is("eq", {"b": 1}), True),
        (_is("contains", 1), _is("eq", "1"), True),
        (_is("contains", "a"), _is("eq", ["a"]), False),
        (_is("eq", [1, {"a": None}]), _is("eq", [1.0, {"a": None}]), False),
        (_is("eq", [1]), _is("eq", [True]), True),
        (_is("gt", 5, as_number=True), _is("eq", "x"), False),
        (_is("gt", 5, as_number=True), _is("lt", 5, as_number=True), True),
        (_is("gt", 5, as_number=True), _is("lt", 5), True),
        (_is("in", [1, 2], as_number=True), _is("not_in", [2, 1], as_number=True), True),
    ],
)
def test_conditions_contradict_only_if_no_value_makes_both_true(
    one: Condition, other: Condition, expected: bool
) -> None:
    assert _contradict(one, other) == expected
    assert _contradict(other, one) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (_is("gt", 100), _is("gt", 50), True),
        (_is("gt", 50), _is("gt", 100), False),
        (_is("eq", 7), _is("gt", 5), True),
        (_is("eq", "x"), _is("gt", 5), False),
        (_is("regex", "^a"), _is("regex", "^a"), True),
        (_is("regex", "^a"), _is("regex", "^a."), False),
        (_is("gt", 5), _is("exists", True), True),
        (_is("exists", True), _is("gt", 5), False),
        (_is("gt", 7, as_number=True), _is("gt", 5, as_number=True), True),
        (_is("gt", 7), _is("gt", 5, as_number=True), False),
        (_is("eq", "a"), _is("in", ["a", "b"]), True),
        (_is("eq", "a"), _is("not_in", ["b"]), True),
        (_is("in", []), _is("eq", 1), True),
        (_is("eq", 1), _is("in", []), False),
    ],
)
def test_condition_implies_another_that_fires_on_all_it_fires_on(
    one: Condition, other: Condition, expected: bool
) -> None:
    assert _implies(one, other) == expected


@pytest.mark.parametrize(
    "condition",
    [
        _is("eq", "a"),
        _is("neq", False),
        _is("in", [1, "a", True]),
        _is("not_in", []),
        _is("lt", 5),
        _is("gte", 5, as_number=True),
        _is("regex", "a"),
        _is("contains", 1),
        _is("exists", False),
    ],
    ids=lambda condition: condition.op,
)
def test_complement_leaves_nothing_in_common_and_turns_back(condition: Condition) -> None:
    for values in (true_of(condition), open_of(condition)):
        assert values.meet(values.complement()).is_empty
        again = values.complement().complement()
        assert values.meet(again.complement()).is_empty
        assert again.meet(values.complement()).is_empty


def test_anything_is_not_empty_and_meets_as_the_other() -> None:
    values = true_of(_is("in", ["a", 1]))
    assert not ANYTHING.is_empty
    assert ANYTHING.meet(values).meet(values.complement()).is_empty
    assert Values(False, dict.fromkeys(ANYTHING.kinds, NONE)).is_empty
    assert ALL.complement() == NONE
    assert NONE.complement() == ALL


def test_listed_values_meet_listed_values() -> None:
    one = Some(frozenset("ab"), but=False)
    assert one.meet(Some(frozenset("bc"), but=False)) == Some(frozenset("b"), but=False)
    assert Some(frozenset("ab")).meet(one).is_empty
