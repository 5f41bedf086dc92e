"""With a real policy and real clients: tests/eras/test_transports.py. Source: mcp-gateway.md G28."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from sidecar.core.inventory import Inventory
from sidecar.core.messages import PassThrough
from sidecar.core.query import Asker
from sidecar.errors import OpaUnreachable
from sidecar.path.judgement import Caller
from sidecar.path.notices import Notices
from sidecar.ports import Event, Grant, Reply, let_go
from tests.eras.schemas import LEGACY, MODERN, check
from tests.fakes import FakeDecisionPoint

LISTED = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"open"},{"name":"closed"}]}}'
CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
TAGGED = {**CHANGED, "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": "sub"}}}
LISTEN = PassThrough(b"", "sub", b'"sub"', "subscriptions/listen", True)
INITIALIZE = PassThrough(b"", 1, b"1", "initialize", False)
END = object()


def caller(grant: str = "g") -> Caller:
    return Caller(Grant(grant, "s", "p"), Asker(policy="p", server="s", grant=grant))


def initialized(tools: Any) -> bytes:
    return json.dumps({"id": 1, "result": {"capabilities": {"tools": tools}}}).encode()


def acknowledged(tools: bool) -> bytes:
    granted = {"toolsListChanged": True} if tools else {}
    return json.dumps(
        {"method": "notifications/subscriptions/acknowledged", "params": {"notifications": granted}}
    ).encode()


class Stream:
    """A server's stream: says what it is given, when it is given it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.closed = False

    async def run(self) -> AsyncGenerator[Event, None]:
        try:
            while (data := await self.queue.get()) is not END:
                yield Event(data, b"id: 1\ndata: " + data + b"\n\n")
        finally:
            self.closed = True


class Desk:
    def __init__(self, *, announces: bool = True) -> None:
        self.opa = FakeDecisionPoint(listed=lambda query: [str(name) for name in json.loads(query)["tools"]])
        self.inventory = Inventory()
        self.inventory.learn(LISTED)
        self.notices = Notices(self.opa, self.inventory)
        self.notices.about(INITIALIZE, Reply(200, body=initialized({"listChanged": announces})), caller())
        self.stream = Stream()

    def listen(self, grant: str = "g") -> AsyncGenerator[Event, None]:
        reply = self.notices.news(Reply(200, events=self.stream.run()), caller(grant))
        assert reply.events is not None
        return reply.events

    def subscribe(self) -> AsyncGenerator[Event, None]:
        reply = self.notices.about(LISTEN, Reply(200, events=self.stream.run()), caller())
        assert reply.events is not None
        return reply.events

    async def heard(self, events: AsyncGenerator[Event, None], say: bytes) -> bytes:
        self.stream.queue.put_nowait(say)
        return (await next_of(events)).data

    async def reload(self, *hidden: str) -> None:
        self.opa.hidden = frozenset(hidden)
        self.notices.reloaded()
        while self.notices._tasks:
            await asyncio.gather(*self.notices._tasks)


async def next_of(events: AsyncGenerator[Event, None]) -> Event:
    async with asyncio.timeout(5):
        return await anext(events)


def test_notices_are_valid() -> None:
    for revision in LEGACY:
        check(revision, "ToolListChangedNotification", CHANGED)
    check(MODERN, "ToolListChangedNotification", TAGGED)


async def test_listener_is_told_once_for_each_change_and_without_an_event_id() -> None:
    desk = Desk()
    events = desk.listen()
    assert await desk.heard(events, b"{}") == b"{}"
    for hidden in (("closed",), ()):
        await desk.reload(*hidden)
        notice = await next_of(events)
        assert (json.loads(notice.data), notice.raw) == (CHANGED, None)
        assert await desk.heard(events, b"{}") == b"{}"


async def test_listener_is_not_told_of_policies_that_change_nothing_for_it() -> None:
    desk = Desk()
    events = desk.listen()
    await desk.heard(events, b"{}")
    await desk.reload()
    await desk.reload()
    assert await desk.heard(events, b"{}") == b"{}"


async def test_listener_of_a_server_that_announces_no_changes_is_told_of_none() -> None:
    desk = Desk(announces=False)
    events = desk.listen()
    await desk.heard(events, b"{}")
    await desk.reload("closed")
    assert await desk.heard(events, b"{}") == b"{}"


async def test_subscriber_is_told_once_the_server_has_acknowledged_its_subscription() -> None:
    desk = Desk(announces=False)
    events = desk.subscribe()
    assert await desk.heard(events, b"{}") == b"{}"
    await desk.reload("closed")
    assert await desk.heard(events, acknowledged(True)) == acknowledged(True)
    assert json.loads((await next_of(events)).data) == TAGGED


async def test_subscriber_to_an_endless_body_gets_the_notice_as_a_line_of_its_own() -> None:
    desk = Desk(announces=False)

    async def lines() -> AsyncGenerator[bytes, None]:
        async for event in desk.stream.run():
            yield event.data + b"\n"

    reply = desk.notices.about(LISTEN, Reply(200, chunks=lines()), caller())
    assert reply.chunks is not None
    desk.stream.queue.put_nowait(acknowledged(True))
    async with asyncio.timeout(5):
        assert await anext(reply.chunks) == acknowledged(True) + b"\n"
        await desk.reload("closed")
        notice = await anext(reply.chunks)
    assert (json.loads(notice), notice[-1:]) == (TAGGED, b"\n")
    await reply.drop()
    assert desk.stream.closed


async def test_subscriber_to_other_things_is_not_told() -> None:
    desk = Desk()
    events = desk.subscribe()
    await desk.heard(events, acknowledged(False))
    await desk.reload("closed")
    assert await desk.heard(events, b"{}") == b"{}"


async def test_listener_is_told_when_what_it_saw_cannot_be_known() -> None:
    desk = Desk()
    desk.opa.error = OpaUnreachable("no OPA")
    events = desk.listen()
    await desk.heard(events, b"{}")
    desk.opa.error = None
    await desk.reload()
    assert json.loads((await next_of(events)).data) == CHANGED


async def test_stream_that_ends_or_is_left_is_forgotten_and_closed() -> None:
    desk = Desk()
    left, ended = desk.listen(), desk.listen()
    await desk.heard(left, b"{}")
    await left.aclose()
    assert desk.stream.closed
    desk.stream = Stream()
    ended = desk.listen()
    desk.stream.queue.put_nowait(END)
    assert [event async for event in ended] == []
    desk.stream = Stream()
    await let_go(desk.listen())
    assert desk.stream.closed
    await desk.reload("closed")
    await desk.notices.close()


@pytest.mark.parametrize("reply", [Reply(405, body=b""), Reply(200, body=b"{}")])
async def test_reply_without_a_stream_stays_as_it_is(reply: Reply) -> None:
    desk = Desk()
    assert desk.notices.news(reply, caller()) is reply
    assert desk.notices.about(LISTEN, reply, caller()) is reply
    assert desk.notices.about(PassThrough(b"", 1, b"1", "ping", False), reply, caller()) is reply


async def test_answer_to_initialize_in_a_stream_says_whether_changes_are_announced() -> None:
    desk = Desk(announces=False)
    desk.stream.queue.put_nowait(initialized({"listChanged": True}))
    desk.stream.queue.put_nowait(END)
    reply = desk.notices.about(INITIALIZE, Reply(200, events=desk.stream.run()), caller())
    assert reply.events is not None
    assert len([event async for event in reply.events]) == 1
    assert desk.inventory.announces_changes
