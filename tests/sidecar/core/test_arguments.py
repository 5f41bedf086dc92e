import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import strict
from sidecar.core.arguments import (
    BAD_UNICODE,
    DUPLICATE_KEY,
    NOT_AN_OBJECT,
    NUMBER_RANGE,
    TOO_DEEP,
    fault,
    fault_in,
    in_range,
    reaches_prototype,
)
from sidecar.errors import Malformed

CASES = [
    (b"{}", None),
    (b"null", None),
    (b' {"a": [1, {"b": null}]} \n', None),
    (b'{"a":1e400}', None),
    (b'{"a":"\\ud83d\\ude00"}', None),
    (b"", NOT_AN_OBJECT),
    (b"nul", NOT_AN_OBJECT),
    (b"[]", NOT_AN_OBJECT),
    (b'"x"', NOT_AN_OBJECT),
    (b"5", NOT_AN_OBJECT),
    (b"{", NOT_AN_OBJECT),
    (b'{"a":}', NOT_AN_OBJECT),
    (b'{"a":NaN}', NOT_AN_OBJECT),
    (b'{"a":-Infinity}', NOT_AN_OBJECT),
    (b"{} x", NOT_AN_OBJECT),
    (b"{}{}", NOT_AN_OBJECT),
    (b'{"a":"\xff"}', NOT_AN_OBJECT),
    (b"\xef\xbb\xbf{}", NOT_AN_OBJECT),
    (b"[" * 100_000, NOT_AN_OBJECT),
    (b'{"a":1,"a":1}', DUPLICATE_KEY),
    (b'{"a":1,"\\u0061":1}', DUPLICATE_KEY),
    (b'{"x":[[{"a":1,"a":1}]]}', DUPLICATE_KEY),
    (b'{"a":1e5000,"b":{"c":1,"c":1}}', DUPLICATE_KEY),
    (b'{"a":1e1001}', NUMBER_RANGE),
    (b'{"a":[-1e-1001]}', NUMBER_RANGE),
    (b'{"a":' + b"1" * 101 + b"}", NUMBER_RANGE),
    (b'{"a":"\\ud800","b":1e2000}', NUMBER_RANGE),
    (b'{"a":' * 129 + b"1e2000" + b"}" * 129, NUMBER_RANGE),
    (b'{"a":' * 127 + b"{}" + b"}" * 127, None),
    (b'{"a":' * 128 + b"{}" + b"}" * 128, TOO_DEEP),
    (b'{"a":' + b"[" * 127 + b"]" * 127 + b"}", None),
    (b'{"a":' + b"[" * 128 + b'"\\ud800"' + b"]" * 128 + b"}", TOO_DEEP),
    (b'{"a":' * 100_000, TOO_DEEP),
    (b'{"a":"\\ud800"}', BAD_UNICODE),
    (b'{"\\udfff":1}', BAD_UNICODE),
    (b'{"a":[{"b":"x\\udc00\\ud800"}]}', BAD_UNICODE),
]


@pytest.mark.parametrize(("raw", "expected"), CASES)
def test_fault_of_a_text_is_the_first_of_the_list(raw: bytes, expected: str | None) -> None:
    assert fault(raw) == expected


@pytest.mark.parametrize(("raw", "expected"), CASES)
def test_fault_in_what_strict_reads_is_the_same(raw: bytes, expected: str | None) -> None:
    try:
        members = strict.read(raw)
    except Malformed:
        assert expected in (NOT_AN_OBJECT, DUPLICATE_KEY, NUMBER_RANGE, TOO_DEEP, BAD_UNICODE)
        return
    if isinstance(members, dict):
        assert fault_in(members) == expected


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-0",
        "0.00",
        "0e99999999999999999999",
        "0.000e-5000",
        "1e1000",
        "1E+1000",
        "1e-1000",
        "9.99e1000",
        "10e999",
        "0.001e1003",
        "1" * 100,
        "1" * 100 + "0" * 800,
        "0." + "0" * 900 + "1" * 100,
        "-" + "1" * 100 + ".000",
        "0." + "0" * 5000 + "1e5001",
        "1" + "0" * 5000 + "e-5000",
        "1e0000000000000000000001",
    ],
)
def test_in_range_within_the_bounds_holds(text: str) -> None:
    assert in_range(text)


@pytest.mark.parametrize(
    "text",
    [
        "1e1001",
        "10e1000",
        "-1e1001",
        "1e-1001",
        "0.1e-1000",
        "1" * 101,
        "-" + "1" * 101,
        "1" * 50 + "." + "1" * 51,
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "1e" + "9" * 100_000,
        "1" + "0" * 1001,
    ],
)
def test_in_range_past_the_bounds_fails(text: str) -> None:
    assert not in_range(text)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_in_range_agrees_with_decimal(number: object) -> None:
    text = str(number).replace("E", "e")
    significant = text.partition("e")[0].replace(".", "").lstrip("-0").rstrip("0")
    expected = not significant or (len(significant) <= 100 and abs(number.adjusted()) <= 1000)  # type: ignore[attr-defined]
    assert in_range(text) == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, False),
        ({"a": "__proto__", "b": [["__proto__"]]}, False),
        ({"__proto__": {}}, True),
        ({"a": [{"b": {"__proto__": 1}}]}, True),
    ],
)
def test_reaches_prototype_looks_at_every_object(members: dict, expected: bool) -> None:
    assert reaches_prototype(members) is expected


@given(st.binary(max_size=40) | st.text(alphabet='{}[]",:ae\\ud80019.- ', max_size=40).map(str.encode))
def test_fault_of_any_bytes_is_a_known_text(raw: bytes) -> None:
    said = fault(raw)
    assert said in (None, NOT_AN_OBJECT, DUPLICATE_KEY, NUMBER_RANGE, TOO_DEEP, BAD_UNICODE)
    if said is None:
        assert json.loads(raw) is None or isinstance(json.loads(raw), dict)
