"""Source: mcp-gateway.md G33–G36, G39."""

import json
from typing import Any

import pytest

from sidecar.core import asking
from tests.eras.schemas import LEGACY, MODERN, check

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (b"{}", True),
        (b'{"form":{}}', True),
        (b'{"form":{},"url":{}}', True),
        (b'{"url":{}}', False),
        (b"null", False),
        (b"true", False),
        (b"[", False),
        (None, False),
    ],
)
def test_client_takes_forms_that_says_so(declared: bytes | None, expected: bool) -> None:
    assert asking.takes_forms(declared) is expected


def test_modern_request_says_for_itself_what_it_takes() -> None:
    meta = {CAPABILITIES: {"elicitation": {}}}
    assert asking.request_takes_forms(json.dumps({"params": {"_meta": meta}}).encode())
    assert not asking.request_takes_forms(json.dumps({"params": {"_meta": {CAPABILITIES: {}}}}).encode())


def test_legacy_client_says_for_its_session_what_it_takes() -> None:
    params = {"capabilities": {"elicitation": {}}}
    assert asking.session_takes_forms(json.dumps({"method": "initialize", "params": params}).encode())
    assert not asking.session_takes_forms(json.dumps({"method": "initialize", "params": {}}).encode())
    assert not asking.session_takes_forms(json.dumps({"method": "tools/call", "params": params}).encode())


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"null",
        b"{}",
        b'{"action":"accept"}',
        b'{"action":"accept","content":{}}',
        b'{"action":"accept","content":{"decision":"deny"}}',
        b'{"action":"accept","content":{"decision":"APPROVE"}}',
        b'{"action":"accept","content":{"decision":true}}',
        b'{"action":"decline","content":{"decision":"approve"}}',
        b'{"action":"cancel"}',
        b"[" * 100_000,
    ],
)
def test_answer_that_does_not_plainly_approve_denies(answer: bytes | None) -> None:
    assert not asking.is_granted(answer)


def test_answer_that_approves_is_granted() -> None:
    assert asking.is_granted(b'{"action":"accept","content":{"decision":"approve"}}')


@pytest.mark.parametrize(
    ("tool", "keys", "expected"),
    [
        ("pay", ("amount", "to"), "Policy ops asks you to confirm: pay (arguments: amount, to)."),
        ("pay", (), "Policy ops asks you to confirm: pay (arguments: none)."),
        (
            "see https://evil.example",
            ("javascript:alert(1)", "a.b.example", "\u202eyap", "x" * 65),
            "Policy ops asks you to confirm: (an unusual name) (arguments: (an unusual name), (an unusual name), "
            "(an unusual name), (an unusual name)).",
        ),
        (
            "pay",
            tuple("abcdefghijkl"),
            "Policy ops asks you to confirm: pay (arguments: a, b, c, d, e, f, g, h, i, j, and more).",
        ),
    ],
)
def test_text_names_the_tool_and_its_arguments_and_no_link(tool: str, keys: tuple[str, ...], expected: str) -> None:
    assert asking.text("ops", tool, keys) == expected


def test_legacy_form_is_a_request_of_the_gateways_own() -> None:
    form = json.loads(asking.legacy_form("gw-1", "Sure?"))
    assert (form["id"], form["method"], form["params"]["message"]) == ("gw-1", "elicitation/create", "Sure?")
    assert "mode" not in form["params"]
    for revision in LEGACY:
        check(revision, "ElicitRequest", form)
    flat(form["params"]["requestedSchema"])


def test_modern_form_asks_under_the_gateways_own_key_and_has_a_state() -> None:
    result = json.loads(asking.modern_form(b'"a"', "rg1.x", "Sure?"))
    check(MODERN, "InputRequiredResult", result["result"])
    check(MODERN, "CallToolResultResponse", result)
    assert (result["id"], result["result"]["resultType"]) == ("a", "input_required")
    assert result["result"]["requestState"] == "rg1.x"
    ((key, asked),) = result["result"]["inputRequests"].items()
    assert (key, asked["method"], asked["params"]["mode"]) == ("dev.regate/approval", "elicitation/create", "form")
    flat(asked["params"]["requestedSchema"])


def flat(schema: Any) -> None:
    assert schema["type"] == "object"
    assert {one["type"] for one in schema["properties"].values()} == {"string"}


def test_come_again_has_a_state_and_asks_nothing() -> None:
    answer = json.loads(asking.come_again(b"1", "rg1.x"))
    check(MODERN, "CallToolResultResponse", answer)
    assert answer["result"] == {"resultType": "input_required", "requestState": "rg1.x"}


def test_progress_rises_below_zero_for_who_asked_for_it() -> None:
    raw = b'{"params":{"_meta":{"progressToken":"t"}}}'
    told = [json.loads(asking.progress(raw, number, "Wait.") or b"")["params"] for number in range(3)]
    assert {one["progressToken"] for one in told} == {"t"}
    assert [one["progress"] for one in told] == sorted({one["progress"] for one in told})
    assert max(one["progress"] for one in told) < 0
    assert asking.progress(b'{"params":{}}', 1, "Wait.") is None
