"""An HTTP/1.1 request on its way in, and the bytes of its answer. No sockets, and no MCP. Source: RFC 9112."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol

import httptools
import msgspec

from sidecar.errors import SidecarError
from sidecar.ports import Headers

Pairs = list[tuple[bytes, bytes]]
Whole = tuple[int, Pairs, bytes]
"""A status, headers and a body."""

FINAL = frozenset({400, 408, 413, 417})
"""The statuses of refusals after which a connection is of no more use."""

BODILESS = frozenset({204, 304})
"""The statuses of answers that have no body."""

_LARGE_BYTES = 32 * 1024
_CHUNKED = b"transfer-encoding: chunked\r\n"
_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class Head(msgspec.Struct, eq=False):
    """A request's head. `headers` are lower-case name → values in order, `path` is as sent, without the query.

    The content length is not among the headers: with it, no two heads of a connection would be alike. `server`,
    `grant`, `forwarded` (the headers that go on) and `admitted` are filled in by the service as they become known.
    `twin` is the head before it on the connection, if all but its length was told in the same bytes: whatever was found
    of that holds here. It is let go once this one is admitted.
    """

    method: str
    path: str
    headers: dict[bytes, list[bytes]]
    length: bytes | None = None
    twin: "Head | None" = None
    server: str = ""
    grant: str = ""
    forwarded: Headers | None = None
    admitted: Any = None

    def __repr__(self) -> str:
        """No header: one of them is the token."""
        return f"<Head {self.method} {self.path}>"


class Writer(Protocol):
    """Takes one answer. Both return when the client has taken nearly all of it, and fail when it is gone."""

    async def write(self, status: int, headers: Pairs, body: bytes) -> None:
        """Sends a whole answer."""
        ...

    async def stream(
        self, status: int, headers: Pairs, chunks: AsyncGenerator[bytes, None], *, lasting: bool = False
    ) -> None:
        """Sends an answer as it comes, each part at once. One that is `lasting` ends when the gateway leaves."""
        ...


Answering = Callable[[bytes, Writer], Awaitable[None]]
"""Answers one admitted request: its whole body, and where the answer goes."""


class Service(Protocol):
    """What answers requests."""

    @property
    def body_limit_bytes(self) -> int:
        """The largest body."""
        ...

    def admit(self, head: Head) -> Answering:
        """How a request will be answered once its body is there. Raises: SidecarError, which `refuse` will tell."""
        ...

    def refuse(self, head: Head | None, error: SidecarError) -> Whole:
        """The answer to a request that is not admitted; without a head, to what is no request."""
        ...


NO_HEAD = Head("", "", {})


class Request(msgspec.Struct, eq=False):
    """One request while it arrives, and until it is its turn. HTTP/1.1 is `is_chunkable`, and kept alive unless told.

    `answering` and `refusal`: how it will be answered, one or the other once it is admitted.
    """

    head: Head
    is_chunkable: bool
    keeps_alive: bool
    begun: bool = False
    answering: Answering | None = None
    refusal: Whole | None = None
    body: bytes | bytearray = b""
    size_bytes: int = 0
    complete: bool = False

    def __repr__(self) -> str:
        """No body: it holds a call's arguments."""
        return f"<Request {self.head.method} {self.head.path}>"

    def admit(self, service: Service) -> None:
        """Has the service say how it will be answered."""
        try:
            self.answering = service.admit(self.head)
        except SidecarError as error:
            self.refuse(service.refuse(self.head, error))
        finally:
            self.head.twin = None

    def take(self, part: bytes) -> None:
        """Takes a part of the body."""
        if isinstance(self.body, bytearray):
            self.body += part
        else:
            self.body = bytearray(self.body) + part if self.body else part

    def refuse(self, refusal: Whole) -> None:
        """This is all that it will be answered."""
        self.body, self.refusal = b"", refusal
        self.keeps_alive = self.keeps_alive and refusal[0] not in FINAL


def path(target: bytes) -> str:
    """The path of a request's target, as it was sent."""
    if not target.startswith(b"/"):
        try:
            target = httptools.parse_url(target).path or b""
        except httptools.HttpParserInvalidURLError:
            return ""
    return target.partition(b"?")[0].decode("latin-1")


def whole(status: int, headers: Pairs, body: bytes, request: Request) -> tuple[bytes, ...]:
    """The bytes of a whole answer: in one piece, or two where joining them would copy much."""
    if status in BODILESS:
        return (_head(status, headers, b"", request),)
    head = _head(status, headers, b"content-length: %d\r\n" % len(body), request)
    if request.head.method == "HEAD":
        return (head,)
    return (head + body,) if len(body) < _LARGE_BYTES else (head, body)


def begin(status: int, headers: Pairs, request: Request) -> bytes:
    """The head of an answer whose body comes in parts."""
    return _head(status, headers, _CHUNKED if request.is_chunkable else b"", request)


def _head(status: int, headers: Pairs, framing: bytes, request: Request) -> bytes:
    """An answer's head. Raises: ValueError for a header that would end its line."""
    lines = _short_lines(status, *headers) if len(headers) == 1 else _lines(status, *headers)
    return b"%b%b%b\r\n" % (lines, framing, b"" if request.keeps_alive else b"connection: close\r\n")


def _lines(status: int, *headers: tuple[bytes, bytes]) -> bytes:
    lines = [_STATUS.get(status) or b"HTTP/1.1 %d \r\n" % status, *(b"%b: %b\r\n" % pair for pair in headers)]
    joined = b"".join(lines)
    if joined.count(b"\n") != len(lines) or joined.count(b"\r") != len(lines):
        raise ValueError("a header of the answer holds a line break")
    return joined


_short_lines = lru_cache(maxsize=64)(_lines)
"""Most answers have one header, and nearly always the same."""
