from datetime import UTC, datetime

import pytest

from sidecar.proving.call import CallMalformed, read


def test_call_needs_a_tool_and_nothing_else() -> None:
    call = read(b'{"tool": "t"}')
    assert (call.tool, call.server, call.grant, call.session) == ("t", "", "", None)
    assert call.judged().arguments_raw == b"{}"
    assert abs((call.moment() - datetime.now(UTC)).total_seconds()) < 60


def test_call_keeps_its_arguments_as_they_are_written() -> None:
    text = b'{ "a": 9007199254740993, "b": 1e400, "c": 0.10 }'
    judged = read(b'{"tool": "t", "arguments": %b}' % text).judged()
    assert (judged.arguments_raw, judged.arguments_fault) == (text, None)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (b"null", None),
        (b"[]", "Tool arguments must be a JSON object."),
        (b'{"a": 1, "a": 2}', "Duplicate key in tool arguments."),
        (b'{"a": 1e1001}', "Number out of range in tool arguments."),
        (b'{"a": "\\ud800"}', "Invalid Unicode in tool arguments."),
    ],
)
def test_call_has_the_faults_that_the_gateway_sees(arguments: bytes, fault: str | None) -> None:
    message = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t", "arguments": %b}}'
    assert read(b'{"tool": "t", "arguments": %b}' % arguments).judged().arguments_fault == fault
    assert read(message % arguments).judged().arguments_fault == fault


def test_call_with_everything_is_read() -> None:
    call = read(b'{"tool": "t", "grant": "g", "session": "s", "server": "v", "at": "2026-11-20T12:00:00+02:00"}')
    assert (call.grant, call.session, call.server) == ("g", "s", "v")
    assert call.moment() == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_call_may_be_the_message_of_a_client() -> None:
    call = read(b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t", "arguments": {"a": 1}}}')
    assert (call.tool, call.judged().arguments_raw) == ("t", b'{"a": 1}')


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"tool": 1}',
        b'{"tool": "t", "tool": "u"}',
        b'{"tool": "t", "argument": {}}',
        b'{"tool": "t", "at": "2026-11-20T12:00:00"}',
        b'{"tool": "t", "at": "noon"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"name": "t"}}',
        b'{"tool": "\xff"}',
        b'{"tool": "t", "arguments": ' + b"[" * 100_000,
    ],
)
def test_file_without_a_call_is_refused(text: bytes) -> None:
    with pytest.raises(CallMalformed, match="it holds no call"):
        read(text)
