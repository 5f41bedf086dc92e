"""Source: mcp-gateway.md G22–G24, G40; 2025-11-25, basic/transports, section Resumability and Redelivery."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sidecar.core import sse
from sidecar.ports import Event, Reply
from sidecar.upstream import resumption
from sidecar.upstream.calls import Call
from sidecar.upstream.mailbox import Letter
from sidecar.upstream.resumption import Tracks, is_known_to

ANSWER_S = 77.0
VERSION = (b"mcp-protocol-version", b"2025-11-25")
Take = Callable[[], Awaitable[Letter | None]]


def last_event(value: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return (VERSION, (b"last-event-id", value))


def told(line: bytes) -> Call:
    """A call of which something was said."""
    call = Call("tools/call", b"1")
    call.mailbox.put(Letter(line))
    return call


async def lines(take: Take) -> list[bytes]:
    found = []
    while (letter := await take()) is not None:
        found.append(letter.line)
        if letter.last:
            break
    return found


def resumed(tracks: Tracks, value: bytes) -> Take:
    named = tracks.named(last_event(value))
    assert named is not None
    return named[0].follow(named[1], 1)


def test_resumption_is_known_to_the_revision_that_has_events_without_data() -> None:
    assert is_known_to((VERSION,))
    assert not is_known_to(((b"mcp-protocol-version", b"2025-06-18"),))
    assert not is_known_to(((b"x", b"2025-11-25"),))


async def test_stream_begins_with_an_event_of_no_data_and_numbers_the_others() -> None:
    call = Call("tools/call", b"1")
    take = Tracks().begin(call).follow(-1, 1)
    call.mailbox.put(Letter(b'{"n":1}'))
    call.mailbox.put(Letter(b'{"n":2}', last=True))
    letters = [await take() for _ in range(3)]
    decoded = [event for letter in letters for event in sse.Decoder().feed((letter and letter.raw) or b"")]
    assert [(event.id, event.data) for event in decoded] == [(b"1-0", b""), (b"1-1", b'{"n":1}'), (b"1-2", b'{"n":2}')]
    assert b"retry: " in decoded[0].raw
    assert [letter.last for letter in letters if letter] == [False, False, True]


@pytest.mark.parametrize(
    ("after", "first", "again"),
    [
        (b"1-0", [b"a", b"b", b"c"], [b"a", b"b", b"c"]),
        (b"1-1", [b"b", b"c"], [b"b", b"c"]),
        (b"1-2", [b"c"], [b"c"]),
        (b"1-99", [b"c"], []),
    ],
)
async def test_stream_is_taken_up_behind_the_event_that_is_named_as_often_as_it_is_asked_for(
    after: bytes, first: list[bytes], again: list[bytes]
) -> None:
    tracks, call = Tracks(), told(b"a")
    take = tracks.begin(call).follow(-1, 1)
    await take()
    await take()
    call.mailbox.put(Letter(b"b"))
    await take()
    call.mailbox.put(Letter(b"c", last=True))
    assert await lines(resumed(tracks, after)) == first
    assert await lines(resumed(tracks, after)) == again


async def test_stream_has_one_reader_and_who_comes_takes_the_place() -> None:
    tracks, call = Tracks(), told(b"a")
    waiting = asyncio.create_task(lines(tracks.begin(call).follow(0, 1)))
    await asyncio.sleep(0)
    second = resumed(tracks, b"1-1")
    assert await waiting == [b"a"]
    call.mailbox.put(Letter(b"b", last=True))
    assert await lines(second) == [b"b"]


@pytest.mark.parametrize("value", [b"2-1", b"1", b"1-", b"-1-1", b"x-1", b"1-1 ", b"1" * 40 + b"-1", b""])
def test_stream_that_is_not_ours_is_nobodys(value: bytes) -> None:
    tracks = Tracks()
    tracks.begin(told(b"a"))
    assert tracks.named(last_event(value)) is None
    assert tracks.named((VERSION,)) is None


async def test_streams_that_ended_are_kept_within_bounds_the_newest_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "KEPT_STREAMS", 2)
    monkeypatch.setattr(resumption, "KEPT_BYTES", 1000)
    tracks = Tracks()

    def known() -> list[int]:
        return [number for number in range(1, 9) if tracks.named(last_event(b"%d-0" % number)) is not None]

    async def ended(size: int) -> None:
        call = told(b"a")
        take = tracks.begin(call).follow(-1, 1)
        call.mailbox.put(Letter(b"x" * size, last=True))
        await lines(take)

    tracks.begin(told(b"goes on"))
    for _ in range(3):
        await ended(1)
    assert known() == [1, 3, 4]
    await ended(5000)
    assert known() == [1, 5]
    unread = told(b"a")
    tracks.begin(unread)
    unread.mailbox.put(Letter(b"x" * 5000, last=True))
    tracks.begin(told(b"goes on"))
    assert known() == [1, 6, 7]


async def test_stream_that_goes_on_keeps_its_newest_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "KEPT_BYTES", 100)
    tracks, call = Tracks(), told(b"0" * 40)
    take = tracks.begin(call).follow(-1, 1)
    for digit in b"1", b"2", b"3":
        call.mailbox.put(Letter(digit * 40, last=digit == b"3"))
    await lines(take)
    assert await lines(resumed(tracks, b"1-1")) == [b"3" * 40]


async def opened(rogue: Callable[..., Any], **options: Any) -> tuple[Any, str]:
    client = rogue(**options)
    session = await client.open()
    client.headers = (VERSION,)
    return client, session


async def begun(client: Any, session: str) -> tuple[Reply, Any]:
    """A call that waits for its client, up to the server's question."""
    reply = await client.call("elicit", 9, session)
    priming, asked = await anext(reply.events), await anext(reply.events)
    assert priming.data == b""
    return reply, json.loads(asked.data)


