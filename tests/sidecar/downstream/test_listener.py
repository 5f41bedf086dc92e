import asyncio
import errno
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress

import pytest

from sidecar.downstream import connection, listener
from sidecar.downstream.leaving import Leaving
from sidecar.downstream.request import Answering, Head, Whole, Writer
from sidecar.errors import SidecarError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_bind_listens_on_a_free_port(host: str) -> None:
    try:
        listening = listener.bind(host, 0)
    except OSError as error:
        if host == "::1" and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, socket.EAI_ADDRFAMILY):
            pytest.skip("no IPv6 here")
        raise
    with listening:
        port = listening.getsockname()[1]
        assert port > 0
        with socket.create_connection((listening.getsockname()[0], port), timeout=5):
            pass


def test_bind_port_in_use_is_an_os_error() -> None:
    with listener.bind("127.0.0.1", 0) as first, pytest.raises(OSError) as refused:
        listener.bind("127.0.0.1", first.getsockname()[1])
    assert refused.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_bind_address_that_is_not_ours_is_an_os_error(host: str) -> None:
    with pytest.raises(OSError):
        listener.bind(host, 0)


class App:
    """Answers once it may, and tells that it was asked."""

    body_limit_bytes = 400_000

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.asked, self.may, self.cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def admit(self, _head: Head) -> Answering:
        return self.answer

    def refuse(self, _head: Head | None, error: SidecarError) -> Whole:
        self.refused.append(str(error))
        return getattr(error, "http_status", 400), [], b"no"

    async def answer(self, _body: bytes, writer: Writer) -> None:
        self.asked.set()
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        await writer.write(200, [], b"hi")


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
    try:
        return await reader.read()
    finally:
        writer.close()


async def started(app: App, listening: socket.socket, grace_s: int, **options: int) -> "asyncio.Task[None]":
    ready = asyncio.Event()
    serving = asyncio.create_task(listener.serve(app, listening, ready.set, grace_s=grace_s, **options))
    await ready.wait()
    return serving


async def test_serve_answers_until_cancelled_and_says_nothing_of_itself() -> None:
    app = App()
    app.may.set()
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            serving = await started(app, listening, 1)
            answer = await ask(listening.getsockname()[1])
            serving.cancel()
            await serving
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"hi"
    assert b"server:" not in head.lower()


async def test_serve_cancelled_answers_what_is_under_way() -> None:
    app = App()
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            serving = await started(app, listening, 5)
            asking = asyncio.create_task(ask(listening.getsockname()[1]))
            await app.asked.wait()
            serving.cancel()
            app.may.set()
            assert (await asking).endswith(b"hi")
            await serving


async def test_serve_cancelled_gives_up_what_takes_too_long() -> None:
    app = App()
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            serving = await started(app, listening, 0)
            asking = asyncio.create_task(ask(listening.getsockname()[1]))
            await app.asked.wait()
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
            await app.cancelled.wait()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


async def test_serve_head_without_end_is_cut_off_and_a_long_body_is_not() -> None:
    app = App()
    app.may.set()
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            serving = await started(app, listening, 0)
            port = listening.getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with suppress(ConnectionError):
                for number in range(200):
                    writer.write(b"%b: %b\r\n" % (b"GET / HTTP/1.1\r\na" if not number else b"b", b"x" * 1000))
                    await writer.drain()
                writer.write(b"\r\n")
                assert await reader.read() == b""
            assert not app.asked.is_set()
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(2):
                writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 300000\r\n\r\n")
                writer.write(b"x" * 300_000)
                assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200")
            writer.close()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def test_serve_cancelled_waits_for_the_end_of_what_was_hung_up_on() -> None:
    class Slow(App):
        ended = False

        async def answer(self, _body: bytes, writer: Writer) -> None:
            try:
                await super().answer(_body, writer)
            finally:
                await self.may.wait()
                self.ended = True

    app = Slow()
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            serving = await started(app, listening, 5)
            asking = asyncio.create_task(ask(listening.getsockname()[1]))
            await app.asked.wait()
            asking.cancel()
            await app.cancelled.wait()
            serving.cancel()
            asyncio.get_running_loop().call_later(0.1, app.may.set)
            await serving
    assert app.ended


