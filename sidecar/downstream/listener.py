"""A socket and the connections on it, until told to stop. Knows no MCP."""

import asyncio
import socket
from collections.abc import Callable

from sidecar.downstream import connection
from sidecar.downstream.connection import Connection
from sidecar.downstream.request import Service

_BACKLOG = 2048
_KEEPALIVE_S = 60
_POLL_S = 0.01


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; its connections notice a peer that vanishes. Raises: OSError (in use, no such address)."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    made = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)
    return made


async def serve(service: Service, listening: socket.socket, started: Callable[[], None], *, grace_s: float) -> None:
    """Serves until cancelled; then answers what is under way within `grace_s`, and returns."""
    loop = asyncio.get_running_loop()
    connections: set[Connection] = set()
    server = await loop.create_server(lambda: Connection(service, connections), sock=listening, backlog=_BACKLOG)
    try:
        started()
        while True:
            await asyncio.sleep(connection.SWEEP_S)
            for one in tuple(connections):
                _sweep(one, loop)
    except asyncio.CancelledError:
        server.close()
        await _wind_up(connections, loop.time() + grace_s)


def _sweep(one: Connection, loop: asyncio.AbstractEventLoop) -> None:
    """A fault with one connection ends that one, and not the gateway."""
    try:
        one.sweep(loop.time())
    except Exception as error:
        loop.call_exception_handler({"message": "A connection could not be ended in order.", "exception": error})
        one.abort()


async def _wind_up(connections: set[Connection], until: float) -> None:
    loop = asyncio.get_running_loop()
    answers = set[asyncio.Task[None]]()
    while True:
        answers.update(task for one in tuple(connections) if (task := one.stop()) is not None)
        if not connections or loop.time() >= until:
            break
        await asyncio.sleep(_POLL_S)
    for one in tuple(connections):
        one.abort()
    await asyncio.gather(*answers, return_exceptions=True)
