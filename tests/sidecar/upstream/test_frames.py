import struct

import pytest

from sidecar.upstream.frames import STDERR, STDOUT, FrameSplitter, Unframed


def frame(stream: int, text: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(text)) + text


SENT = (
    frame(STDOUT, b"one\n") + frame(STDERR, b"log\n") + frame(STDOUT, b"") + frame(STDOUT, b"t" * 300) + frame(1, b"!")
)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 100, len(SENT)])
def test_frames_are_the_same_however_the_bytes_come(size: int) -> None:
    frames = FrameSplitter()
    pieces = [piece for start in range(0, len(SENT), size) for piece in frames.feed(SENT[start : start + size])]
    assert b"".join(text for stream, text in pieces if stream == STDOUT) == b"one\n" + b"t" * 300 + b"!"
    assert b"".join(text for stream, text in pieces if stream == STDERR) == b"log\n"


@pytest.mark.parametrize("sent", [b"HTTP/1.1", b"\0\0\0\0\0\0\0\1x", b"\1\0\1\0\0\0\0\1x"])
def test_frames_that_are_none_are_refused(sent: bytes) -> None:
    with pytest.raises(Unframed):
        FrameSplitter().feed(sent)