async def test_answer_comes_on_a_stream_that_begins_before_it_and_may_be_asked_for_again(
    rogue: Callable[..., Any],
) -> None:
    client, session = await opened(rogue)
    reply = await client.call("silent", 8, session)
    assert await anext(reply.events) == Event(b"", b"id: 1-0\nretry: 1000\ndata: \n\n")
    await reply.drop()
    first = [event async for event in (await client.call("echo", 9, session, text="once")).events]
    again = await client.upstream.listen(last_event(b"2-0"), session)
    assert [event async for event in again.events] == first[1:]
    assert json.loads(first[-1].data)["id"] == 9


@pytest.mark.parametrize(("tool", "fault"), [("exit", "upstream_broken: "), ("broken", "upstream_broken: ")])
async def test_stream_whose_answer_never_comes_ends_with_an_error_that_is_not_the_servers(
    tool: str, fault: str, rogue: Callable[..., Any]
) -> None:
    client, session = await opened(rogue)
    reply = await client.call(tool, 9, session)
    *_, last = [event async for event in reply.events]
    assert (json.loads(last.data)["id"], json.loads(last.data)["error"]["code"]) == (9, -32603)
    assert last.fault.startswith(fault)


async def test_stream_that_is_silent_too_long_says_so_once_and_the_server_is_told(rogue: Callable[..., Any]) -> None:
    client, session = await opened(rogue, answer_timeout_s=0.5)
    reply = await client.call("silent", 9, session)
    *_, last = [event async for event in reply.events]
    assert last.fault.startswith("upstream_timed_out: ")
    again = await client.upstream.listen(last_event(b"1-0"), session)
    assert [event async for event in again.events] == [last]
    heard = json.loads(await client.text("heard", 10, session))
    assert [m["params"]["requestId"] for m in heard if m.get("method") == "notifications/cancelled"] == [9]


