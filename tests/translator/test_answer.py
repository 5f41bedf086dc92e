"""Source: policy-semantics, section 5. That the Rego agrees is tested in test_generated."""

from decimal import Decimal

import pytest

from translator.answer import answer, as_number, countable
from translator.boundary import ABSENT, Value
from translator.program import Condition, Json, Number, Op


def num(text: str) -> Number:
    return Number(text, Decimal(text))


FIVE = num("5")
ALSO_FIVE = num("5.0")


@pytest.mark.parametrize(
    ("op", "operand", "value", "wanted"),
    [
        (Op.EQ, FIVE, ALSO_FIVE, True),
        (Op.EQ, FIVE, "5", None),
        (Op.EQ, FIVE, True, None),
        (Op.EQ, [FIVE, {"a": None}], [ALSO_FIVE, {"a": None}], True),
        (Op.EQ, [True], [num("1")], False),
        (Op.NEQ, "a", "b", True),
        (Op.NEQ, "a", "a", False),
        (Op.NEQ, "a", ABSENT, False),
        (Op.NEQ, "a", None, False),
        (Op.IN, ["a", FIVE], ALSO_FIVE, True),
        (Op.IN, ["a", FIVE], "b", False),
        (Op.IN, ["a"], True, None),
        (Op.IN, [], True, False),
        (Op.NOT_IN, [], True, True),
        (Op.NOT_IN, ["a"], "a", False),
        (Op.LT, FIVE, num("4.9"), True),
        (Op.LT, FIVE, ALSO_FIVE, False),
        (Op.LTE, FIVE, ALSO_FIVE, True),
        (Op.GT, FIVE, ALSO_FIVE, False),
        (Op.GT, FIVE, num("5.1"), True),
        (Op.GTE, FIVE, num("4"), False),
        (Op.GTE, FIVE, "6", None),
        (Op.REGEX, "^a$", "a", True),
        (Op.REGEX, "^a$", "a\n", False),
        (Op.REGEX, "^a$", FIVE, None),
        (Op.CONTAINS, "b", "abc", True),
        (Op.CONTAINS, FIVE, "5", None),
        (Op.CONTAINS, FIVE, [ALSO_FIVE], True),
        (Op.CONTAINS, FIVE, {"5": True}, None),
        (Op.EXISTS, True, "", True),
        (Op.EXISTS, True, None, False),
        (Op.EXISTS, False, ABSENT, True),
    ],
)
def test_answer_of_each_operator(op: Op, operand: Json, value: Value, wanted: bool | None) -> None:
    assert answer(Condition(("a",), op, operand), value) is wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("6", True), ("0.5e1", False), ("05", None), (" 6", None), (num("6"), True), (True, None), (None, False)],
)
def test_answer_on_numbers_in_strings(value: Json, wanted: bool | None) -> None:
    assert answer(Condition(("a",), Op.GT, FIVE, True), value) is wanted


@pytest.mark.parametrize(
    ("value", "text", "wanted"),
    [
        (num("0"), False, "0"),
        (num("-1"), False, None),
        ("5", False, None),
        ("5", True, "5"),
        ("-5", True, None),
        (ABSENT, True, None),
        (None, True, None),
        (True, True, None),
    ],
)
def test_countable_amounts(value: Value, text: bool, wanted: str | None) -> None:
    found = countable(value, text)
    assert (found and found.text) == wanted


def test_number_out_of_range_is_no_number() -> None:
    assert as_number("1e1001") is None
