"""One connection on its own; what it does behind a pool is shown in test_client.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from sidecar.errors import Broken, TimedOut, Unreachable
from sidecar.http1.connection import Connection, Headless

REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


class Pool:
    """Keeps what a connection tells its pool."""

    def __init__(self) -> None:
        self.parked: list[Connection] = []
        self.forgotten: list[Connection] = []


@asynccontextmanager
async def connected(
    path: Path, *answers: bytes, made_of: type[Connection] = Connection, closes: bool = False
) -> AsyncIterator[tuple[Connection, Pool]]:
    """A connection to a server that answers each request with the next of these, and at their end with nothing."""
    waiting = list(answers)
    gone = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while await reader.read(1000):
                writer.write(waiting.pop(0) if waiting else b"")
                if closes:
                    break
        writer.close()
        gone.set()

    pool = Pool()
    async with asyncio.timeout(10), await asyncio.start_unix_server(handler, path):
        _, connection = await asyncio.get_running_loop().create_unix_connection(
            lambda: made_of(pool.parked.append, pool.forgotten.append), str(path)
        )
        yield connection, pool
        connection.abort()
        await gone.wait()


async def test_exchange_whole_answer_parks_the_connection_for_the_next(tmp_path: Path) -> None:
    async with connected(tmp_path / "s", OK, OK) as (connection, pool):
        for count in (1, 2):
            response = await connection.exchange(REQUEST, 2)
            assert (response.status, response.body) == (200, b"hi")
            assert pool.parked == [connection] * count
        assert connection.usable


async def test_exchange_answer_of_a_server_that_closes_forgets_the_connection(tmp_path: Path) -> None:
    async with connected(tmp_path / "s", OK.replace(b"hi", b"h") + b"i") as (connection, pool):
        await connection.exchange(REQUEST, 2)
        assert pool.forgotten == []
    async with connected(tmp_path / "t", OK.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n")) as (connection, pool):
        assert (await connection.exchange(REQUEST, 2)).body == b"hi"
        await asyncio.sleep(0)
        assert (pool.parked, pool.forgotten) == ([], [connection])
        with pytest.raises(Unreachable):
            await connection.exchange(REQUEST, 2)


async def test_look_gives_up_an_answer_only_when_it_is_late(tmp_path: Path) -> None:
    async with connected(tmp_path / "s") as (connection, pool):
        now = asyncio.get_running_loop().time()
        assert not connection.look(now + 100)
        asking = asyncio.create_task(connection.exchange(REQUEST, 5))
        await asyncio.sleep(0)
        assert connection.look(now + 4)
        assert not asking.done()
        assert not connection.look(now + 6)
        with pytest.raises(TimedOut, match="No answer within 5 s"):
            await asking
        assert not connection.usable
        assert pool.parked == []


async def test_look_leaves_an_answer_without_a_bound_alone(tmp_path: Path) -> None:
    async with connected(tmp_path / "s") as (connection, _):
        asking = asyncio.create_task(connection.exchange(REQUEST, None))
        await asyncio.sleep(0)
        assert not connection.look(asyncio.get_running_loop().time() + 1e9)
        assert not asking.done()
        connection.abort()
        with pytest.raises(Broken):
            await asking


async def test_exchange_cancelled_drops_the_connection(tmp_path: Path) -> None:
    async with connected(tmp_path / "s") as (connection, pool):
        asking = asyncio.create_task(connection.exchange(REQUEST, 5))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert not connection.usable
        assert pool.parked == []


async def test_bytes_nobody_asked_for_end_the_connection(tmp_path: Path) -> None:
    async with connected(tmp_path / "s", OK) as (connection, _):
        await connection.exchange(REQUEST, 2)
        connection.data_received(b"HTTP/1.1 200 OK\r\n")
        assert not connection.usable


@pytest.mark.parametrize(
    "answer", [OK, b"HTTP/1.1 200 OK\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"]
)
async def test_headless_answer_is_its_status_and_its_body(answer: bytes, tmp_path: Path) -> None:
    async with connected(tmp_path / "s", answer, answer, made_of=Headless) as (connection, pool):
        for count in (1, 2):
            response = await connection.exchange(REQUEST, 2)
            assert (response.status, response.headers, response.body) == (200, [], b"hi")
            assert pool.parked == [connection] * count


@pytest.mark.parametrize(("made_of", "is_whole"), [(Connection, True), (Headless, False)])
async def test_answer_that_the_close_would_end_is_none_where_headers_are_not_heard(
    made_of: type[Connection], is_whole: bool, tmp_path: Path
) -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\nhi"
    async with connected(tmp_path / "s", endless, made_of=made_of, closes=True) as (connection, _):
        response = await connection.exchange(REQUEST, 2)
        if is_whole:
            assert await response.read(10) == b"hi"
        else:
            with pytest.raises(Broken):
                await response.read(10)
