"""Whatever is sent, however it is cut: what is whole is answered once, in order, with its own body; nothing else is.

`--calls` says how many conversations are tried.
"""

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import h11
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.downstream import connection, heads, listener
from sidecar.downstream.connection import Connection
from sidecar.downstream.guard import RequestRefused, too_large
from sidecar.downstream.request import Answering, Head, Whole, Writer
from sidecar.errors import SidecarError

FEW = 150
LIMIT = 1500
READ = 400
BOUNDS = {"HEAD_BYTES": 600, "HELD": 4, "LINGER_S": 0.2, "SWEEP_S": 0.02}


@dataclass(frozen=True)
class Sent:
    """What a client sends, and the answer that a plain reading gives it: a status, and for 200 the body."""

    raw: bytes
    status: int
    echo: bytes = b""
    may_close: bool = False
    must_close: bool = False


class Echo:
    """Answers with what it was asked, after some turns of the loop, in one piece or several. Refuses when told to."""

    body_limit_bytes = LIMIT

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.under_way = 0

    def admit(self, head: Head) -> Answering:
        told = head.headers.get(b"refuse")
        if told:
            raise RequestRefused(int(told[0]), "no")
        if head.length is not None and int(head.length) > LIMIT:
            raise too_large(LIMIT)

        async def answer(body: bytes, writer: Writer) -> None:
            assert not self.under_way
            self.under_way += 1
            try:
                await self._answer(f"{head.method} {head.path} ".encode() + body, head, writer)
            finally:
                self.under_way -= 1

        return answer

    def refuse(self, _head: Head | None, error: SidecarError) -> Whole:
        return getattr(error, "http_status", 400), [], b"no"

    async def _answer(self, echo: bytes, head: Head, writer: Writer) -> None:
        self.asked.append(echo)
        for _ in range(int(head.headers[b"turns"][0])):
            await asyncio.sleep(0)
        if b"stream" in head.headers:
            await writer.stream(200, [], _parts(echo))
        else:
            await writer.write(200, [], echo)


async def _parts(echo: bytes) -> AsyncGenerator[bytes, None]:
    for at in range(0, len(echo), 100):
        await asyncio.sleep(0)
        yield echo[at : at + 100]


class Wire(asyncio.Transport):
    """A client that sends piece by piece, while it is heard, and reads as fast as it is told to."""

    def __init__(self, protocol: Connection) -> None:
        super().__init__()
        self.protocol = protocol
        self.written = b""
        self.unread_bytes = 0
        self.is_heard = True
        self.ended = self.lost = self._full = False

    def write(self, data: Any) -> None:
        assert not self.ended
        self.written += data
        self.unread_bytes += len(data)
        if self.unread_bytes > 2 * READ and not self._full:
            self._full = True
            self.protocol.pause_writing()

    def read(self, count: int) -> None:
        self.unread_bytes = max(0, self.unread_bytes - count)
        if self._full and self.unread_bytes <= READ and not self.lost:
            self._full = False
            self.protocol.resume_writing()
        if self.ended and not self.unread_bytes:
            self.hang_up()

    def hang_up(self) -> None:
        if not self.lost:
            self.lost = True
            self.protocol.connection_lost(None)

    def get_write_buffer_size(self) -> int:
        return self.unread_bytes

    def pause_reading(self) -> None:
        self.is_heard = False

    def resume_reading(self) -> None:
        self.is_heard = True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = True

    def abort(self) -> None:
        pytest.fail("cut off")


BODY = st.binary(max_size=LIMIT) | st.sampled_from([b"GET /x HTTP/1.1\r\n\r\n", b"0\r\n\r\n", b"\r\n", b""])
LONG = st.integers(LIMIT + 1, LIMIT + 500).map(lambda size: b"x" * size)


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    raw, at = b"", 0
    while at < len(body):
        part = body[at : at + draw(st.integers(1, LIMIT))]
        at += len(part)
        raw += draw(st.sampled_from([b"%x\r\n", b"%X\r\n", b"00%x\r\n", b"%x;a=b\r\n", b'%x;a="\xff"\r\n'])) % len(part)
        raw += part + b"\r\n"
    return raw + b"0\r\n" + draw(st.sampled_from([b"", b"turns: 9\r\n", b"refuse: 401\r\nhost: g\r\n"])) + b"\r\n"


