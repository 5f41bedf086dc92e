"""Source: mcp-gateway.md G31, G42."""

import json
from typing import Any

import pytest

from sidecar.core import unseen
from sidecar.core.jsonrpc import Request, parse
from sidecar.core.messages import ToolCall
from sidecar.errors import HeaderMismatch, Malformed, ProtocolError
from tests.eras.schemas import check_error

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
SAID = {b"mcp-protocol-version": [b"2026-07-28"], b"mcp-method": [b"tools/call"], b"mcp-name": [b"pay"]}
REFUSAL = Malformed("No.")


def request(tool: str = "pay", method: str = "tools/call", **params: Any) -> Request:
    message = {"jsonrpc": "2.0", "id": "a", "method": method, "params": {"name": tool, **params}}
    found = parse(json.dumps(message).encode())
    assert isinstance(found, Request)
    return found


@pytest.mark.parametrize(
    ("rule", "listed", "callable_only", "expected"),
    [
        ("(hidden)", True, False, True),
        ("(hidden)", False, False, True),
        ("(default deny)", True, False, False),
        ("(default deny)", False, False, True),
        ("(default deny)", True, True, True),
        ("(invalid arguments)", False, False, True),
        ("(invalid arguments)", True, True, False),
        ("(unavailable)", False, True, False),
        ("/tools/pay/deny_if/always", False, True, False),
    ],
)
def test_denial_of_what_no_list_of_the_grant_holds_is_unseen(
    rule: str, listed: bool, callable_only: bool, expected: bool
) -> None:
    assert unseen.is_unseen(rule, listed=listed, callable_only=callable_only) is expected


@pytest.mark.parametrize(("modern", "status"), [(False, 200), (True, 400)])
def test_answer_names_the_tool_and_nothing_else(modern: bool, status: int) -> None:
    call = ToolCall(b"", 1, b"1", 'p"ay', b"{}", (), None, modern, False)
    found, body = unseen.answer(call)
    assert found == status
    error = {"code": -32602, "message": 'Unknown tool: p"ay'}
    assert json.loads(body) == {"jsonrpc": "2.0", "id": 1, "error": error}
    check_error(json.loads(body), modern=modern)


def test_refused_call_of_no_tool_is_judged_whatever_the_server_says_of_the_tool() -> None:
    call = unseen.of_no_tool(request(arguments={"AMOUNT": 1}), None, REFUSAL)
    assert isinstance(call, ToolCall)
    assert (call.tool, call.arguments_raw, call.modern) == ("pay", b'{"AMOUNT": 1}', False)


def test_refused_call_of_no_tool_over_http_keeps_its_era() -> None:
    call = unseen.of_no_tool(request(_meta=META), {**SAID, b"mcp-param-to": [b"x"]}, HeaderMismatch("No."))
    assert isinstance(call, ToolCall)
    assert call.modern


def test_refused_call_with_an_unusual_name_keeps_its_name_whole() -> None:
    call = unseen.of_no_tool(request("pay " * 100, _meta=META), None, REFUSAL)
    assert isinstance(call, ToolCall)
    assert (call.tool, call.modern, call.arguments_raw) == ("pay " * 100, True, b"{}")


def test_refusal_of_any_tool_stays_one() -> None:
    found = unseen.of_no_tool(request(_meta=META), {**SAID, b"mcp-name": [b"other"]}, REFUSAL)
    assert isinstance(found, HeaderMismatch)


def test_refusal_of_what_is_no_call_is_the_one_given() -> None:
    found: ToolCall | ProtocolError = unseen.of_no_tool(request(method="prompts/get"), None, REFUSAL)
    assert found is REFUSAL
