"""Requests told in the same bytes as the one before, which need no parsing. No sockets, and no MCP.

A client that stays sends one head again and again; only the length in it changes, and the body.
"""

import re

from sidecar.downstream.request import Head, Request

KEPT_BYTES = 4096
"""Longer heads are not kept."""

_length = re.compile(rb"\r\ncontent-length: ?([0-9]{1,9})(?=\r\n)", re.IGNORECASE)


class Repeats:
    """What the last request of a connection looked like that came whole, in one read, and left the connection open.

    What follows a head decides nothing of it, so the same bytes are the same head; and where the length says that all
    the rest is the body, it is one whole request, just as the parser would read it.
    """

    __slots__ = ("_after", "_before", "_head")

    def __init__(self) -> None:
        self._head: Head | None = None
        self._before = self._after = b""

    def learn(self, data: bytes, request: Request) -> None:
        """A request was whole, and the last thing in `data`, which began with a request."""
        size_bytes = len(data) - request.size_bytes
        told = data[:size_bytes]
        if size_bytes > KEPT_BYTES or not request.keeps_alive or told.find(b"\r\n\r\n") != size_bytes - 4:
            return
        lengths = list(_length.finditer(told))
        if len(lengths) == 1 and int(lengths[0][1]) == request.size_bytes:
            begin, end = lengths[0].span(1)
            self._head, self._before, self._after = request.head, told[:begin], told[end:]

    def read(self, data: bytes) -> Request | None:
        """The one whole request in `data`, if its head is the one that was learned; to be asked between requests."""
        last, before, after = self._head, self._before, self._after
        if last is None or not data.startswith(before):
            return None
        end = data.find(b"\r", len(before))
        length = data[len(before) : end]
        size_bytes = len(data) - end - len(after)
        if not (length.isdigit() and data.startswith(after, end) and len(length) < 10 and int(length) == size_bytes):
            return None
        self._head = head = Head(last.method, last.path, last.headers, length, last)
        return Request(
            head,
            is_chunkable=True,
            keeps_alive=True,
            body=data[end + len(after) :],
            size_bytes=size_bytes,
            complete=True,
        )