@st.composite
def asked(draw: st.DrawFn) -> Sent:
    """A whole request, well-formed."""
    method = draw(st.sampled_from(["POST", "POST", "GET", "DELETE"]))
    body = draw(BODY | LONG if method == "POST" else BODY)
    is_1_1 = draw(st.integers(0, 9)) > 0
    closes = draw(st.integers(0, 9)) == 0
    framing = draw(st.sampled_from(["length", "chunks"])) if body or method == "POST" else ""
    refused = draw(st.sampled_from([0] * 6 + [401, 417]))
    lines = [
        f"{method} {draw(st.sampled_from(['/x', '/y?z', 'http://h/x']))} HTTP/1.{int(is_1_1)}",
        draw(st.sampled_from(["host: h", "Host:h", "HOST: \th "])),
        f"turns: {draw(st.integers(0, 4))}",
    ]
    lines += [f"refuse: {refused}"] * bool(refused) + ["connection: close"] * closes
    lines += ["stream: 1"] * draw(st.booleans())
    lines += {"length": [f"Content-Length: {len(body)}"], "chunks": ["transfer-encoding: chunked"], "": []}[framing]
    raw = draw(st.sampled_from([b"", b"\r\n"])) + "\r\n".join([*lines, "", ""]).encode()
    raw += draw(chunked(body)) if framing == "chunks" else body
    is_final = closes or not is_1_1
    if refused:
        return Sent(raw, refused, may_close=bool(framing), must_close=is_final or refused == 417)
    if len(body) > LIMIT:
        return Sent(raw, 413, must_close=True)
    path = {"/y?z": "/y"}.get(lines[0].split()[1], "/x")
    return Sent(raw, 200, f"{method} {path} ".encode() + body, must_close=is_final)


GET = b"GET / HTTP/1.1\r\nhost: h\r\nturns: 0\r\n"
MALFORMED = st.sampled_from(
    [
        b"what is this\r\n\r\n",
        GET + b"content-length: x\r\n\r\n",
        GET + b"content-length: 1\r\ncontent-length: 1\r\n\r\n1",
        GET + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        GET + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        GET + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        GET + b"transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        GET + b"transfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
        GET + b"transfer-encoding: chunked\r\n\r\n11111111111111111\r\n\r\n",
        GET + b"a : b\r\n\r\n",
        GET + b"a: b\nc: d\r\n\r\n",
        GET + b"a: \0\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
).map(lambda raw: Sent(raw, 400, must_close=True))
CROWDED = st.just(Sent(GET + b"".join(b"h%d:\r\n" % n for n in range(20)) + b"\r\n", 431, must_close=True))
LAST = Sent(GET + b"connection: close\r\n\r\n", 200, b"GET / ", must_close=True)
CONVERSATION = st.lists(st.integers(0, 11).flatmap(lambda n: asked() if n else MALFORMED | CROWDED), max_size=10).map(
    lambda sent: [*sent, LAST]
)


@dataclass
class Pace:
    """How a conversation is cut into reads, and how fast the client reads."""

    cuts: list[int] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    reads: int = READ

    def pieces(self, raw: bytes) -> Iterator[tuple[bytes, int]]:
        at, cuts, turns = 0, iter(self.cuts), iter(self.turns)
        while at < len(raw):
            size = next(cuts, READ)
            yield raw[at : at + size], next(turns, 1)
            at += size


PACE = st.builds(
    Pace,
    st.lists(st.integers(1, 9) | st.integers(1, READ), max_size=60),
    st.lists(st.integers(0, 4), max_size=60),
    st.integers(1, 2 * READ),
)


def answers(received: bytes) -> list[tuple[int, bytes, bool]]:
    """Status, body and whether it was the last, as a client of another make reads them."""
    found: list[tuple[int, bytes, bool]] = []
    while received:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method="GET", target="/", headers=[("host", "h")]))
        client.send(h11.EndOfMessage())
        client.receive_data(received)
        head, body = client.next_event(), b""
        assert isinstance(head, h11.Response)
        client_closes = any(pair == (b"connection", b"close") for pair in head.headers)
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                client.receive_data(b"")
                received = b""
                continue
            assert isinstance(event, h11.Data)
            body += bytes(event.data)
        found.append((head.status_code, body, client_closes))
        received = client.trailing_data[0] if received else b""
    return found


def compare(conversation: list[Sent], found: list[tuple[int, bytes, bool]], app: Echo) -> None:
    expected: list[Sent] = []
    for sent, (_, _, closes) in zip(conversation, found, strict=False):
        expected.append(sent)
        assert closes or not sent.must_close
        assert not closes or sent.must_close or sent.may_close
        if closes:
            break
    assert [(status, body) for status, body, _ in found] == [(sent.status, sent.echo or b"no") for sent in expected]
    assert found[-1][2], "the last request was not answered"
    assert app.asked == [sent.echo for sent in expected if sent.status == 200]


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, bound in BOUNDS.items():
        monkeypatch.setattr(connection, name, bound)
    monkeypatch.setattr(heads, "HEADERS", 12)


async def converse(raw: bytes, pace: Pace, app: Echo, *, hangs_up_after: int | None = None) -> Wire:
    one = Connection(app, set())
    freed = weakref.ref(one)
    wire = Wire(one)
    one.connection_made(wire)
    for number, (piece, turns) in enumerate(pace.pieces(raw)):
        if number == hangs_up_after:
            break
        while not wire.is_heard and not wire.lost:
            wire.read(pace.reads)
            await asyncio.sleep(0)
        if wire.lost:
            break
        one.data_received(piece)
        assert sum(len(request.body) for request in one._queue) <= BOUNDS["HELD"] * BOUNDS["HEAD_BYTES"] + READ
        assert len(one._queue) <= BOUNDS["HELD"] + READ // 20
        for _ in range(turns):
            wire.read(pace.reads)
            await asyncio.sleep(0)
    if hangs_up_after is not None:
        wire.hang_up()
    for _ in range(20_000):
        if wire.lost:
            break
        wire.read(max(pace.reads, 50))
        await asyncio.sleep(0)
    assert wire.lost, "the conversation did not end"
    for _ in range(5):
        await asyncio.sleep(0)
    assert not app.under_way
    del one, wire.protocol
    assert freed() is None
    return wire


