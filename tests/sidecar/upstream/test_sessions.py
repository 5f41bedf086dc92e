"""Over commands; the same over streams is in test_sse. Source: mcp-gateway.md G40."""

from collections.abc import Callable
from typing import Any

from sidecar.ports import Outgoing


async def test_sessions_are_told_apart_and_each_ends_alone(rogue: Callable[..., Any]) -> None:
    client = rogue()
    first, second = await client.open(), await client.open()
    assert first != second
    assert client.upstream.conversations == 2
    assert (await client.upstream.end((), first)).status == 204
    assert client.upstream.conversations == 1
    assert (await client.call("pid", 2, first)).status == 404
    assert (await client.call("pid", 2, second)).status == 200


async def test_message_without_a_session_is_refused_unless_it_begins_one(rogue: Callable[..., Any]) -> None:
    upstream = rogue().upstream
    for message in (Outgoing(b"{}", "tools/list", 1), Outgoing(b"{}", "initialize", None)):
        assert (await upstream.send(message)).status == 400
    assert (await upstream.listen((), None)).status == 400
    assert (await upstream.end((), None)).status == 400
