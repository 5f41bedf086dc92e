import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.downstream import repeats
from sidecar.downstream.connection import Connection
from sidecar.downstream.guard import RequestRefused
from sidecar.downstream.repeats import Repeats
from sidecar.downstream.request import Answering, Head, Request, Whole, Writer
from sidecar.errors import SidecarError

TOLD = b"POST /x HTTP/1.1\r\nhost: h\r\nContent-Length: %d\r\na: b\r\n\r\n%b"
HEADERS = {b"host": [b"h"], b"a": [b"b"]}


def told(body: bytes) -> bytes:
    return TOLD % (len(body), body)


def learned(data: bytes, body: bytes, **changes: Any) -> Repeats:
    made = Repeats()
    request = Request(Head("POST", "/x", HEADERS, b"%d" % len(body)), True, True, size_bytes=len(body))
    for name, value in changes.items():
        setattr(request, name, value)
    made.learn(data, request)
    return made


@pytest.mark.parametrize("body", [b"", b"7", b"another body", b"\r\ncontent-length: 5\r\n\r\n"])
def test_request_with_the_same_head_is_read_whole_whatever_its_body(body: bytes) -> None:
    made = learned(told(b"one"), b"one")
    request = made.read(told(body))
    assert request is not None
    assert (request.head.method, request.head.path, request.head.headers) == ("POST", "/x", HEADERS)
    assert (request.head.length, request.body, request.size_bytes) == (b"%d" % len(body), body, len(body))
    assert request.complete
    assert request.keeps_alive
    assert request.is_chunkable
    again = made.read(told(b"third"))
    assert again is not None
    assert again.head.twin is request.head


@pytest.mark.parametrize(
    "data",
    [
        b"",
        told(b"body")[:10],
        told(b"body")[:-1],
        told(b"body") + b"P",
        told(b"body") + told(b"body"),
        told(b"body").replace(b": 4", b": +4"),
        told(b"body").replace(b": 4", b": "),
        told(b"body").replace(b": 4", b": 4 "),
        told(b"body").replace(b": 4", b": \xb2"),
        told(b"body").replace(b": 4", b": 00000000004"),
        told(b"body").replace(b": 4\r\n", b": 4\r\ncontent-length: 4\r\n"),
        told(b"body").replace(b"a: b", b"a: c"),
        told(b"body").replace(b"a: b", b"transfer-encoding: chunked\r\na: b"),
        told(b"body").replace(b"/x", b"/y"),
        told(b"body").replace(b"POST", b"GET"),
    ],
)
def test_anything_else_is_left_to_the_parser(data: bytes) -> None:
    assert learned(told(b"one"), b"one").read(data) is None


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        (told(b"one"), {"keeps_alive": False}),
        (told(b"one") + told(b"one"), {}),
        (told(b"").replace(b"content-length: 0\r\n", b"") + b"one", {}),
        (told(b"one").replace(b"Content-Length: 3", b"content-length:\t3"), {}),
        (told(b"one").replace(b"a: b", b"content-length: 3"), {}),
        (told(b"one").replace(b"\r\n\r\n", b"\n\n"), {}),
        (b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n", {}),
        (told(b"one").replace(b"a: b", b"a: " + b"b" * repeats.KEPT_BYTES), {}),
    ],
)
def test_what_is_not_one_plain_request_is_not_learned(data: bytes, changes: dict[str, Any]) -> None:
    made = learned(data, b"one", **changes)
    assert made.read(data) is None
    assert made.read(told(b"one")) is None


def test_nothing_is_read_before_something_is_learned() -> None:
    assert Repeats().read(told(b"one")) is None


