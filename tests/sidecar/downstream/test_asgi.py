"""Source: mcp-gateway.md G7, G22, G24."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from sidecar.downstream import asgi
from sidecar.downstream.guard import RequestRefused

DISCONNECT = {"type": "http.disconnect"}


def part(body: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


class Client:
    """What a client sends, and then nothing more until it hangs up."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = list(events)
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self.events:
            return self.events.pop(0)
        await self.gone.wait()
        return DISCONNECT


class Sent:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def __call__(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.events)


@pytest.mark.parametrize(
    "events",
    [
        [part(b"hello")],
        [part(b"he", more=True), part(b"llo")],
        [part(b"", more=True), part(b"hello", more=True), part()],
        [part(b"hello", more=True), {"type": "http.request"}],
    ],
)
async def test_read_gives_the_whole_body(events: Sequence[dict[str, Any]]) -> None:
    assert await asgi.Bodies(5).read(Client(*events).receive) == b"hello"


async def test_read_no_body_is_empty() -> None:
    assert await asgi.Bodies(5).read(Client({"type": "http.request"}).receive) == b""


@pytest.mark.parametrize("events", [[part(b"123456")], [part(b"123", more=True), part(b"456", more=True)]])
async def test_read_body_over_the_limit_is_refused_as_soon_as_it_passes(events: Sequence[dict[str, Any]]) -> None:
    with pytest.raises(RequestRefused) as refused:
        await asgi.Bodies(5).read(Client(*events).receive)
    assert refused.value.http_status == 413


@pytest.mark.parametrize("events", [[DISCONNECT], [part(b"he", more=True), DISCONNECT]])
async def test_read_body_cut_off_is_refused(events: Sequence[dict[str, Any]]) -> None:
    with pytest.raises(RequestRefused) as refused:
        await asgi.Bodies(5).read(Client(*events).receive)
    assert refused.value.http_status == 400


@pytest.mark.parametrize("events", [[], [part(b"he", more=True)]], ids=["never_begins", "never_ends"])
async def test_read_slow_body_is_refused(events: Sequence[dict[str, Any]]) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(RequestRefused) as refused:
            await asgi.Bodies(5, span_s=0.01).read(Client(*events).receive)
    assert refused.value.http_status == 408
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_read_slow_body_leaves_a_quick_one_beside_it_alone() -> None:
    bodies = asgi.Bodies(5, span_s=0.01)
    slow = asyncio.create_task(bodies.read(Client().receive))
    async with asyncio.timeout(5):
        while not slow.done():
            assert await bodies.read(Client(part(b"hello")).receive) == b"hello"
            await asyncio.sleep(0)
    with pytest.raises(RequestRefused):
        await slow
    async with asyncio.timeout(5):
        with pytest.raises(RequestRefused):
            await bodies.read(Client().receive)


async def test_read_cancelled_from_outside_is_cancelled() -> None:
    reading = asyncio.create_task(asgi.Bodies(5).read(Client().receive))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_write_sends_head_and_body_with_its_length() -> None:
    sent = Sent()
    await asgi.write(sent, 418, [(b"a", b"b")], b"hello")
    assert sent.events == [
        {"type": "http.response.start", "status": 418, "headers": [(b"a", b"b"), (b"content-length", b"5")]},
        {"type": "http.response.body", "body": b"hello"},
    ]


async def test_stream_sends_each_part_at_once() -> None:
    sent = Sent()

    async def parts() -> AsyncGenerator[bytes, None]:
        assert len(sent.events) == 1
        yield b"a"
        assert sent.body == b"a"
        yield b"b"
        assert sent.body == b"ab"

    await asgi.stream(sent, 200, [], parts())
    assert sent.events[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert [event.get("more_body") for event in sent.events] == [None, True, True, False]


@pytest.mark.parametrize("fails_at", [0, 1])
async def test_stream_that_cannot_be_sent_frees_what_it_holds(fails_at: int) -> None:
    freed = asyncio.Event()

    async def parts() -> AsyncGenerator[bytes, None]:
        try:
            await asyncio.sleep(0)
            yield b"a"
        finally:
            freed.set()

    async def send(event: dict[str, Any]) -> None:
        nonlocal fails_at
        if fails_at == 0:
            raise asyncio.CancelledError
        fails_at -= 1

    with pytest.raises(asyncio.CancelledError):
        await asgi.stream(send, 200, [], parts())
    assert freed.is_set()


async def test_hangups_quick_answer_never_asks_whether_the_client_is_there() -> None:
    async def answer() -> None:
        await asyncio.sleep(0)

    async def receive() -> dict[str, Any]:
        raise AssertionError

    await asgi.Hangups(patience_s=0.01).answer(answer(), receive)


async def test_hangups_client_hangs_up_cancels_the_work() -> None:
    client = Client(part())
    cancelled = asyncio.Event()

    async def answer() -> None:
        client.gone.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with asyncio.timeout(5):
        await asgi.Hangups(patience_s=0.01).answer(answer(), client.receive)
    assert cancelled.is_set()


async def test_hangups_cancelled_from_outside_is_cancelled() -> None:
    waiting = asyncio.Event()

    async def answer() -> None:
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(asgi.Hangups(patience_s=0.01).answer(answer(), Client().receive))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_hangups_slow_answer_to_a_client_that_stays_is_given_and_the_watch_ends() -> None:
    watched, over = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        watched.set()
        try:
            await asyncio.Event().wait()
        finally:
            over.set()
        raise AssertionError

    async with asyncio.timeout(5):
        await asgi.Hangups(patience_s=0.01).answer(_until(watched), receive)
        await over.wait()


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def test_hangups_error_of_the_work_is_raised() -> None:
    async def answer() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await asgi.Hangups(patience_s=0.01).answer(answer(), Client().receive)
