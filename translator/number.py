"""JSON number text → exact value. No binary floating point, and no positions."""

import re
from decimal import Decimal

from translator.program import Number

MAX_DIGITS = 100
MAX_EXPONENT = 1000
OUT_OF_RANGE = (
    "number out of range",
    f"at most {MAX_DIGITS} digits and exponents from -{MAX_EXPONENT} to {MAX_EXPONENT}",
)
"""What to tell of a number beyond them, and the hint."""
_PARTS = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?)([0-9]+))?")
_ZERO = Decimal(0)
_MAX_EXPONENT_TEXT = 18


def number(text: str) -> Number | None:
    """The number that a JSON number literal writes, or None when it is out of range.

    A whole value has the decimal exponent 0, any other a negative one.
    Source: policy-semantics, sections 4 and 15.7.
    """
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise ValueError("not a JSON number literal")
    sign, whole, fraction, exponent_sign, exponent_text = parts.groups(default="")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return Number(text, _ZERO)
    exponent_text = exponent_text.lstrip("0")
    if len(exponent_text) > _MAX_EXPONENT_TEXT:
        return None
    shift = int(exponent_sign + (exponent_text or "0")) - len(fraction)
    significant = digits.rstrip("0")
    shift += len(digits) - len(significant)
    if len(significant) > MAX_DIGITS or abs(shift + len(significant) - 1) > MAX_EXPONENT:
        return None
    if shift >= 0:
        return Number(text, Decimal(sign + significant + "0" * shift))
    return Number(text, Decimal(f"{sign}{significant}E{shift}"))


def is_whole(value: Number) -> bool:
    """Is it an integer by value (`60.0` is)?"""
    return value.value.as_tuple().exponent == 0