def test_bind_connections_notice_a_peer_that_vanishes() -> None:
    with listener.bind("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname(), 5):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_serve_fault_with_one_connection_ends_that_one_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SWEEP_S", 0.01)
    monkeypatch.setattr(connection, "BODY_S", 0.02)
    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["exception"]))

    class Faulty(App):
        def refuse(self, _head: Head | None, _error: SidecarError) -> Whole:
            raise ZeroDivisionError

    app = Faulty()
    app.may.set()
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            serving = await started(app, listening, 0)
            port = listening.getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\n")
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            assert (await ask(port)).endswith(b"hi")
            serving.cancel()
            await serving
    assert [type(error) for error in seen] == [ZeroDivisionError]


async def left(app: App, listening: socket.socket, leaving: Leaving) -> "asyncio.Task[None]":
    ready = asyncio.Event()
    serving = asyncio.create_task(listener.serve(app, listening, ready.set, grace_s=0, leaving=leaving))
    await ready.wait()
    return serving


async def test_serve_leaving_answers_what_has_half_arrived_and_closes_what_is_idle() -> None:
    app, leaving = App(), Leaving(0, 30)
    app.may.set()
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            serving = await left(app, listening, leaving)
            idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
            half = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            half[0][1].write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\n")
            half[1][1].write(b"GET / HT")
            await asyncio.gather(*(writer.drain() for _, writer in half))
            leaving.begin()
            assert await idle.read() == b""
            idle_writer.close()
            half[0][1].write(b"body")
            half[1][1].write(b"TP/1.1\r\nhost: h\r\n\r\n")
            for reader, writer in half:
                answer = await reader.read()
                assert answer.startswith(b"HTTP/1.1 200")
                assert b"connection: close\r\n" in answer
                writer.close()
            await serving


async def test_serve_leaving_answers_all_that_is_pipelined_and_says_on_the_last_that_it_is() -> None:
    app, leaving = App(), Leaving(0, 30)
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            serving = await left(app, listening, leaving)
            reader, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
            writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n" * 3)
            await app.asked.wait()
            leaving.begin()
            await leaving.due.wait()
            app.may.set()
            answers = (await reader.read()).split(b"HTTP/1.1 ")[1:]
            assert [answer[:3] for answer in answers] == [b"200"] * 3
            assert [b"connection: close" in answer for answer in answers] == [False, False, True]
            writer.close()
            await serving


async def test_serve_leaving_is_announced_before_connections_are_refused() -> None:
    app, leaving = App(), Leaving(2, 30)
    app.may.set()
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            serving = await left(app, listening, leaving)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            leaving.begin()
            assert (await ask(port)).endswith(b"hi")
            writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
            assert b"connection: close\r\n" in await reader.read()
            writer.close()
            await serving
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)


async def test_serve_leaving_ends_streams_that_would_last_behind_the_others() -> None:
    class Streams(App):
        async def answer(self, body: bytes, writer: Writer) -> None:
            if not body:
                await super().answer(body, writer)
                return

            async def parts() -> AsyncGenerator[bytes, None]:
                yield b"listening"
                await asyncio.Event().wait()

            await writer.stream(200, [], parts(), lasting=True)

    app, leaving = Streams(), Leaving(0, 30)
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            serving = await left(app, listening, leaving)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\nx")
            await reader.readuntil(b"listening\r\n")
            asking = asyncio.create_task(ask(port))
            await app.asked.wait()
            leaving.begin()
            await leaving.due.wait()
            ended = asyncio.create_task(reader.read())
            app.may.set()
            assert (await asking).endswith(b"hi")
            assert await ended == b"0\r\n\r\n"
            writer.close()
            await serving


async def test_serve_leaving_in_a_hurry_waits_for_nobody() -> None:
    app, leaving = App(), Leaving(600, 600)
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening:
            serving = await left(app, listening, leaving)
            asking = asyncio.create_task(ask(listening.getsockname()[1]))
            await app.asked.wait()
            leaving.begin()
            leaving.hurry()
            await serving
            assert app.cancelled.is_set()
            await asyncio.gather(asking, return_exceptions=True)


async def test_connection_past_the_limit_is_told_and_closed_and_a_burst_is_logged_once() -> None:
    app = App()
    with listener.bind("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        serving = await started(app, listening, 5, max_connections=1)
        for burst in (1, 2):
            app.asked.clear()
            app.may.clear()
            first = asyncio.create_task(ask(port))
            await app.asked.wait()
            for _ in range(3):
                assert (await ask(port)).startswith(b"HTTP/1.1 503")
            assert app.refused == ["The limit of 1 connections is reached."] * burst
            app.may.set()
            assert (await first).startswith(b"HTTP/1.1 200")
        serving.cancel()
        await serving
