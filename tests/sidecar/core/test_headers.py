"""Source: mcp-gateway.md G18."""

import pytest

from sidecar.core.headers import REQUEST, RESPONSE, forwardable


def test_forwardable_keeps_the_allowed_in_order() -> None:
    sent = {
        b"accept": [b"application/json, text/event-stream", b"text/html"],
        b"host": [b"gateway"],
        b"mcp-session-id": [b"abc"],
        b"authorization": [b"Bearer secret"],
        b"mcp-protocol-version": [b"2026-07-28"],
        b"mcp-param-region": [b"eu"],
        b"cookie": [b"a=b"],
        b"last-event-id": [b"7"],
    }
    assert forwardable(sent) == (
        (b"accept", b"application/json, text/event-stream"),
        (b"accept", b"text/html"),
        (b"mcp-session-id", b"abc"),
        (b"mcp-protocol-version", b"2026-07-28"),
        (b"mcp-param-region", b"eu"),
        (b"last-event-id", b"7"),
    )


@pytest.mark.parametrize(
    "name",
    [
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"origin",
        b"host",
        b"forwarded",
        b"x-forwarded-for",
        b"x-real-ip",
        b"connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"content-length",
        b"content-encoding",
        b"upgrade",
        b"expect",
        b"keep-alive",
        b"mcp_name",
        b"mcp-paramx",
        b"mcp-session-id ",
        b"",
    ],
)
def test_forwardable_drops_everything_else(name: bytes) -> None:
    assert forwardable({name: [b"x"]}) == ()


def test_forwardable_drops_what_connection_names() -> None:
    sent = {b"connection": [b"close, MCP-Name", b"baggage"], b"mcp-name": [b"pay"], b"baggage": [b"1"]}
    assert forwardable(sent) == ()


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\n", b"\r", b"a\0b"])
def test_forwardable_drops_a_value_that_ends_its_line(value: bytes) -> None:
    assert forwardable({b"accept": [value]}) == ()


def test_response_never_sets_cookies_or_challenges() -> None:
    assert not RESPONSE & {b"set-cookie", b"www-authenticate", b"connection", b"transfer-encoding"}
    assert not REQUEST & {b"authorization", b"cookie", b"origin", b"host"}
