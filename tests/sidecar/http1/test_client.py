import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.errors import Broken, TimedOut, Unreachable
from sidecar.http1 import Client, Origin
from sidecar.http1.connection import Connection

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"


@asynccontextmanager
async def serving(path: Path, handler: Handler) -> AsyncIterator[Client]:
    tasks = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(connected, path)
    client = Client(Origin(socket_path=str(path)), connect_timeout_s=1)
    try:
        yield client
    finally:
        client.close()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*answers: bytes, then_close: bool = False) -> tuple[Handler, list[int]]:
    seen: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = len(seen)
        seen.append(0)
        for answer in answers:
            await reader.readexactly(len(REQUEST))
            seen[connection] += 1
            writer.write(answer)
            await writer.drain()
        if not then_close:
            await reader.read()

    return handler, seen


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Name: Value\r\n\r\nhello"


async def test_request_answered_at_once_gives_status_headers_and_whole_body(tmp_path: Path) -> None:
    handler, _ = answering(OK)
    async with serving(tmp_path / "s", handler) as client:
        response = await client.request(REQUEST, timeout_s=2)
        assert (response.status, response.body, response.header(b"x-name")) == (200, b"hello", b"Value")
        assert response.header(b"absent") == b""


async def test_requests_one_after_another_share_a_connection(tmp_path: Path) -> None:
    handler, seen = answering(OK, OK)
    async with serving(tmp_path / "s", handler) as client:
        for _ in range(2):
            assert (await client.request(REQUEST, timeout_s=2)).body == b"hello"
        assert seen == [2]


async def test_connection_idle_too_long_is_not_used_again(tmp_path: Path) -> None:
    handler, seen = answering(OK)
    async with serving(tmp_path / "s", handler) as client:
        client._idle_s = -1
        await client.request(REQUEST, timeout_s=2)
        await client.request(REQUEST, timeout_s=2)
        assert seen == [1, 1]


async def test_answer_in_chunks_is_streamed_and_its_connection_kept(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(REQUEST))
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")
        await reader.readexactly(len(REQUEST))
        writer.write(OK)
        await reader.read()

    async with serving(tmp_path / "s", handler) as client:
        response = await client.request(REQUEST, timeout_s=2)
        parts = []
        async for part in response.chunks(2):
            parts.append(part)
            go_on.set()
        assert b"".join(parts) == b"onetwo"
        assert (await client.request(REQUEST, timeout_s=2)).body == b"hello"


async def test_large_answer_is_read_whole_with_reading_paused_meanwhile(tmp_path: Path) -> None:
    size = 3_000_000
    handler, _ = answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, b"x" * size))
    async with serving(tmp_path / "s", handler) as client:
        response = await client.request(REQUEST, timeout_s=5)
        assert len(await response.read(size, 5)) == size


async def test_answer_over_the_limit_is_broken(tmp_path: Path) -> None:
    handler, _ = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"x" * 400_000)
    async with serving(tmp_path / "s", handler) as client:
        response = await client.request(REQUEST, timeout_s=2)
        with pytest.raises(Broken, match="longer than 1000 bytes"):
            await response.read(1000, 2)


async def test_answer_that_ends_with_the_connection_is_whole(tmp_path: Path) -> None:
    handler, _ = answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", then_close=True)
    async with serving(tmp_path / "s", handler) as client:
        response = await client.request(REQUEST, timeout_s=2)
        assert await response.read(1000, 2) == b"until the end"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
async def test_answer_that_cannot_be_read_is_broken(tmp_path: Path, answer: bytes) -> None:
    handler, _ = answering(answer, then_close=True)
    async with serving(tmp_path / "s", handler) as client:
        with pytest.raises(Broken):
            await client.request(REQUEST, timeout_s=2)


async def test_body_cut_off_is_broken(tmp_path: Path) -> None:
    handler, _ = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", then_close=True)
    async with serving(tmp_path / "s", handler) as client:
        response = await client.request(REQUEST, timeout_s=2)
        with pytest.raises(Broken):
            await response.read(1000, 2)


