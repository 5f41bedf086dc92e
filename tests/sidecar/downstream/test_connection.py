import asyncio
import gc
import socket
import tracemalloc
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from sidecar.downstream import connection, listener
from sidecar.downstream.connection import Connection
from sidecar.downstream.guard import RequestRefused
from sidecar.downstream.request import Answering, Head, Whole, Writer
from sidecar.errors import SidecarError

GET = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\n%b"
CHUNKED = b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"


class Wire(asyncio.Transport):
    """Takes what is written; `unsent_bytes` of it the client has left."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent_bytes = 0
        self.aborted = False

    def write(self, data: object) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def abort(self) -> None:
        self.aborted = True


class App:
    """Answers a request once it may; keeps what it was asked and who hung up."""

    body_limit_bytes = 400_000

    def __init__(self) -> None:
        self.asked, self.may, self.gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.headers: dict[bytes, list[bytes]] = {}
        self.bodies: list[bytes] = []
        self.refused: list[str] = []
        self.refusal: RequestRefused | None = None
        self.chunks: list[bytes] | None = None

    def admit(self, head: Head) -> Answering:
        if self.refusal is not None:
            raise self.refusal
        self.headers = head.headers
        return self.answer

    def refuse(self, head: Head | None, error: SidecarError) -> Whole:
        self.refused.append("" if head is None else head.path)
        return getattr(error, "http_status", 400), [], b"no"

    async def answer(self, body: bytes, writer: Writer) -> None:
        self.bodies.append(body)
        self.asked.set()
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.gone.set()
            raise
        if self.chunks is None:
            await writer.write(200, [], b"hi")
        else:
            await writer.stream(200, [(b"a", b"b")], self.parts())

    async def parts(self) -> AsyncGenerator[bytes, None]:
        for chunk in self.chunks or ():
            yield chunk


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SWEEP_S", 0.01)


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


async def test_head_has_a_twin_where_method_and_headers_are_the_same() -> None:
    class Looks(App):
        def __init__(self) -> None:
            super().__init__()
            self.twins: list[bool] = []

        def admit(self, head: Head) -> Answering:
            self.twins.append(head.twin is not None)
            return super().admit(head)

    app = Looks()
    app.may.set()
    async with dialled(app) as (reader, writer):
        other = (POST % b"1").replace(b"host: h", b"host: g")
        for one in (GET, GET, POST % b"1", (POST % b"12").replace(b": 1", b": 2"), other, POST % b"1"):
            writer.write(one)
            await reader.readuntil(b"hi")
    assert app.twins == [False, True, False, True, False, False]


async def test_blanks_around_a_value_are_no_part_of_it() -> None:
    """Source: RFC 9110, section 5.5."""
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost:\th \t\r\nmcp-name:   a b  \r\nx:  \r\ncontent-length: 1 \r\n\r\n1")
        await reader.readuntil(b"hi")
    assert app.headers == {b"host": [b"h"], b"mcp-name": [b"a b"], b"x": [b""]}
    assert app.bodies == [b"1"]


@pytest.mark.parametrize("together", [True, False])
async def test_trailers_are_no_headers(together: bool) -> None:
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(CHUNKED)
        if not together:
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"1\r\nx\r\n0\r\ncontent-type: other\r\n\r\n")
        await reader.readuntil(b"hi")
    assert b"content-type" not in app.headers
    assert app.bodies == [b"x"]


@pytest.mark.parametrize("behind", [b"", GET], ids=["alone", "pipelined"])
async def test_hang_up_cancels_the_answer_under_way(behind: bytes) -> None:
    app = App()
    async with dialled(app) as (_, writer):
        writer.write(GET + behind)
        await app.asked.wait()
        writer.close()
        await app.gone.wait()


@pytest.mark.parametrize("behind", [b"", GET], ids=["alone", "pipelined"])
async def test_client_that_ends_its_side_behind_whole_requests_gets_their_answers(behind: bytes) -> None:
    app = App()
    async with dialled(app) as (reader, writer):
        writer.write(GET + behind)
        writer.write_eof()
        await app.asked.wait()
        app.may.set()
        assert (await reader.read()).count(b"hi") == (2 if behind else 1)


@pytest.mark.parametrize("part", [b"", POST[:40], GET + POST[:40]])
async def test_client_that_ends_its_side_amid_a_request_gets_no_answer_to_it(part: bytes) -> None:
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(part)
        writer.write_eof()
        assert (await reader.read()).count(b"hi") == part.count(GET)


async def test_upgrade_is_answered_and_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(b"GET /x HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n" + GET)
        assert (await reader.read()).endswith(b"hi")
    assert app.headers[b"upgrade"] == [b"websocket"]
    assert len(app.bodies) == 1
    assert not caplog.records


async def test_requests_in_one_piece_are_answered_in_order_one_at_a_time() -> None:
    app = App()
    async with dialled(app) as (reader, writer):
        writer.write(b"".join(POST % (b"%d" % number) for number in range(5)) + b"POST /x HTTP/1.1\r\nhost: h\r\n")
        await app.asked.wait()
        assert app.bodies == [b"0"]
        app.may.set()
        for _ in range(5):
            await reader.readuntil(b"hi")
        writer.write(b"content-length: 1\r\n\r\n5")
        await reader.readuntil(b"hi")
    assert app.bodies == [b"%d" % number for number in range(6)]


async def test_request_whose_body_comes_after_the_answer_before_it() -> None:
    app = App()
    async with dialled(app) as (reader, writer):
        writer.write(GET + (POST % b"7")[:-1])
        await app.asked.wait()
        app.may.set()
        await reader.readuntil(b"hi")
        writer.write(b"7")
        await reader.readuntil(b"hi")
    assert app.bodies == [b"", b"7"]


@pytest.mark.parametrize("size", [10, 100_000])
async def test_many_requests_in_one_piece_are_all_answered(size: int) -> None:
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        one = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n%b" % (size, b"x" * size)
        writer.write(one * 60)
        for _ in range(60):
            await reader.readuntil(b"hi")
    assert app.bodies == [b"x" * size] * 60


@pytest.mark.parametrize("body", [b"", b"12"], ids=["incomplete", "complete"])
async def test_refusal_of_a_request_behind_another_waits_for_its_turn(body: bytes) -> None:
    app = App()
    async with dialled(app) as (reader, writer):
        writer.write(GET + b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n" + body)
        await app.asked.wait()
        app.refusal = RequestRefused(413, "too long")
        app.may.set()
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 413 ")
    assert answer.endswith(b"connection: close\r\n\r\nno")
    assert app.bodies == [b""]


async def test_body_too_long_behind_another_request_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(App, "body_limit_bytes", 3)
    app = App()
    async with dialled(app) as (reader, writer):
        writer.write(GET + (POST % b"1")[:-1].replace(b"length: 1", b"length: 9") + b"12345")
        await app.asked.wait()
        app.may.set()
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 413 ")
    assert app.bodies == [b""]


async def test_refusal_of_a_whole_request_keeps_the_connection() -> None:
    app = App()
    app.may.set()
    app.refusal = RequestRefused(401, "who?")
    async with dialled(app) as (reader, writer):
        writer.write(POST % b"1")
        assert b"connection" not in await reader.readuntil(b"no")
        app.refusal = None
        writer.write(POST % b"2")
        await reader.readuntil(b"hi")
    assert app.bodies == [b"2"]


async def test_refusal_before_the_body_is_there_reaches_a_client_that_goes_on_sending() -> None:
    app = App()
    app.refusal = RequestRefused(401, "who?")
    async with dialled(app) as (reader, writer):
        writer.write(b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 200000\r\n\r\n")
        for _ in range(20):
            writer.write(b"x" * 10_000)
            await writer.drain()
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.endswith(b"connection: close\r\n\r\nno")
    assert app.refused == ["/x"]


async def test_refused_client_that_stays_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LINGER_S", 0.02)
    app = App()
    app.refusal = RequestRefused(413, "too long")
    async with dialled(app) as (reader, writer):
        writer.write(b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n")
        await reader.read()
        with suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0)
    assert app.refused == ["/x"]


async def test_late_body_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BODY_S", 0.02)
    async with dialled(App()) as (reader, writer):
        writer.write((POST % b"1")[:-1])
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_kept_connection_without_a_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "KEPT_S", 0.02)
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(GET)
        with suppress(ConnectionError):
            assert (await reader.read()).endswith(b"hi")


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("begun", [b"", (POST % b"").replace(b"length: 1", b"length: x"), CHUNKED + b"zz"], ids=len)
async def test_what_is_no_request_is_refused_after_what_came_before(before: int, begun: bytes) -> None:
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(GET * before + begun + b"what is this\r\n\r\n")
        answer = await reader.read()
    assert answer.count(b"HTTP/1.1 200 ") == before
    assert answer.endswith(b"connection: close\r\n\r\nno")
    assert answer.count(b"HTTP/1.1 400 ") == 1
    assert app.refused == [""]


async def test_request_behind_others_that_would_upgrade_is_the_last_that_is_answered() -> None:
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(GET * 2 + GET[:-2] + b"connection: upgrade\r\nupgrade: x\r\n\r\n" + GET)
        answer = await reader.read()
    assert answer.count(b"HTTP/1.1 200 ") == len(app.bodies) == 3
    assert answer.endswith(b"connection: close\r\n\r\nhi")


async def test_connect_is_answered_and_ends_the_connection() -> None:
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(b"CONNECT h:1 HTTP/1.1\r\nhost: h\r\n\r\n" + GET)
        assert (await reader.read()).endswith(b"connection: close\r\n\r\nhi")
    assert len(app.bodies) == 1


@pytest.mark.parametrize("before", [b"", GET], ids=["alone", "behind"])
async def test_head_with_too_many_headers_is_refused(before: bytes) -> None:
    app = App()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(before + b"GET / HTTP/1.1\r\n" + b"".join(b"a%d:\r\n" % number for number in range(200)))
        answer = await reader.read()
    assert answer.count(b"HTTP/1.1 431 ") == 1
    assert app.bodies == [b""] * bool(before)


async def test_crowd_of_requests_in_one_piece_is_answered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CROWD", 20)
    app = App()
    async with dialled(app) as (reader, writer):
        writer.write(GET * 30)
        await app.asked.wait()
        app.may.set()
        answer = await reader.read()
    assert answer.count(b"HTTP/1.1 200 ") == len(app.bodies) == 21
    assert answer.count(b"HTTP/1.1 429 ") == 1


async def test_body_in_small_chunks_takes_no_more_memory_than_in_one() -> None:
    one, chunks = Connection(App(), set()), b"2\r\nab\r\n" * 1000
    one.connection_made(Wire())
    one.data_received(CHUNKED)
    tracemalloc.start()
    for _ in range(100):
        one.data_received(chunks)
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    one.connection_lost(None)
    assert held_bytes < 2 * 200_000


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize(
    "begun", [b"", GET[:9], POST[:-2], GET, GET * 999, CHUNKED + b"2\r\nab\r\n1", GET + b"what\r\n\r\n"], ids=len
)
async def test_connection_that_is_gone_is_freed_at_once(begun: bytes, turns: int) -> None:
    gc.collect()
    gc.disable()
    try:
        app = App()
        all_: set[Connection] = set()
        one = Connection(app, all_)
        freed = weakref.ref(one)
        one.connection_made(Wire())
        one.data_received(begun)
        for _ in range(turns):
            await asyncio.sleep(0)
        one.connection_lost(None)
        del one
        for _ in range(3):
            await asyncio.sleep(0)
        assert not all_
        assert freed() is None
    finally:
        gc.enable()


async def test_request_that_was_answered_is_freed_at_once() -> None:
    app = App()
    app.may.set()
    one = Connection(app, set())
    one.connection_made(Wire())
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            one.data_received(GET)
            assert one._task is not None
            await asyncio.wait([one._task])
        await asyncio.sleep(0)
        assert gc.collect() < 50, "what each request leaves is left to the garbage collector"
    finally:
        gc.enable()
        one.connection_lost(None)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"], ids=["kept", "closed"])
@pytest.mark.parametrize("size", [2_850_000, 8_000_000])
async def test_client_that_never_reads_is_cut_off(version: bytes, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STALL_S", "LINGER_S", "KEPT_S"):
        monkeypatch.setattr(connection, name, 0.05)
    gone = asyncio.Event()

    class Told(Connection):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            gone.set()

    monkeypatch.setattr(listener, "Connection", Told)
    app = App()
    app.may.set()
    app.chunks = [b"x" * size]
    async with asyncio.timeout(10):
        with listener.bind("127.0.0.1", 0) as listening, socket.socket() as client:
            ready = asyncio.Event()
            serving = asyncio.create_task(listener.serve(app, listening, ready.set, grace_s=0))
            await ready.wait()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, listening.getsockname())
            client.send(b"GET /x HTTP/%b\r\nhost: h\r\n\r\n" % version)
            await gone.wait()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def test_client_that_reads_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STALL_S", 0.1)
    app = App()
    app.may.set()
    one = Connection(app, set())
    wire = Wire()
    one.connection_made(wire)
    one.data_received(GET)
    await asyncio.sleep(0)
    now = asyncio.get_running_loop().time()
    wire.unsent_bytes = 100
    one.pause_writing()
    for later in range(1, 9):
        wire.unsent_bytes -= 10
        one.sweep(now + later)
        assert not wire.aborted
    one.sweep(now + 9)
    assert wire.aborted
    one.connection_lost(None)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_stream_is_chunked_where_the_client_knows_that(version: bytes) -> None:
    app = App()
    app.may.set()
    app.chunks = [b"one", b"", b"two"]
    async with dialled(app) as (reader, writer):
        writer.write(b"GET /x HTTP/%b\r\nhost: h\r\nconnection: close\r\n\r\n" % version)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert (b"transfer-encoding: chunked" in head) is (version == b"1.1")
    assert body == (b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n" if version == b"1.1" else b"onetwo")


async def test_client_that_does_not_read_holds_up_its_own_answers_only() -> None:
    app = App()
    app.may.set()
    app.chunks = [b"x" * 1_000_000] * 40
    async with dialled(app) as (reader, writer):
        writer.write(b"GET /x HTTP/1.0\r\nhost: h\r\n\r\n")
        await app.asked.wait()
        assert len((await reader.read()).partition(b"\r\n\r\n")[2]) == 40_000_000


class Faulty(App):
    """Has a fault in a place that the path names."""

    def admit(self, head: Head) -> Answering:
        if head.path == "/admit":
            raise ZeroDivisionError("secret")
        return self.fail if head.path == "/answer" else super().admit(head)

    async def fail(self, body: bytes, writer: Writer) -> None:
        raise ZeroDivisionError("secret")


@pytest.mark.parametrize("path", [b"/answer", b"/admit"])
@pytest.mark.parametrize("before", [b"", GET], ids=["alone", "behind"])
async def test_fault_of_ours_is_answered_without_its_text(path: bytes, before: bytes) -> None:
    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["exception"]))
    app = Faulty()
    app.may.set()
    async with dialled(app) as (reader, writer):
        writer.write(before + GET.replace(b"/x", path) + GET)
        answer = await reader.read()
    assert answer.count(b"HTTP/1.1 200 ") == bool(before)
    assert answer.endswith(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    assert len(seen) == 1


async def test_fault_of_ours_amid_a_stream_cuts_the_connection() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)

    class Breaks(App):
        async def parts(self) -> AsyncGenerator[bytes, None]:
            yield b"one"
            raise ZeroDivisionError

    app = Breaks()
    app.may.set()
    app.chunks = []
    async with dialled(app) as (reader, writer):
        writer.write(GET)
        answer = b""
        with suppress(ConnectionError):
            answer = await reader.read()
    assert b"0\r\n\r\n" not in answer


async def test_header_of_an_answer_that_would_end_its_line_is_not_sent() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)

    class Splits(App):
        async def answer(self, body: bytes, writer: Writer) -> None:
            await writer.stream(200, [(b"a", b"b\r\nset-cookie: c")], self.parts())

    async with dialled(Splits()) as (reader, writer):
        writer.write(GET)
        with suppress(ConnectionError):
            assert b"set-cookie" not in await reader.read()
