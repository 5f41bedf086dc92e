import json
from decimal import Decimal
from typing import Any

import pytest

from sidecar.core.decision import Decision, Limit, parse, parse_many
from sidecar.errors import DecisionOffShape, DecisionUndefined

LIMIT = {
    "rule": "/tools/pay/limits/spend",
    "message": "Enough.",
    "counter": "spend",
    "window": "day",
    "max": 100,
    "scope": "grant",
    "amounts": [2.5],
}
ALLOW = {"outcome": "allow", "rule": "", "message": "", "revision": "sha256:1", "limits": [LIMIT]}
DENY = {"outcome": "deny", "rule": "/tools/pay/deny_if/always", "message": "No.", "revision": "sha256:1", "limits": []}
ASK = {**DENY, "outcome": "approval_required"}


def body(result: Any) -> bytes:
    return json.dumps({"result": result}).encode()


def test_parse_allow_keeps_exact_numbers() -> None:
    text = body(ALLOW).replace(b"2.5", b"9007199254740993.10").replace(b"100", b"1e1000")
    limit = Limit("/tools/pay/limits/spend", "Enough.", "spend", "day", Decimal("1e1000"), "grant", [])
    found = parse(text)
    assert str(found.limits[0].amounts[0]) == "9007199254740993.10"
    assert found.limits[0].max == limit.max


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (DENY, Decision("deny", DENY["rule"], "No.", "sha256:1", ())),  # type: ignore[arg-type]
        (ASK, Decision("approval_required", DENY["rule"], "No.", "sha256:1", ())),  # type: ignore[arg-type]
        ({**ASK, "ttl_s": 60}, Decision("approval_required", DENY["rule"], "No.", "sha256:1", (), 60)),  # type: ignore[arg-type]
        ({**DENY, "revision": ""}, Decision("deny", DENY["rule"], "No.", "", ())),  # type: ignore[arg-type]
        ({**ALLOW, "limits": []}, Decision("allow", "", "", "sha256:1", ())),
    ],
)
def test_parse_decision_is_as_it_says(result: Any, expected: Decision) -> None:
    assert parse(body(result)) == expected
    assert parse_many(body([result, result]), 2) == [expected, expected]


@pytest.mark.parametrize("text", [b"{}", b'{"warning":{"code":"api_usage_warning"}}', b'{"result":null}'])
def test_parse_no_value_is_undefined(text: bytes) -> None:
    with pytest.raises(DecisionUndefined):
        parse(text)
    with pytest.raises(DecisionUndefined):
        parse_many(text, 1)


OFF_SHAPE: list[Any] = [
    5,
    "allow",
    True,
    [ALLOW],
    {},
    {"outcome": "allow"},
    {**ALLOW, "outcome": "Allow"},
    {**ALLOW, "outcome": "permit"},
    {**ALLOW, "outcome": True},
    {**ALLOW, "extra": 1},
    {**ALLOW, "rule": "/x"},
    {**ALLOW, "message": "x"},
    {**ALLOW, "revision": ""},
    {**ALLOW, "limits": None},
    {**ALLOW, "limits": {}},
    {**ALLOW, "ttl_s": 5},
    {**DENY, "ttl_s": 5},
    {**ASK, "ttl_s": 0},
    {**ASK, "ttl_s": -1},
    {**ASK, "ttl_s": 1.5},
    {**DENY, "rule": ""},
    {**DENY, "message": ""},
    {**DENY, "limits": [LIMIT]},
    {**ASK, "limits": [LIMIT]},
]
ODD_LIMITS: list[dict[str, Any]] = [
    {"window": 0},
    {"window": -60},
    {"window": 2_678_401},
    {"window": 1.5},
    {"window": True},
    {"window": "week"},
    {"scope": "global"},
    {"max": "NaN"},
    {"max": "Infinity"},
    {"max": -1},
    {"max": True},
    {"max": None},
    {"amounts": []},
    {"amounts": [-1]},
    {"amounts": [1, -0.5]},
    {"amounts": ["NaN"]},
    {"amounts": ["sNaN"]},
    {"amounts": ["-Infinity"]},
    {"amounts": ["1e1101"]},
    {"amounts": ["1e-1101"]},
    {"amounts": [None]},
    {"rule": ""},
    {"message": ""},
    {"counter": ""},
    {"extra": 1},
]


@pytest.mark.parametrize("result", OFF_SHAPE + [{**ALLOW, "limits": [LIMIT, {**LIMIT, **odd}]} for odd in ODD_LIMITS])
def test_parse_off_shape_is_never_an_answer(result: Any) -> None:
    with pytest.raises(DecisionOffShape):
        parse(body(result))
    with pytest.raises(DecisionOffShape):
        parse_many(body([ALLOW, result]), 2)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"not json",
        b'{"result":' + b"[" * 100_000,
        b'{"x":' + b"[" * 100_000,
        body(ALLOW)[:-1],
    ],
)
def test_parse_unreadable_is_off_shape(text: bytes) -> None:
    with pytest.raises(DecisionOffShape):
        parse(text)
    with pytest.raises(DecisionOffShape):
        parse_many(text, 1)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_parse_many_answers_of_another_number_are_off_shape(count: int) -> None:
    with pytest.raises(DecisionOffShape):
        parse_many(body([DENY, DENY]), count)


def test_parse_zero_of_any_exponent_is_countable() -> None:
    assert not parse(body(ALLOW).replace(b"2.5", b"0e-5000")).limits[0].amounts[0]


@pytest.mark.parametrize(("message", "is_kept"), [("No.", True), ("N" * 4096, False)])
def test_parse_same_answer_is_read_once_if_it_is_short(message: str, is_kept: bool) -> None:
    text = body({**DENY, "message": message})
    assert parse(text) == parse(text)
    assert (parse(text) is parse(text)) is is_kept
    assert parse(text) is parse_many(body([{**DENY, "message": message}]), 1)[0] or not is_kept


def test_parse_off_shape_answer_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(DecisionOffShape):
            parse(body({**DENY, "rule": ""}))
