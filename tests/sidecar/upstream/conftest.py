"""Clients of the real servers under tests/servers, in either era."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.lines import Overlong
from sidecar.ports import Headers, Outgoing, Reply
from sidecar.upstream.stdio import LineUpstream, StdioUpstream
from sidecar.upstream.wire import Death

SERVERS = Path(__file__).parents[2] / "servers"
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


class Client:
    """Speaks to one upstream. With a `session` in the handshake era, without in the modern one."""

    def __init__(self, upstream: LineUpstream) -> None:
        self.upstream = upstream
        self.headers: Headers = ()

    async def initialize(self) -> Reply:
        return await self._send("initialize", 1, INITIALIZE, None)

    async def open(self) -> str:
        reply = await self.initialize()
        assert reply.status == 200, reply
        session = dict(reply.headers)[b"mcp-session-id"].decode()
        await self.notify("notifications/initialized", session=session)
        return session

    async def notify(self, method: str, params: dict[str, Any] | None = None, *, session: str | None) -> Reply:
        return await self._send(method, None, params or {}, session)

    async def respond(self, request_id: Any, result: Any, session: str) -> Reply:
        raw = json.dumps({"jsonrpc": "2.0", "id": request_id, "result": result}).encode()
        return await self.upstream.send(Outgoing(raw, None, request_id, session=session))

    async def request(
        self, method: str, request_id: Any = 7, params: dict[str, Any] | None = None, session: str | None = None
    ) -> Reply:
        return await self._send(method, request_id, params or {}, session)

    async def call(
        self, tool: str, request_id: Any = 7, session: str | None = None, token: Any = None, **arguments: Any
    ) -> Reply:
        params: dict[str, Any] = {"name": tool, "arguments": arguments}
        if token is not None:
            params["_meta"] = {"progressToken": token}
        return await self._send("tools/call", request_id, params, session)

    async def text(self, tool: str, request_id: Any = 7, session: str | None = None, **arguments: Any) -> str:
        return said(await whole(await self.call(tool, request_id, session, **arguments)))

    async def _send(self, method: str, request_id: Any, params: dict[str, Any], session: str | None) -> Reply:
        modern = session is None and method != "initialize"
        if modern:
            params = {**params, "_meta": {**MODERN, **params.get("_meta", {})}}
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        if request_id is None:
            del message["id"]
        raw = json.dumps(message).encode()
        return await self.upstream.send(Outgoing(raw, method, request_id, self.headers, session, modern))


async def whole(reply: Reply) -> Reply:
    """The reply, or the last message of its stream as one."""
    if reply.events is None:
        return reply
    *_, last = [event.data async for event in reply.events]
    return Reply(reply.status, reply.headers, body=last)


def said(reply: Reply) -> str:
    """The text of a tool's answer."""
    assert reply.body is not None, reply
    text: str = json.loads(reply.body)["result"]["content"][0]["text"]
    return text


@pytest.fixture
def collected() -> Callable[[Reply], Awaitable[list[Any]]]:
    """All messages of a stream, until its end."""

    async def collect(reply: Reply) -> list[Any]:
        assert reply.events is not None, reply
        return [json.loads(event.data) async for event in reply.events]

    return collect


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits, 10 s at most, for another process to have done its part."""

    async def wait(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 (another process tells nobody)
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
async def rogue() -> AsyncIterator[Callable[..., Client]]:
    """Makes clients of tests/servers/rogue.py with the given flags and options."""
    made: list[StdioUpstream] = []

    def make(*flags: str, **options: Any) -> Client:
        command = [sys.executable, "-S", str(SERVERS / "rogue.py"), *flags]
        made.append(StdioUpstream(command, **{"grace_s": 5.0, "answer_timeout_s": 20.0, **options}))
        return Client(made[-1])

    yield make
    for upstream in made:
        await upstream.close()


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[..., Client]]:
    """Makes clients of any command."""
    made: list[StdioUpstream] = []

    def make(*command: str, **options: Any) -> Client:
        made.append(StdioUpstream(command, **{"grace_s": 5.0, "answer_timeout_s": 60.0, **options}))
        return Client(made[-1])

    yield make
    for upstream in made:
        await upstream.close()


@pytest.fixture
def is_running() -> Callable[[int], bool]:
    """Whether a process runs; one that is dead and only not reaped does not."""

    def ask(pid: int) -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return state not in "ZX"

    def portable(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    return ask if sys.platform == "linux" else portable


class Ears:
    """Hears what a server says, and how it ends."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes | Overlong] = asyncio.Queue()
        self.death: asyncio.Future[Death] = asyncio.get_running_loop().create_future()

    def received(self, line: bytes) -> None:
        self.lines.put_nowait(line)

    def overlong(self, line: Overlong) -> None:
        self.lines.put_nowait(line)

    def died(self, death: Death) -> None:
        self.death.set_result(death)

    async def line(self) -> bytes | Overlong:
        return await asyncio.wait_for(self.lines.get(), 60)

    async def end(self) -> Death:
        return await asyncio.wait_for(asyncio.shield(self.death), 60)
