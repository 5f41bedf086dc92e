"""A web server that says what it is told to, and remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

Answers = Callable[["Asked"], Awaitable[bytes] | bytes]


@dataclass(frozen=True)
class Asked:
    """One request: its target, and its headers in lower case."""

    target: str
    headers: dict[str, str]


@dataclass
class Web:
    """`answers` is called for each request; what it gives back is sent as it is, then the connection is closed."""

    port: int = 0
    answers: Answers = lambda _: b"HTTP/1.1 404 x\r\n\r\n"
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            lines = [line.partition(": ") for line in head[1:] if line]
            request = Asked(head[0].split()[1], {name.lower(): value for name, _, value in lines})
            self.asked.append(request)
            sent = self.answers(request)
            writer.write(sent if isinstance(sent, bytes) else await sent)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def new_web() -> AsyncIterator[Callable[[], Awaitable[Web]]]:
    """Makes a web server on a port of its own."""
    servers = []

    async def make() -> Web:
        web = Web()
        server = await asyncio.start_server(web.serve, "127.0.0.1", 0)
        web.port = server.sockets[0].getsockname()[1]
        servers.append(server)
        return web

    yield make
    for server in servers:
        server.close()


@pytest.fixture
async def web(new_web: Callable[[], Awaitable[Web]]) -> Web:
    return await new_web()
