"""One connection to a server: a request written, its answer read, whole or as it comes. Knows no pool."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import cast

import httptools

from sidecar.errors import Broken, TimedOut, Unreachable

_HIGH_WATER_BYTES = 256 * 1024
_HEADER_LIMIT_BYTES = 64 * 1024


class Response:
    """Status, lower-case headers, and a body that is whole (`body`) or still arriving (`chunks`)."""

    __slots__ = ("_connection", "body", "headers", "status")

    def __init__(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes | None, connection: "Connection | None"
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self._connection = connection

    def header(self, name: bytes) -> bytes:
        """The first value of a header (lower-case name), or b""."""
        return next((value for key, value in self.headers if key == name), b"")

    async def read(self, limit_bytes: int, timeout_s: float | None = None) -> bytes:
        """The whole body. Raises: Broken (over the limit, or cut off), TimedOut (between two chunks)."""
        if self.body is not None:
            return self.body
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks(timeout_s):
            size += len(chunk)
            if size > limit_bytes:
                self.close()
                raise Broken(f"The server's answer is longer than {limit_bytes} bytes.")
            parts.append(chunk)
        self.body = b"".join(parts)
        return self.body

    async def chunks(self, timeout_s: float | None = None) -> AsyncGenerator[bytes, None]:
        """The body as it arrives. Leaving early closes the connection. Raises: Broken, TimedOut."""
        connection = self._connection
        if connection is None:
            if self.body:
                yield self.body
            return
        try:
            while (chunk := await connection.next_chunk(timeout_s)) is not None:
                yield chunk
        finally:
            if self._connection is not None:
                self._connection = None
                connection.release()

    def close(self) -> None:
        """Drops the rest of a body that is still arriving, and its connection."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None


class Connection(asyncio.Protocol):
    """One connection. Between two requests it is parked with its pool."""

    # fmt: off
    __slots__ = (
        "_body", "_body_bytes", "_broken", "_complete", "_forget", "_head_done", "_header_bytes", "_headers",
        "_interim", "_keeps_alive", "_late_at", "_loop", "_park", "_parser", "_paused", "_reader", "_status",
        "_streaming", "_timeout_s", "_transport", "_waiter", "idle_since", "silent",
    )
    # fmt: on

    def __init__(self, park: Callable[["Connection"], None], forget: Callable[["Connection"], None]) -> None:
        self._park = park
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._reader: asyncio.Future[None] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._late_at = 0.0
        self._timeout_s: float | None = None
        self.idle_since = 0.0
        self.silent = True
        self._begin()

    def _begin(self) -> None:
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._body: deque[bytes] = deque()
        self._body_bytes = 0
        self._head_done = False
        self._complete = False
        self._keeps_alive = False
        self._interim = False
        self._paused = False
        self._streaming = False
        self._broken: Broken | None = None

    @property
    def usable(self) -> bool:
        """Whether another request may be written here."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, data: bytes, timeout_s: float | None) -> Response:
        """Writes a request; the answer when its head, and with luck its body, is there."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise Unreachable("The connection closed before anything was sent.")
        self._begin()
        self.silent = True
        waiter: asyncio.Future[Response] = self._loop.create_future()
        self._waiter = waiter
        self._timeout_s = timeout_s
        if timeout_s is not None:
            self._late_at = self._loop.time() + timeout_s
        transport.write(data)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled() or self._streaming:
                self.abort()
            raise
        finally:
            if self._waiter is waiter:
                self._waiter = None

    def look(self, now: float) -> bool:
        """Gives up an answer that is late at this time of the loop; whether one is still waited for."""
        waiter = self._waiter
        if waiter is None or waiter.done() or self._timeout_s is None:
            return False
        if now < self._late_at:
            return True
        waiter.set_exception(TimedOut(f"No answer within {self._timeout_s:g} s."))
        self.abort()
        return False

    async def next_chunk(self, timeout_s: float | None) -> bytes | None:
        """The next part of a streamed body, or None at its end. Raises: Broken, TimedOut."""
        while not self._body:
            if self._complete:
                return None
            if self._broken is not None:
                raise self._broken
            self._reader = self._loop.create_future()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._reader
            except TimeoutError as error:
                self.abort()
                raise TimedOut(f"Nothing more came within {timeout_s:g} s.") from error
            finally:
                self._reader = None
        chunk = self._body.popleft()
        self._body_bytes -= len(chunk)
        if self._paused and self._body_bytes < _HIGH_WATER_BYTES and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return chunk

    def release(self) -> None:
        """Parks the connection after a whole streamed body, or drops it."""
        if self._complete and self._keeps_alive and self.usable:
            self._rest()
        else:
            self.abort()

    def abort(self) -> None:
        """Drops the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._forget(self)
        if self._head_done and not self._complete and not self._framed() and exc is None:
            self._complete = True
        else:
            self._fail("The connection closed before the answer was whole.")
        self._wake()

    def data_received(self, data: bytes) -> None:
        self.silent = False
        if self._waiter is None and not self._streaming:
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("The server's answer is not HTTP/1.1.")
            self.abort()
        self._wake()

    def on_message_begin(self) -> None:
        if self._complete:
            raise ValueError("an answer nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _HEADER_LIMIT_BYTES:
            raise ValueError("header too large")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if not 100 <= status < 600:
            raise ValueError("no such status")
        if status < 200:
            self._interim = True
            return
        self._status = status
        self._head_done = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > _HIGH_WATER_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            self._headers.clear()
            return
        self._complete = True
        self._keeps_alive = self._parser.should_keep_alive()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            if self._complete and self._head_done:
                response = Response(self._status, self._headers, b"".join(self._body), None)
                self._waiter = None
                if self._transport is not None and self._keeps_alive:
                    self._rest()
                else:
                    self.abort()
                waiter.set_result(response)
            elif self._broken is not None:
                waiter.set_exception(self._broken)
            elif self._head_done:
                self._streaming = True
                waiter.set_result(Response(self._status, self._headers, None, self))
        elif self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _rest(self) -> None:
        self._streaming = False
        if self._paused and self._transport is not None:
            self._transport.resume_reading()
            self._paused = False
        self.idle_since = self._loop.time()
        self._park(self)

    def _fail(self, message: str) -> None:
        if self._broken is None and not self._complete:
            self._broken = Broken(message)

    def _framed(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self._headers)


class Headless(Connection):
    """A connection to a server whose headers nobody asks for, which always says where its answers end: OPA."""

    __slots__ = ()

    on_header = None  # type: ignore[assignment]  # the parser then tells none

    def _framed(self) -> bool:
        return True