def tried(request: pytest.FixtureRequest, share: int = 1) -> settings:
    count = request.config.getoption("--calls") or FEW
    return settings(
        max_examples=max(1, count // share), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What is freed here is freed without the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("tight", "uncollected")
def test_every_whole_request_is_answered_once_and_in_order(request: pytest.FixtureRequest) -> None:
    @tried(request)
    @given(CONVERSATION, PACE)
    def check(conversation: list[Sent], pace: Pace) -> None:
        app = Echo()
        wire = asyncio.run(converse(b"".join(sent.raw for sent in conversation), pace, app))
        compare(conversation, answers(wire.written), app)

    check()


@pytest.mark.usefixtures("tight", "uncollected")
def test_hang_up_at_any_time_ends_what_is_under_way_and_frees_it(request: pytest.FixtureRequest) -> None:
    @tried(request, share=2)
    @given(CONVERSATION, PACE, st.integers(0, 60))
    def check(conversation: list[Sent], pace: Pace, after: int) -> None:
        app = Echo()
        asyncio.run(converse(b"".join(sent.raw for sent in conversation), pace, app, hangs_up_after=after))
        whole = [sent.echo for sent in conversation if sent.status == 200]
        assert app.asked == whole[: len(app.asked)]

    check()


@pytest.mark.usefixtures("tight")
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_every_whole_request_is_answered_over_a_socket(request: pytest.FixtureRequest, loop: Any) -> None:
    @tried(request, share=5)
    @given(CONVERSATION, PACE)
    def check(conversation: list[Sent], pace: Pace) -> None:
        app = Echo()
        with asyncio.Runner(loop_factory=loop) as runner:
            received = runner.run(over_a_socket(b"".join(sent.raw for sent in conversation), pace, app))
        compare(conversation, answers(received), app)

    check()


async def over_a_socket(raw: bytes, pace: Pace, app: Echo) -> bytes:
    async with asyncio.timeout(20):
        with listener.bind("127.0.0.1", 0) as listening:
            ready = asyncio.Event()
            serving = asyncio.create_task(listener.serve(app, listening, ready.set, grace_s=1))
            await ready.wait()
            reader, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
            reading = asyncio.create_task(reader.read())
            with suppress(ConnectionError):
                for piece, turns in pace.pieces(raw):
                    writer.write(piece)
                    await writer.drain()
                    for _ in range(turns):
                        await asyncio.sleep(0)
            received = await reading
            writer.close()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
    return received


SCRAPS = [
    *(GET, b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"0", b"1", b"a", b";", b"\0", b"\xff", b"chunked", b"identity"),
    *(b"POST /x HTTP/1.1\r\n", b"host: h\r\n", b"turns: 0\r\n", b"content-length: 3\r\n", b"Content-Length: 0\r\n"),
    *(
        b"transfer-encoding: chunked\r\n",
        b"transfer-encoding: gzip, chunked\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"abc",
    ),
    *(
        b"connection: close\r\n",
        b"connection: keep-alive\r\n",
        b" HTTP/1.0\r\n",
        b"HTTP/1.1",
        b"http://h/x",
        b"+",
        b"-",
    ),
]


def by_h11(raw: bytes) -> list[bytes]:
    """What another reader of HTTP finds, up to the first fault."""
    found: list[bytes] = []
    server = h11.Connection(h11.SERVER)
    server.receive_data(raw)
    with suppress(h11.RemoteProtocolError):
        while True:
            head = server.next_event()
            if not isinstance(head, h11.Request):
                break
            body = b""
            while isinstance(event := server.next_event(), h11.Data):
                body += bytes(event.data)
            if not isinstance(event, h11.EndOfMessage):
                break
            path = connection_path(head.target)
            found.append(head.method + b" " + path + b" " + body)
            server.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            server.send(h11.EndOfMessage())
            if server.our_state is not h11.DONE or server.their_state is not h11.DONE:
                break
            server.start_next_cycle()
    return found


def connection_path(target: bytes) -> bytes:
    return target.removeprefix(b"http://h").partition(b"?")[0]


@pytest.mark.usefixtures("tight")
def test_no_body_is_read_otherwise_than_by_another_reader(request: pytest.FixtureRequest) -> None:
    """What one of the two refuses, the other may take; what both take, both understand alike."""

    @tried(request, share=1)
    @given(st.lists(st.sampled_from(SCRAPS) | st.binary(max_size=3), max_size=30).map(b"".join), PACE)
    def check(scraps: bytes, pace: Pace) -> None:
        app = Echo()
        raw = b"POST /x HTTP/1.1\r\nhost: h\r\nturns: 0\r\n" + scraps
        asyncio.run(converse(raw, pace, app, hangs_up_after=999))
        for ours, theirs in zip(app.asked, by_h11(raw), strict=False):
            assert ours == theirs

    check()
