"""Source: mcp-gateway.md G22."""

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.sse import Decoder, Place, SseEvent, encode, renamed
from sidecar.errors import Broken

STREAM = b'id: 1\ndata:\n\n: keep-alive\n\nevent: message\nid: 2\ndata: {"a":1}\nretry: 5\n\n'


def decode(stream: bytes, size: int = 1 << 20) -> list[SseEvent]:
    decoder = Decoder()
    return [event for at in range(0, len(stream), size) for event in decoder.feed(stream[at : at + size])]


def test_feed_stream_gives_its_events_with_every_byte() -> None:
    assert decode(STREAM) == [
        SseEvent(b"id: 1\ndata:\n\n", b"", b"1"),
        SseEvent(b": keep-alive\n\n", b""),
        SseEvent(b'event: message\nid: 2\ndata: {"a":1}\nretry: 5\n\n', b'{"a":1}', b"2", b"message"),
    ]


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data\n\n", [b""]),
        (b"data: a\r\n\r\n", [b"a"]),
        (b"data: a\r\r", [b"a"]),
        (b"data: a\rdata: b\r\n\n", [b"a\nb"]),
        (b"data: a\ndata\ndata: b\n\n", [b"a\n\nb"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\xef\xbb\xbf\ndata: a\n\n", [b"", b"a"]),
        (b"data: \xef\xbb\xbfa\n\n", [b"\xef\xbb\xbfa"]),
        (b"data: \xe2\x80\xa8\n\n", [b"\xe2\x80\xa8"]),
        (b"data: a", []),
        (b"data: a\n", []),
        (b"", []),
        (b"data: a\n\ndata: b\n\ndata: c\n", [b"a", b"b"]),
        (b"data: a:b: c\n\n", [b"a:b: c"]),
    ],
)
def test_feed_line_ends_and_fields_follow_the_standard(stream: bytes, data: list[bytes]) -> None:
    for size in (1, 2, 3, 1000):
        events = decode(stream, size)
        assert [event.data for event in events] == data


@pytest.mark.parametrize(
    ("stream", "raw"),
    [
        (b"data: a\n data: b\n\n", b"data: a\n\n"),
        (b"data: a\n\xef\xbb\xbfdata: b\n\n", b"data: a\n\n"),
        (b"Data: b\ndata: a\n\n", b"data: a\n\n"),
        (b"x\x0bdata: b\ndata: a\n\n", b"data: a\n\n"),
        (b": x\xe2\x80\xa8data: b\r\ndata: a\r\n\r\n", b"data: a\n\n"),
        (b"event: x\x1edata: b\ndata: a\n\n", b"data: a\n\n"),
        (b"id: x\xc2\x85data: b\ndata: a\n\n", b"data: a\n\n"),
        (b"id: 7\0\nid: 6\ndata: a\n\n", b"id: 6\ndata: a\n\n"),
        (b"retry: 1\x0c\ndata: a\n\n", b"data: a\n\n"),
        (b"id: 1\r\ndata: a\r\n\r\n", b"id: 1\r\ndata: a\r\n\r\n"),
    ],
)
def test_feed_lines_that_only_some_read_are_left_out(stream: bytes, raw: bytes) -> None:
    (event,) = decode(stream)
    assert (event.raw, event.data) == (raw, b"a")


def test_feed_event_of_nothing_but_such_lines_is_dropped() -> None:
    assert decode(b"\x0bdata: a\n\n:\x0bdata: b\n\ndata: c\n\n") == [SseEvent(b"data: c\n\n", b"c")]


def test_feed_cr_ends_an_event_at_once() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: a\r\r") == [SseEvent(b"data: a\r\r", b"a")]
    assert decoder.feed(b"\ndata: b\n\n") == [SseEvent(b"\ndata: b\n\n", b"b")]


def test_feed_empty_piece_between_cr_and_lf_changes_nothing() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: a\r") == []
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n\r\n") == [SseEvent(b"data: a\r\n\r\n", b"a")]


def test_rest_is_the_unfinished_tail() -> None:
    decoder = Decoder()
    decoder.feed(b"data: a\n\nid: 9\ndata: b")
    assert decoder.rest() == b"id: 9\ndata: b"