@pytest.mark.parametrize("returns", ["before the answer", "after the answer"])
async def test_client_that_hung_up_finds_its_answer(
    rogue: Callable[..., Any], collected: Any, until: Any, returns: str
) -> None:
    client, session = await opened(rogue)
    reply, asked = await begun(client, session)
    await reply.drop()
    if returns == "before the answer":
        again = await client.upstream.listen(last_event(b"1-1"), session)
    await client.respond(asked["id"], {"roots": []}, session)
    if returns == "after the answer":
        assert await client.text("echo", 10, session, text="behind it") == "behind it"
        again = await client.upstream.listen(last_event(b"1-1"), session)
    assert [message["id"] for message in await collected(again)] == [9]
    once_more = await client.upstream.listen(last_event(b"1-0"), session)
    events = [event async for event in once_more.events]
    assert [json.loads(event.data)["id"] for event in events] == [asked["id"], 9]


@pytest.fixture
def given_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets the time pass for which a client is waited for; ANSWER_S is how long that is."""
    loop = asyncio.get_event_loop_policy().get_event_loop()
    call_later, waiting = loop.call_later, list[Callable[[], None]]()

    def later(delay_s: float, callback: Any, *arguments: Any, **options: Any) -> Any:
        if delay_s == ANSWER_S:
            waiting.append(callback)
        return call_later(delay_s, callback, *arguments, **options)

    monkeypatch.setattr(loop, "call_later", later)

    def pass_by() -> None:
        assert waiting
        for callback in waiting:
            callback()

    return pass_by


async def test_client_that_does_not_come_back_is_given_up_and_the_server_told(
    rogue: Callable[..., Any], given_up: Callable[[], None]
) -> None:
    client, session = await opened(rogue, answer_timeout_s=ANSWER_S)
    reply, _ = await begun(client, session)
    await reply.drop()
    given_up()
    heard = json.loads(await client.text("heard", 10, session))
    assert [m["params"]["requestId"] for m in heard if m.get("method") == "notifications/cancelled"] == [9]
    assert await client.text("echo", 9, session, text="the id is free") == "the id is free"
    ended = await client.upstream.listen(last_event(b"1-1"), session)
    assert [event async for event in ended.events] == []


async def test_client_that_came_back_is_waited_for(
    rogue: Callable[..., Any], collected: Any, given_up: Callable[[], None]
) -> None:
    client, session = await opened(rogue, answer_timeout_s=ANSWER_S)
    reply, asked = await begun(client, session)
    await reply.drop()
    again = await client.upstream.listen(last_event(b"1-1"), session)
    given_up()
    await client.respond(asked["id"], {"roots": []}, session)
    assert [message["id"] for message in await collected(again)] == [9]


async def test_calls_left_behind_are_bounded_and_the_oldest_goes_without_being_cancelled(
    rogue: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumption, "KEPT_STREAMS", 2)
    client, session = await opened(rogue)
    for number in range(3):
        reply = await client.call("elicit", number, session)
        await anext(reply.events)
        await reply.drop()
    assert await client.text("echo", 0, session, text="free") == "free"
    assert (await client.call("echo", 1, session, text="not free")).status == 400
    assert "cancelled" not in await client.text("heard", 10, session)


async def test_server_request_goes_past_a_call_whose_client_went_away(
    rogue: Callable[..., Any], collected: Any
) -> None:
    client, session = await opened(rogue)
    reply, asked = await begun(client, session)
    await reply.drop()
    other = await client.call("elicit", 11, session)
    assert (await anext(other.events)).data == b""
    assert json.loads((await anext(other.events)).data)["id"] != asked["id"]
    await other.drop()


async def test_session_with_nothing_but_a_deserted_call_is_not_busy(
    rogue: Callable[..., Any], is_running: Callable[[int], bool], until: Any
) -> None:
    client, session = await opened(rogue, idle_s=0.2)
    pid = int(await client.text("pid", 1, session))
    reply, _ = await begun(client, session)
    await reply.drop()
    await until(lambda: not is_running(pid))
    assert (await client.upstream.listen(last_event(b"1-1"), session)).status == 404


async def test_client_of_an_older_revision_gets_no_event_without_data(rogue: Callable[..., Any]) -> None:
    client, session = await opened(rogue)
    client.headers = ((b"mcp-protocol-version", b"2025-06-18"),)
    reply = await client.call("elicit", 9, session)
    event = await anext(reply.events)
    assert event.raw is None
    assert json.loads(event.data)["method"] == "roots/list"
    await reply.drop()
