"""Source: mcp-gateway.md G45; MCP 2025-11-25, basic/transports, section Session Management."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from sidecar.errors import Unreachable
from sidecar.ports import Headers, Outgoing, Reply
from sidecar.upstream.handshake import POST, Handshake
from tests.fakes import FakeUpstream

FIRST = Outgoing(b'{"jsonrpc":"2.0","id":0,"method":"initialize"}', "initialize", 0)
LAST = Outgoing(b'{"jsonrpc":"2.0","method":"notifications/initialized"}', "notifications/initialized", None)


def agreed(version: str, session: bytes) -> Reply:
    headers: Headers = ((b"mcp-session-id", session),)
    return Reply(200, headers, body=json.dumps({"id": 0, "result": {"protocolVersion": version}}).encode())


def made(*replies: Reply | Exception) -> tuple[Handshake, FakeUpstream]:
    """A handshake that opened session `s`, before a server that answers so from then on."""
    upstream = FakeUpstream([], replies)
    handshake = Handshake(upstream)
    handshake.begun(FIRST, agreed("2025-06-18", b"s"))
    handshake.concluded(LAST)
    return handshake, upstream


async def test_renew_makes_the_clients_own_handshake_again() -> None:
    handshake, upstream = made(agreed("2025-06-18", b"t"), Reply(202, body=b""))
    assert await handshake.renew("s", "s")
    assert (handshake.at_server("s"), handshake.sessions) == ("t", ("s",))
    first, last = upstream.sent
    assert (first.raw, first.headers, first.session) == (FIRST.raw, POST, None)
    assert (last.raw, last.session) == (LAST.raw, "t")
    assert last.headers == (*POST, (b"mcp-protocol-version", b"2025-06-18"))


async def test_renew_by_many_at_once_happens_once() -> None:
    handshake, upstream = made(agreed("2025-06-18", b"t"), Reply(202, body=b""))
    assert await asyncio.gather(*(handshake.renew("s", "s") for _ in range(5))) == [True] * 5
    assert len(upstream.sent) == 2


async def test_renew_of_what_was_never_opened_is_not_tried() -> None:
    handshake, upstream = made()
    assert not await handshake.renew("x", "x")
    assert upstream.sent == []


@pytest.mark.parametrize(
    "reply", [agreed("2025-11-25", b"t"), Reply(200, body=b'{"id":0,"error":{"code":1}}'), Reply(404, body=b"")]
)
async def test_renew_under_another_revision_or_none_is_refused(reply: Reply) -> None:
    handshake, _ = made(reply)
    assert not await handshake.renew("s", "s")
    assert handshake.at_server("s") == "s"


@pytest.mark.parametrize(
    "replies", [[Unreachable("no connection.")], [Reply(503, body=b"")], [Reply(200, chunks=None)]]
)
async def test_renew_at_a_server_that_does_not_answer_now_may_be_tried_later(replies: Sequence[Reply]) -> None:
    handshake, _ = made(*replies, agreed("2025-06-18", b"t"), Reply(202, body=b""))
    with pytest.raises(Unreachable, match="has lost the session, and opens no new one now: "):
        await handshake.renew("s", "s")
    assert await handshake.renew("s", "s")
