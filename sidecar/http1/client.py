"""A pool of connections to one origin, and one sweep for all their late answers."""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass

from sidecar.errors import Broken, Unreachable
from sidecar.http1.connection import Connection, Response


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect: a unix socket path, or host and port with TLS or without."""

    host: str = "localhost"
    port: int = 0
    tls: ssl.SSLContext | None = None
    socket_path: str | None = None


class Client:
    """A pool of keep-alive connections to one origin; one request at a time on each.

    `made_of` is what the connections are. Units: `connect_timeout_s` bounds the connection, `idle_s` how long an unused
    one is kept.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        connect_timeout_s: float = 10.0,
        idle_s: float = 3.0,
        made_of: type[Connection] = Connection,
    ) -> None:
        self._origin = origin
        self._connect_timeout_s = connect_timeout_s
        self._idle_s = idle_s
        self._made_of = made_of
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._swept_for_s = 0.0
        self._closed = False

    async def request(self, data: bytes, *, timeout_s: float | None, retry_stale: bool = False) -> Response:
        """Sends one whole request (head and body) and returns its answer once the head is there.

        `timeout_s` bounds the time to the head, give or take an eighth: one timer serves all requests, since one for
        each would cost more than its answer does. `retry_stale` sends again on a fresh connection when a kept one
        closed without a byte: only for questions that may be asked twice.
        Raises: Unreachable (nothing was sent), TimedOut, Broken (sent; may have run).
        """
        connection = self._reusable()
        kept = connection is not None
        if connection is None:
            connection = await self._connect()
        self._watch(timeout_s)
        try:
            return await connection.exchange(data, timeout_s)
        except Broken:
            if not (kept and retry_stale and connection.silent):
                raise
        fresh = await self._connect()
        self._watch(timeout_s)
        return await fresh.exchange(data, timeout_s)

    def close(self) -> None:
        """Closes every connection; requests under way end as Broken."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._all):
            connection.abort()

    def _watch(self, timeout_s: float | None) -> None:
        """Looks for late answers at least every eighth of this time, until nobody waits."""
        if timeout_s is None:
            return
        if self._sweep is not None:
            if timeout_s >= self._swept_for_s:
                return
            self._sweep.cancel()
        self._swept_for_s = timeout_s
        self._sweep = asyncio.get_running_loop().call_later(timeout_s / 8, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        self._sweep = None
        if any([connection.look(now) for connection in list(self._all)]):
            self._watch(self._swept_for_s)

    def _reusable(self) -> "Connection | None":
        idle = self._idle
        oldest = asyncio.get_running_loop().time() - self._idle_s
        while idle and idle[0].idle_since < oldest:
            idle.popleft().abort()
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> "Connection":
        if self._closed:
            raise Unreachable("The connection pool is closed.")
        loop = asyncio.get_running_loop()
        origin = self._origin

        def factory() -> Connection:
            return self._made_of(self._park, self._all.discard)

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

    def _park(self, connection: "Connection") -> None:
        if self._closed:
            connection.abort()
        else:
            self._idle.append(connection)


def _server_name(origin: Origin) -> str | None:
    return origin.host if origin.tls is not None else None
