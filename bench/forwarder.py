"""The yardstick: a forwarder with no policy, `python -m bench.forwarder UPSTREAM_PORT READY_FILE`.

Uvicorn in front and the gateway's own HTTP client behind, as in the gateway; it reads a bounded body, passes the
allowed headers on and relays status, headers and body as they come. What the gateway costs beyond this is its work.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from sidecar.errors import UpstreamError
from sidecar.http1 import Client, Origin

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_LIMIT_BYTES = 4 * 1024 * 1024
_PASSED_ON = frozenset(
    [b"accept", b"content-type", b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"mcp-session-id", b"user-agent"]
)
_RELAYED = frozenset([b"content-type", b"mcp-session-id", b"cache-control"])


class TooLarge(Exception):
    """A body over the limit."""


class Forwarder:
    """An ASGI application that sends every request to one upstream."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._client: Client | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Forwards one HTTP request; 413 for a large body, 502 where the upstream fails."""
        if self._client is None:
            self._client = Client(Origin("127.0.0.1", self._port))
        try:
            body = await _body(receive)
            response = await self._client.request(self._request(scope, body), timeout_s=30)
        except TooLarge:
            await _answer(send, 413)
            return
        except UpstreamError:
            await _answer(send, 502)
            return
        headers = [(name, value) for name, value in response.headers if name in _RELAYED]
        if response.body is not None:
            await _answer(send, response.status, headers, response.body)
            return
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        async for chunk in response.chunks(30):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _request(self, scope: Message, body: bytes) -> bytes:
        lines = [b"%b: %b\r\n" % (name, value) for name, value in scope["headers"] if name in _PASSED_ON]
        return b"%b /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\n%bcontent-length: %d\r\n\r\n%b" % (
            scope["method"].encode(),
            b"".join(lines),
            len(body),
            body,
        )


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > _LIMIT_BYTES:
            raise TooLarge
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]] | None = None, body: bytes = b"") -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*(headers or []), length]})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serves on a free port of the loopback address and writes it to the ready file."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    config = uvicorn.Config(
        Forwarder(int(sys.argv[1])),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="error",
        access_log=False,
    )
    Path(sys.argv[2]).write_text(str(listener.getsockname()[1]), encoding="utf-8")
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
