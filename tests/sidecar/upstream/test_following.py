"""Source: mcp-gateway.md G45; MCP 2025-11-25, transports, resumability."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from sidecar.errors import Broken, Unreachable, UpstreamError
from sidecar.ports import Event, Reply
from sidecar.upstream import following

ANSWER = Event(b"answer", b"id: 9\ndata: answer\n\n")
FIRST = Event(b"", b"id: 1\nretry: 1\ndata:\n\n")


async def stream(*events: Event, fault: Exception | None = None) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event
    if fault is not None:
        raise fault


class Server:
    """Gives out its streams one after the other, and keeps from where they were asked for."""

    def __init__(self, *replies: Reply | UpstreamError) -> None:
        self.replies = list(replies)
        self.places: list[bytes | None] = []

    async def again(self, place: bytes | None) -> Reply:
        self.places.append(place)
        reply = self.replies.pop(0)
        if isinstance(reply, UpstreamError):
            raise reply
        return reply


async def followed(server: Server, *events: Event, fault: Exception | None = None) -> list[bytes]:
    answer = following.answer(stream(*events, fault=fault), server.again, lambda data: data == b"answer")
    return [event.data async for event in answer]


async def test_answer_ends_the_stream_and_nothing_is_asked_again() -> None:
    server = Server()
    assert await followed(server, FIRST, ANSWER, ANSWER) == [b"", b"answer"]
    assert server.places == []


@pytest.mark.parametrize("fault", [None, Broken("gone")])
async def test_answer_is_followed_past_breaks_from_where_each_was(fault: Broken | None) -> None:
    more = Event(b"more", b"id: 2\ndata: more\n\n")
    server = Server(Reply(200, events=stream(more)), Unreachable("busy"), Reply(200, events=stream(ANSWER)))
    assert await followed(server, FIRST, fault=fault) == [b"", b"more", b"answer"]
    assert server.places == [b"1", b"2", b"2"]


async def test_answer_without_an_event_id_cannot_be_followed() -> None:
    assert await followed(Server(), Event(b"x", b"data: x\n\n")) == [b"x"]
    with pytest.raises(Broken, match="gone"):
        await followed(Server(), Event(b"x", b"data: x\n\n"), fault=Broken("gone"))


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_answer_is_given_up_where_the_server_offers_no_way_back(status: int) -> None:
    server = Server(Reply(status, body=b""))
    assert await followed(server, FIRST) == [b""]
    assert server.places == [b"1"]


async def test_answer_is_given_up_after_five_tries() -> None:
    server = Server(*[Reply(503, body=b"")] * 5)
    assert await followed(server, FIRST) == [b""]
    assert len(server.places) == 5


async def test_news_go_on_until_the_server_offers_none() -> None:
    server = Server(
        *[Unreachable("away")] * 6, Reply(200, events=stream(ANSWER, fault=Broken("gone"))), Reply(405, body=b"")
    )
    async with asyncio.timeout(20):
        heard = [event.data async for event in following.news(stream(FIRST), server.again)]
    assert heard == [b"", b"answer"]
    assert server.places == [b"1"] * 7 + [b"9"]


async def test_news_without_ids_are_asked_for_from_now_on() -> None:
    server = Server(Reply(405, body=b""))
    heard = [event.data async for event in following.news(stream(Event(b"x", b"retry: 1\ndata: x\n\n")), server.again)]
    assert (heard, server.places) == ([b"x"], [None])
