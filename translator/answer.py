"""What a condition answers on one value, read off the table of operators in plain Python, for tests that are generated.

It shares nothing with the Rego that judges calls: that the two agree is what such a test shows. Decides no call.
Source: policy-semantics, section 5.
"""

import re
from typing import TypeAlias

from translator.boundary import Absent, Value
from translator.kinds import key
from translator.number import number
from translator.program import Condition, Json, Number, Op
from translator.specimen import matcher

Answer: TypeAlias = bool | None
"""None is undetermined."""

_NUMERIC_TEXT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def answer(condition: Condition, value: Value) -> Answer:
    """The condition's answer on the value that its path found."""
    op, operand = condition.op, condition.value
    absent = isinstance(value, Absent) or value is None
    if op is Op.EXISTS:
        return absent is not operand
    if isinstance(value, Absent) or value is None:
        return False
    if condition.as_number:
        read = as_number(value)
        if read is None:
            return None
        value = read
    if op in (Op.LT, Op.LTE, Op.GT, Op.GTE):
        return _ordered(op, value, operand)
    if op is Op.REGEX:
        return matcher(str(operand))(value) if isinstance(value, str) else None
    if op is Op.CONTAINS:
        return _contains(value, operand)
    return _equality(op, value, operand)


def as_number(value: Json) -> Number | None:
    """The number that a value is or writes; None for any other text or type."""
    if isinstance(value, str):
        return number(value) if _NUMERIC_TEXT.fullmatch(value) else None
    return value if isinstance(value, Number) else None


def countable(value: Value, numeric_text: bool) -> Number | None:
    """The amount that a limit counts of the value; None when it cannot. Source: policy-semantics, section 7."""
    if isinstance(value, Absent):
        return None
    found = as_number(value) if numeric_text or not isinstance(value, str) else None
    return found if found is not None and found.value >= 0 else None


def _ordered(op: Op, value: Json, bound: Json) -> Answer:
    if not isinstance(value, Number) or not isinstance(bound, Number):
        return None
    if value.value == bound.value:
        return op in (Op.LTE, Op.GTE)
    return (value.value < bound.value) is (op in (Op.LT, Op.LTE))


def _contains(value: Json, part: Json) -> Answer:
    if isinstance(value, list):
        return any(key(element) == key(part) for element in value)
    return part in value if isinstance(value, str) and isinstance(part, str) else None


def _equality(op: Op, value: Json, operand: Json) -> Answer:
    elements = operand if op in (Op.IN, Op.NOT_IN) and isinstance(operand, list) else [operand]
    if elements and not any(type(value) is type(element) for element in elements):
        return None
    found = any(key(value) == key(element) for element in elements)
    return found is (op in (Op.EQ, Op.IN))
