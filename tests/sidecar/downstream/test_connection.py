import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from sidecar.downstream import connection, listener

GET = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"


class App:
    """Reads a body, then answers once it may; keeps the headers and who hung up."""

    def __init__(self) -> None:
        self.asked, self.may, self.gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.asked.set()
        while (await receive()).get("more_body"):
            pass
        self.headers = scope["headers"]
        watching = asyncio.create_task(self.watch(receive))
        await self.may.wait()
        watching.cancel()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"hi"})

    async def watch(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        self.gone.set()
        self.may.set()


@asynccontextmanager
async def dialled(app: App) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    ready = asyncio.Event()
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            serving = asyncio.create_task(listener.serve(app, listening, ready.set, grace_s=1))
            await ready.wait()
            reader, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
            try:
                yield reader, writer
            finally:
                app.may.set()
                writer.close()
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /", b"x" * 8000),
        (b"GET / HTTP/1.1\r\na: ", b"x" * 8000),
        (b"GET / HTTP/1.1\r\n", b"a: " + b"x" * 8000 + b"\r\n"),
        (CHUNKED + b"1;", b"x" * 8000),
        (CHUNKED + b"1\r\nx\r\n0\r\n", b"a: " + b"x" * 8000 + b"\r\n"),
        (b"", b"\r\n" * 4000),
    ],
    ids=["target", "header", "headers", "chunk extension", "trailers", "blank lines"],
)
async def test_connection_without_end_of_what_is_not_body_is_cut_off(begin: bytes, more: bytes) -> None:
    async with dialled(App()) as (reader, writer):
        writer.write(begin)
        with suppress(ConnectionError):
            for _ in range(100):
                writer.write(more)
                await writer.drain()
            assert await reader.read() == b""


@pytest.mark.parametrize("begin", [b"", b"GET / HT", CHUNKED[:-2], GET + b"GET"], ids=len)
async def test_connection_with_a_late_head_is_cut_off(begin: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.1)
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(begin)
        with suppress(ConnectionError):
            assert b"hi" in await reader.read() or GET not in begin


async def test_connection_waits_for_the_next_head_while_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.05)
    app = App()
    async with dialled(app) as (reader, writer):
        writer.write(GET + b"GET /x HT")
        await app.asked.wait()
        asyncio.get_running_loop().call_later(0.3, app.may.set)
        assert await reader.readuntil(b"hi")


async def test_connection_with_a_request_that_waits_too_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.1)
    app = App()
    async with dialled(app) as (_, writer):
        writer.write(GET)
        await app.asked.wait()
        writer.write(GET)
        await app.gone.wait()


async def test_connection_with_a_long_answer_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.05)
    app = App()
    async with dialled(app) as (reader, writer):
        for part in (b"GET /x HT", b"TP/1.1\r\nhost: h\r\n\r\n"):
            writer.write(part)
            await writer.drain()
        await app.asked.wait()
        asyncio.get_running_loop().call_later(0.2, app.may.set)
        assert await reader.readuntil(b"hi")
        assert not app.gone.is_set()


async def test_connection_with_a_long_body_and_many_requests_stays() -> None:
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        for _ in range(3):
            writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 300000\r\n\r\n" + b"x" * 300_000)
            assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("together", [True, False])
async def test_trailers_are_no_headers(together: bool) -> None:
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(CHUNKED)
        if not together:
            await app.asked.wait()
        writer.write(b"1\r\nx\r\n0\r\ncontent-type: other\r\n\r\n")
        await reader.readuntil(b"hi")
    assert b"content-type" not in dict(app.headers)


@pytest.mark.parametrize("behind", [b"", GET], ids=["alone", "pipelined"])
async def test_hang_up_is_told_to_the_request_under_way(behind: bytes) -> None:
    app = App()
    async with dialled(app) as (_, writer):
        writer.write(GET + behind)
        await app.asked.wait()
        writer.close()
        await app.gone.wait()


async def test_upgrade_is_answered_and_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(b"GET /x HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        await reader.readuntil(b"hi")
    assert (b"upgrade", b"websocket") in app.headers
    assert not caplog.records