async def test_interim_answer_is_passed_over(tmp_path: Path) -> None:
    handler, _ = answering(b"HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n" + OK)
    async with serving(tmp_path / "s", handler) as client:
        response = await client.request(REQUEST, timeout_s=2)
        assert (response.status, response.body, response.header(b"x-early")) == (200, b"hello", b"")


async def test_second_answer_nobody_asked_for_is_never_given_to_the_next_request(tmp_path: Path) -> None:
    handler, _ = answering(OK + OK.replace(b"hello", b"wrong"), OK)
    async with serving(tmp_path / "s", handler) as client:
        assert (await client.request(REQUEST, timeout_s=2)).body == b"hello"
        assert (await client.request(REQUEST, timeout_s=2)).body == b"hello"


async def test_silent_server_is_timed_out(tmp_path: Path) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(tmp_path / "s", handler) as client:
        with pytest.raises(TimedOut):
            await client.request(REQUEST, timeout_s=0.05)


async def test_late_answer_is_timed_out_beside_requests_that_have_more_time(tmp_path: Path) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with asyncio.timeout(5), serving(tmp_path / "s", handler) as client:
        patient = asyncio.create_task(client.request(REQUEST, timeout_s=100))
        endless = asyncio.create_task(client.request(REQUEST, timeout_s=None))
        await asyncio.sleep(0)
        with pytest.raises(TimedOut):
            await client.request(REQUEST, timeout_s=0.05)
        assert not patient.done()
        assert not endless.done()
        client.close()
        assert {type(error) for error in await asyncio.gather(patient, endless, return_exceptions=True)} == {Broken}


async def test_stream_gone_silent_is_timed_out(tmp_path: Path) -> None:
    handler, _ = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")
    async with serving(tmp_path / "s", handler) as client:
        response = await client.request(REQUEST, timeout_s=2)
        with pytest.raises(TimedOut):
            await response.read(1000, 0.05)


async def test_no_server_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        await Client(Origin(socket_path=str(tmp_path / "none"))).request(REQUEST, timeout_s=1)


async def test_closed_client_is_unreachable(tmp_path: Path) -> None:
    handler, _ = answering(OK)
    async with serving(tmp_path / "s", handler) as client:
        client.close()
        with pytest.raises(Unreachable):
            await client.request(REQUEST, timeout_s=1)


@pytest.mark.parametrize(("retry", "served"), [(True, True), (False, False)])
async def test_kept_connection_that_closed_silently_is_asked_again_only_where_allowed(
    tmp_path: Path, retry: bool, served: bool
) -> None:
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readexactly(len(REQUEST))
        writer.write(OK)
        await reader.readexactly(len(REQUEST))
        if connections == 1:
            return

    async with serving(tmp_path / "s", handler) as client:
        await client.request(REQUEST, timeout_s=2)
        if served:
            assert (await client.request(REQUEST, timeout_s=2, retry_stale=retry)).body == b"hello"
        else:
            with pytest.raises(Broken):
                await client.request(REQUEST, timeout_s=2, retry_stale=retry)


async def test_cancelled_request_drops_its_connection(tmp_path: Path) -> None:
    closed = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        closed.set()

    async with serving(tmp_path / "s", handler) as client:
        task = asyncio.create_task(client.request(REQUEST, timeout_s=None))
        await asyncio.wait([task], timeout=0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 2)


async def test_late_answer_to_a_question_that_is_asked_again_is_timed_out(tmp_path: Path) -> None:
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readexactly(len(REQUEST))
        if connections == 1:
            writer.write(OK)
            await reader.readexactly(len(REQUEST))
        else:
            await reader.read()

    async with asyncio.timeout(10), serving(tmp_path / "s", handler) as client:
        connect, look, unwatched = client._connect, client._look, asyncio.Event()

        async def slowly() -> Connection:
            unwatched.clear()
            await unwatched.wait()
            return await connect()

        def told() -> None:
            look()
            if client._sweep is None:
                unwatched.set()

        client._look = told  # type: ignore[method-assign]
        await client.request(REQUEST, timeout_s=0.1)
        client._connect = slowly  # type: ignore[method-assign]
        with pytest.raises(TimedOut):
            await client.request(REQUEST, timeout_s=0.1, retry_stale=True)
    assert connections == 2