def test_feed_event_past_the_limit_breaks_after_those_before_it() -> None:
    for piece in (b"data: 1234567890\n\n", b"data: 1234567890", b"id: 1\nid: 2\nid: 3"):
        decoder = Decoder(limit_bytes=12)
        assert decoder.feed(b"data: a\n\n" + piece) == [SseEvent(b"data: a\n\n", b"a")]
        with pytest.raises(Broken):
            decoder.feed(b"")
        with pytest.raises(Broken):
            Decoder(limit_bytes=12).feed(piece)


def test_feed_event_at_the_limit_passes() -> None:
    assert len(Decoder(limit_bytes=9).feed(b"data: a\n\ndata: b\n\n")) == 2


def test_feed_single_bytes_takes_linear_time() -> None:
    def cost(size: int) -> float:
        stream = b"data: " + b"x" * size + b"\n\n"
        started = time.process_time()
        assert len(decode(stream, 1)) == 1
        return time.process_time() - started

    assert cost(80_000) < 60 * cost(8_000) + 0.5


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"{}", b"data: {}\n\n"),
        (b"", b"data: \n\n"),
        (b"{\n}", b"data: {\ndata: }\n\n"),
        (b"{\r\n\r}", b"data: {\ndata: \ndata: }\n\n"),
    ],
)
def test_encode_writes_one_event(data: bytes, expected: bytes) -> None:
    assert encode(data) == expected
    assert [event.data.split() for event in decode(expected)] == [data.split()]


# fmt: off
LINES = st.sampled_from([
    b"data: a", b"data:b", b"id: 1", b": c", b"event: x", b"retry: 1", b"odd", b"\xef\xbb\xbf", b"\x0b",
    b"\xe2\x80\xa8", b"",
])
# fmt: on
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r", b"\r\n"]))).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


CUTS = st.lists(st.integers(0, 200), max_size=8)


def in_pieces(decoder: Decoder, stream: bytes, cuts: list[int]) -> list[SseEvent]:
    bounds = [0, *sorted(cuts), len(stream)]
    return [event for start, end in pairwise(bounds) for event in decoder.feed(stream[start:end])]


@given(STREAMS, CUTS)
def test_feed_any_pieces_give_the_same_events(stream: bytes, cuts: list[int]) -> None:
    found, expected = in_pieces(Decoder(), stream, cuts), Decoder().feed(stream)
    assert [(event.data, event.id, event.kind) for event in found] == [
        (event.data, event.id, event.kind) for event in expected
    ]


@given(
    STREAMS.map(lambda stream: stream.replace(b"odd", b"data").translate(None, b"\xe2\x80\xa8\x0b\xef\xbb\xbf")), CUTS
)
def test_feed_any_pieces_of_a_plain_stream_keep_every_byte(stream: bytes, cuts: list[int]) -> None:
    decoder = Decoder()
    assert b"".join(event.raw for event in in_pieces(decoder, stream, cuts)) + decoder.rest() == stream


@pytest.mark.parametrize(
    ("events", "last_id", "retry_s"),
    [
        ([], None, None),
        ([b"\xef\xbb\xbfid: 7\nretry: 250\ndata: x\n\n", b"data: y\n\n"], b"7", 0.25),
        ([b"id:7\r\n\r\n", b"id: a\0b\n\n"], b"7", None),
        ([b"id: 7\n\n", b"id\n\n", b"retry: soon\n\n", b"retry: 12345678901\n\n"], None, None),
    ],
)
def test_place_is_the_last_id_and_the_last_wait(events: list[bytes], last_id: bytes | None, retry_s: Any) -> None:
    place = Place()
    for raw in events:
        place.note(raw)
    assert (place.last_id, place.retry_s) == (last_id, retry_s)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: x\n\n", b"data: x\n\n"),
        (b"id: 7\ndata: id: 8\n\n", b"id: <7>\ndata: id: 8\n\n"),
        (b"\xef\xbb\xbfid:7\r\ndata: x\r\rid: 8\r\r", b"\xef\xbb\xbfid: <7>\r\ndata: x\r\rid: <8>\r\r"),
        (b"id:\nid: \nid\n\n", b"id:\nid: \nid\n\n"),
        (b"id:  7\n\n", b"id: < 7>\n\n"),
    ],
)
def test_renamed_event_has_other_ids_and_is_the_same_else(raw: bytes, expected: bytes) -> None:
    assert renamed(raw, lambda event_id: b"<%b>" % event_id) == expected
