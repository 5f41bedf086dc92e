"""An HTTP/1.1 client for the call path: keep-alive connections over TCP, TLS or a unix socket.

Only what the call path needs: POST, GET and DELETE of bytes at hand, answers whole or streamed. No redirects,
no proxies, no decompression, no cookies. Everything off the hot path uses httpx.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import cast

import httptools

from sidecar.errors import Broken, TimedOut, Unreachable

_HIGH_WATER_BYTES = 256 * 1024
_HEADER_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect: a unix socket path, or host and port with TLS or without."""

    host: str = "localhost"
    port: int = 0
    tls: ssl.SSLContext | None = None
    socket_path: str | None = None


class Response:
    """Status, lower-case headers, and a body that is whole (`body`) or still arriving (`chunks`)."""

    __slots__ = ("_connection", "body", "headers", "status")

    def __init__(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes | None, connection: "_Connection | None"
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


class Client:
    """A pool of keep-alive connections to one origin; one request at a time on each.

    Units: `connect_timeout_s` bounds the connection, `idle_s` how long an unused one is kept.
    """

    def __init__(self, origin: Origin, *, connect_timeout_s: float = 10.0, idle_s: float = 3.0) -> None:
        self._origin = origin
        self._connect_timeout_s = connect_timeout_s
        self._idle_s = idle_s
        self._idle: deque[_Connection] = deque()
        self._all: set[_Connection] = set()
        self._closed = False

    async def request(self, data: bytes, *, timeout_s: float | None, retry_stale: bool = False) -> Response:
        """Sends one whole request (head and body) and returns its answer once the head is there.

        `timeout_s` bounds the time to the head. `retry_stale` sends again on a fresh connection when a kept one
        closed without a byte: only for questions that may be asked twice.
        Raises: Unreachable (nothing was sent), TimedOut, Broken (sent; may have run).
        """
        connection = self._reusable()
        kept = connection is not None
        if connection is None:
            connection = await self._connect()
        try:
            return await connection.exchange(data, timeout_s)
        except Broken:
            if not (kept and retry_stale and connection.silent):
                raise
        fresh = await self._connect()
        return await fresh.exchange(data, timeout_s)

    def close(self) -> None:
        """Closes every connection; requests under way end as Broken."""
        self._closed = True
        for connection in list(self._all):
            connection.abort()

    def _reusable(self) -> "_Connection | None":
        idle = self._idle
        oldest = asyncio.get_running_loop().time() - self._idle_s
        while idle and idle[0].idle_since < oldest:
            idle.popleft().abort()
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> "_Connection":
        if self._closed:
            raise Unreachable("The connection pool is closed.")
        loop = asyncio.get_running_loop()
        origin = self._origin

        def factory() -> _Connection:
            return _Connection(self._park, self._all.discard)

        try:
            async with asyncio.timeout(self._connect_timeout_s):
                if origin.socket_path is not None:
                    _, connection = await loop.create_unix_connection(factory, origin.socket_path)
                else:
                    _, connection = await loop.create_connection(
                        factory, origin.host, origin.port, ssl=origin.tls, server_hostname=_server_name(origin)
                    )
        except TimeoutError as error:
            raise Unreachable(f"No connection within {self._connect_timeout_s:g} s.") from error
        except OSError as error:
            raise Unreachable(f"No connection: {error.strerror or type(error).__name__}.") from error
        self._all.add(connection)
        return connection

    def _park(self, connection: "_Connection") -> None:
        if self._closed:
            connection.abort()
        else:
            self._idle.append(connection)


def _server_name(origin: Origin) -> str | None:
    return origin.host if origin.tls is not None else None


class _Connection(asyncio.Protocol):
    """One connection. Between two requests it is parked with its pool."""

    def __init__(self, park: Callable[["_Connection"], None], forget: Callable[["_Connection"], None]) -> None:
        self._park = park
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._reader: asyncio.Future[None] | None = None
        self.idle_since = 0.0
        self.silent = True
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
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
        timer = None if timeout_s is None else self._loop.call_later(timeout_s, self._late, waiter, timeout_s)
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
            if timer is not None:
                timer.cancel()

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

    def _late(self, waiter: "asyncio.Future[Response]", timeout_s: float) -> None:
        if not waiter.done():
            waiter.set_exception(TimedOut(f"No answer within {timeout_s:g} s."))
            self.abort()

    def _fail(self, message: str) -> None:
        if self._broken is None and not self._complete:
            self._broken = Broken(message)

    def _framed(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self._headers)
