"""Source: policy-semantics, sections 4 and 15.7."""

from decimal import Decimal

import pytest

from translator.number import is_whole, number


@pytest.mark.parametrize(
    ("text", "value", "whole"),
    [
        ("0", "0", True),
        ("-0", "0", True),
        ("-0.0e7", "0", True),
        ("0e99999999999999999999999", "0", True),
        ("60", "60", True),
        ("60.0", "60", True),
        ("6e1", "60", True),
        ("600E-1", "60", True),
        ("0.5", "0.5", False),
        ("-12.340", "-12.34", False),
        ("1e+3", "1000", True),
        ("1e-3", "0.001", False),
        ("9007199254740993", "9007199254740993", True),
        ("1e1000", "1" + "0" * 1000, True),
        ("-1e-1000", "-1e-1000", False),
        ("1e01000", "1e1000", True),
        ("0." + "0" * 1000 + "1e1001", "1", True),
        ("1" + "0" * 1000, "1e1000", True),
        ("0" * 0 + "1." + "0" * 500, "1", True),
        ("9" * 100, "9" * 100, True),
        ("0." + "9" * 100, "0." + "9" * 100, False),
    ],
)
def test_number_in_range_keeps_text_and_exact_value(text: str, value: str, whole: bool) -> None:
    made = number(text)
    assert made is not None
    assert made.text == text
    assert made.value == Decimal(value)
    assert is_whole(made) is whole


@pytest.mark.parametrize(
    "text",
    [
        "1e1001",
        "10e1000",
        "0.1e-1000",
        "1e-1001",
        "1e999999999",
        "1e-" + "9" * 100_000,
        "1" * 101,
        "1" + "0" * 99 + "1",
        "9" * 100_000,
        "0." + "1" * 101,
    ],
)
def test_number_out_of_range_is_none(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize("text", ["", "x", "1.", ".5", "1e", "١"])
def test_number_of_other_text_is_a_mistake_of_the_caller(text: str) -> None:
    with pytest.raises(ValueError, match="literal"):
        number(text)
