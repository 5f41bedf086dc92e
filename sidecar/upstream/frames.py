"""The two output streams of a container on one connection: bytes ↔ pieces of each. No I/O.

Source: Docker Engine API, ContainerAttach, «Stream format»: a header of eight bytes (the stream's number, three zeros,
the length in four bytes, the highest first), then that many bytes.
"""

import struct

from sidecar.upstream.wire import STDERR, STDOUT

_HEADER = struct.Struct(">BxxxL")


class Unframed(ValueError):
    """What came is not made of frames."""


class FrameSplitter:
    """Cuts a connection's bytes into pieces of streams; keeps nothing but an unfinished header."""

    def __init__(self) -> None:
        self._header = b""
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The pieces in `data`, each with its stream. Raises: Unframed."""
        pieces = []
        while data:
            if self._left == 0:
                missing = _HEADER.size - len(self._header)
                self._header, data = self._header + data[:missing], data[missing:]
                if len(self._header) == _HEADER.size:
                    self._begin()
            else:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                pieces.append((self._stream, piece))
        return pieces

    def _begin(self) -> None:
        self._stream, self._left = _HEADER.unpack(self._header)
        if self._stream not in (STDOUT, STDERR) or self._header[1:4] != b"\0\0\0":
            raise Unframed("The connection to the container carries something else than its output.")
        self._header = b""