class Wire(asyncio.Transport):
    """Keeps what is written, and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[bytes | str] = []

    def write(self, data: Any) -> None:
        self.said.append(bytes(data))

    def write_eof(self) -> None:
        self.said.append("eof")

    def close(self) -> None:
        self.said.append("close")

    def abort(self) -> None:
        self.said.append("abort")

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


class Echo:
    """Answers at once, or some turns of the loop later, with all that it was told."""

    body_limit_bytes = 300

    def admit(self, head: Head) -> Answering:
        if b"refuse" in head.headers:
            raise RequestRefused(int(head.headers[b"refuse"][0]), "no")

        async def answer(body: bytes, writer: Writer) -> None:
            for _ in range(len(body) % 3):
                await asyncio.sleep(0)
            await writer.write(200, [], repr((head.method, head.path, head.headers, head.length, body)).encode())

        return answer

    def refuse(self, _head: Head | None, error: SidecarError) -> Whole:
        return getattr(error, "http_status", 400), [], str(error).encode()


_lines = st.sampled_from(
    [
        b"",
        b"A: 1\r\n",
        b"refuse: 401\r\n",
        b"refuse: 413\r\n",
        b"connection: close\r\n",
        b"expect: x\r\n",
    ]
)
_lengths = st.sampled_from([b"content-length: %d\r\n", b"Content-Length:%d\r\n", b"content-length:  %d\r\n", b""])
_heads = st.builds(
    lambda start, first, length, last: start + first + length + last + b"\r\n",
    st.sampled_from([b"POST /x HTTP/1.1\r\n", b"POST /x HTTP/1.0\r\n", b"GET /y HTTP/1.1\r\n", b"POST /x HTTP/1.1\n"]),
    _lines,
    _lengths,
    _lines,
)
_bodies = st.one_of(
    st.binary(max_size=20), st.just(b"x" * 290), st.just(b"POST /x HTTP/1.1\r\ncontent-length: 1\r\n\r\n1")
)
_lies = st.sampled_from([0, 0, 0, 0, 1, -1])
_cuts = st.sampled_from([0, 0, 0, 5, 40])


def _said(reads: list[bytes], read: Callable[[Repeats, bytes], Request | None], turns: int = 4) -> list[bytes | str]:
    """All that a connection says to these reads, if what is learned of them is used so."""

    async def talk() -> list[bytes | str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Repeats, "read", read)
            one, wire = Connection(Echo(), set()), Wire()
            one.connection_made(wire)
            for data in reads:
                one.data_received(data)
                for _ in range(turns):
                    await asyncio.sleep(0)
            for _ in range(4 * len(reads)):
                await asyncio.sleep(0)
            one.connection_lost(None)
            await asyncio.sleep(0)
        return wire.said

    return asyncio.run(talk())


def test_repeated_request_waits_until_the_one_before_is_answered() -> None:
    reads = [told(b"ab"), told(b"abc"), told(b"a")]
    said = _said(reads, Repeats.read, turns=0)
    bodies = [answer.rpartition(b" b")[2] for answer in said if isinstance(answer, bytes)]
    assert bodies == [b"'ab')", b"'abc')", b"'a')"]
    assert said == _said(reads, lambda *_: None, turns=0)


@settings(max_examples=300, deadline=None)
@given(
    pool=st.lists(st.just(TOLD[:-2]) | _heads, min_size=1, max_size=3),
    sent=st.lists(st.tuples(st.integers(0, 2), _bodies, _lies, _cuts), min_size=1, max_size=8),
    turns=st.integers(0, 4),
)
def test_connection_says_the_same_with_and_without(
    pool: list[bytes], sent: list[tuple[int, bytes, int, int]], turns: int
) -> None:
    reads: list[bytes] = []
    for choice, body, lie, cut in sent:
        head = pool[choice % len(pool)]
        data = (head % max(0, len(body) + lie) if b"%d" in head else head) + body
        reads += [data[:cut], data[cut:]] if cut else [data]
    assert _said(reads, Repeats.read, turns) == _said(reads, lambda *_: None, turns)


def test_connection_uses_what_it_learned() -> None:
    uses = 0
    original = Repeats.read

    def read(self: Repeats, data: bytes) -> Request | None:
        nonlocal uses
        found = original(self, data)
        uses += found is not None
        return found

    reads = [told(b"one"), told(b"three"), told(b""), told(b"four"), told(b"x" * 400)]
    said = _said(reads, read)
    assert uses == 3
    assert [b"three" in answer for answer in said if isinstance(answer, bytes)] == [False, True, False, False, False]
    assert said[-2:] == _said(reads[-1:], read)


def test_parser_reads_no_line_that_ends_in_a_line_feed_only() -> None:
    bare = told(b"one").replace(b"\r\n", b"\n")
    assert [answer[:13] for answer in _said([bare, bare], Repeats.read) if isinstance(answer, bytes)] == [
        b"HTTP/1.1 400 "
    ]
