"""A socket and the connections on it, until told to stop. Knows no MCP."""

import asyncio
import socket
from collections.abc import Callable

from sidecar.downstream import connection
from sidecar.downstream.certificates import Certificates
from sidecar.downstream.connection import Connection
from sidecar.downstream.guard import RequestRefused
from sidecar.downstream.leaving import Leaving
from sidecar.downstream.request import Service, Whole
from sidecar.downstream.surplus import Surplus

MAX_CONNECTIONS = 4096
_BACKLOG = 2048
_KEEPALIVE_S = 60
_POLL_S = 0.01
_HANDSHAKE_S = 15.0
_CLOSE_S = 2.0


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; its connections notice a peer that vanishes. Raises: OSError (in use, no such address)."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    made = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)
    return made


async def serve(
    service: Service,
    listening: socket.socket,
    started: Callable[[], None],
    *,
    grace_s: float,
    leaving: Leaving | None = None,
    tls: Certificates | None = None,
    connections: set[Connection] | None = None,
    max_connections: int = MAX_CONNECTIONS,
) -> None:
    """Serves until cancelled, or until it is time to leave; then answers what is under way, closes all, and returns.

    Units: `grace_s` is how long that may take once cancelled; `leaving` has its own time. `connections` holds those
    that are open, at most `max_connections`: the next is told so, and closed. With `tls`, what it holds is used for new
    connections as soon as it changes.
    """
    leaving = leaving if leaving is not None else Leaving(0, 0)
    door = _Door(service, listening, leaving, tls, connections if connections is not None else set(), max_connections)
    await door.open()
    try:
        leaving.serving(door.wane)
        started()
        await door.keep()
        patience_s = leaving.finish_s
        await asyncio.sleep(_POLL_S)  # whoever is connected already, but not yet taken, is
    except asyncio.CancelledError:
        leaving.has_begun = True
        patience_s = grace_s
    door.close()
    await door.wind_up(patience_s)


class _Door:
    """The socket, and the connections that came by it."""

    def __init__(
        self,
        service: Service,
        listening: socket.socket,
        leaving: Leaving,
        tls: Certificates | None,
        connections: set[Connection],
        max_connections: int,
    ) -> None:
        self._service = service
        self._listening = listening
        self._leaving = leaving
        self._tls = tls
        self._connections = connections
        self._max_connections = max_connections
        self._surplus: set[Surplus] = set()
        self._refusal: Whole | None = None
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Takes connections, from now on with the certificates as they are now. Those that are open stay."""
        before = self._server
        tls = self._tls
        self._server = await self._loop.create_server(
            self._connection,
            sock=self._listening.dup(),
            backlog=_BACKLOG,
            ssl=tls.context if tls is not None else None,
            ssl_handshake_timeout=_HANDSHAKE_S if tls is not None else None,
            ssl_shutdown_timeout=_CLOSE_S if tls is not None else None,
        )
        if before is not None:
            before.close()

    def close(self) -> None:
        """Takes no more connections."""
        assert self._server is not None
        self._server.close()
        self._listening.close()

    async def keep(self) -> None:
        """Ends what is late, and follows the certificates, until it is time to leave."""
        while not self._leaving.due.is_set():
            waiting = asyncio.ensure_future(self._leaving.due.wait())
            try:
                await asyncio.wait([waiting], timeout=connection.SWEEP_S)
            finally:
                waiting.cancel()
            self._sweep()
            if self._tls is not None and self._tls.renew():
                await self.open()

    def wane(self) -> None:
        """Every answer from now on is the last one on its connection."""
        for one in tuple(self._connections):
            one.wane()

    async def wind_up(self, patience_s: float) -> None:
        """Has everything under way answered within this time. Streams that would last are ended behind the rest."""
        answers = set[asyncio.Task[None]]()
        until = self._loop.time() + patience_s
        sweep_at = self._loop.time() + connection.SWEEP_S
        while True:
            answers.update(task for one in tuple(self._connections) if (task := one.stop()) is not None)
            late = self._leaving.is_hurried or self._loop.time() >= until
            if late or all(one.outlet.lasts for one in self._connections):
                for one in tuple(self._connections):
                    one.outlet.leave()
            if late or not self._connections:
                break
            await asyncio.sleep(_POLL_S)
            if self._loop.time() >= sweep_at:
                sweep_at += connection.SWEEP_S
                self._sweep()
        if self._connections:
            await asyncio.sleep(_POLL_S)
        for one in tuple(self._connections):
            one.abort()
        await asyncio.gather(*answers, return_exceptions=True)

    def _connection(self) -> Connection | Surplus:
        if len(self._connections) >= self._max_connections:
            if self._refusal is None:  # told once, until there was room again
                error = RequestRefused(503, f"The limit of {self._max_connections} connections is reached.")
                self._refusal = self._service.refuse(None, error)
            return Surplus(self._refusal, self._surplus)
        self._refusal = None
        made = Connection(self._service, self._connections)
        if self._leaving.has_begun:
            made.wane()
        return made

    def _sweep(self) -> None:
        """A fault with one connection ends that one, and not the gateway."""
        for one in tuple(self._connections):
            try:
                one.sweep(self._loop.time())
            except Exception as error:
                self._loop.call_exception_handler(
                    {"message": "A connection could not be ended in order.", "exception": error}
                )
                one.abort()
