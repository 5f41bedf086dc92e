"""A socket and the connections on it, until told to stop. Knows no MCP."""

import asyncio
import socket
from collections.abc import Callable

from sidecar.downstream import connection
from sidecar.downstream.connection import Connection
from sidecar.downstream.request import Service

_BACKLOG = 2048
_POLL_S = 0.01


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises: OSError (in use, not ours, no such address)."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family, backlog=_BACKLOG)


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
                one.sweep(loop.time())
    except asyncio.CancelledError:
        server.close()
        await _wind_up(connections, loop.time() + grace_s)


async def _wind_up(connections: set[Connection], until: float) -> None:
    loop = asyncio.get_running_loop()
    answers = {task for one in tuple(connections) if (task := one.stop()) is not None}
    while connections and loop.time() < until:  # noqa: ASYNC110 - the last moments, once
        await asyncio.sleep(_POLL_S)
    for one in tuple(connections):
        one.abort()
    await asyncio.gather(*answers, return_exceptions=True)
