"""An MCP server on the `mcp` SDK that does all a server may do beside answering.

    chatty.py LOG (stdio) | LOG FD (streamable HTTP at /mcp, resumable) | LOG FD sse (HTTP+SSE at /sse)

FD is a socket that listens. One line of LOG for each call that reached it, for each that was cancelled, and for each
DELETE; after each, a byte into the pipe LOG.bell, if somebody reads it.
"""

import asyncio
import os
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import NotificationOptions
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from starlette.types import ASGIApp, Receive, Scope, Send

LOG = Path(sys.argv[1])
server = MCPServer("chatty")
options = partial(
    server._lowlevel_server.create_initialization_options, notification_options=NotificationOptions(tools_changed=True)
)
server._lowlevel_server.create_initialization_options = options  # type: ignore[method-assign]


def note(text: str) -> None:
    with LOG.open("a", encoding="utf-8") as lines:
        lines.write(text + "\n")
    with suppress(OSError):
        bell = os.open(LOG.with_name(LOG.name + ".bell"), os.O_WRONLY | os.O_NONBLOCK)
        os.write(bell, b"!")
        os.close(bell)


class Events(EventStore):
    """All events of all sessions in one list, their ids its places: as careless as a server may be."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self.kept.append((stream_id, message))
        return str(len(self.kept))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        place = int(last_event_id)
        if not 0 < place <= len(self.kept):
            return None
        stream = self.kept[place - 1][0]
        for at, (stream_id, message) in enumerate(self.kept[place:], place + 1):
            if stream_id == stream and message is not None:
                await send_callback(EventMessage(message, str(at)))
        return stream


@server.tool()
async def echo(text: str) -> str:
    note(f"echo {text}")
    return text


@server.tool()
async def pay(amount: int) -> str:
    note(f"pay {amount}")
    return f"paid {amount}"


@server.tool()
async def secret() -> str:
    note("secret")
    return "secret"


@server.tool()
async def steps(ctx: Context) -> str:
    for step in (1, 2, 3):
        await ctx.report_progress(step, 3, f"step {step}")
    return "done"


@server.tool()
async def talk(ctx: Context) -> str:
    await ctx.session.send_log_message("info", "talked", related_request_id=ctx.request_id)
    return "talked"


@server.tool()
async def sample(ctx: Context) -> str:
    asked = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="a joke?"))
    answer = await ctx.session.create_message([asked], max_tokens=10, related_request_id=ctx.request_id)
    return f"sampled {getattr(answer.content, 'text', '')}"


@server.tool()
async def ask(ctx: Context) -> str:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    answer = await ctx.session.elicit_form("Who?", schema, related_request_id=ctx.request_id)
    return f"asked {answer.content}"


@server.tool()
async def roots(ctx: Context) -> str:
    return f"roots {[str(root.uri) for root in (await ctx.session.list_roots()).roots]}"


@server.tool()
async def ping(ctx: Context) -> str:
    await ctx.session.send_ping()
    return "pinged"


@server.tool()
async def wait() -> str:
    note("wait")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        note("cancelled")
        raise
    return "waited"


@server.tool()
async def hang_up(ctx: Context) -> str:
    # By then the client has an event id to come back with; a stream closed at once may be one that it never saw.
    await ctx.session.send_log_message("info", "hanging up", related_request_id=ctx.request_id)
    await ctx.close_sse_stream()
    # The SDK's server loses what is sent just while a stream is being resumed, which happens 0.1 s from now.
    await asyncio.sleep(1)
    return "came back"


class Recorded:
    """An app that notes each DELETE, and each GET that resumes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("DELETE", "GET"):
            headers = dict(scope["headers"])
            note(f"{scope['method']} {headers.get(b'last-event-id', b'-').decode()}")
        await self.app(scope, receive, send)


def main() -> None:
    if len(sys.argv) == 2:
        server.run("stdio")
        return
    app: ASGIApp = server.sse_app()
    if len(sys.argv) == 3:
        app = server.streamable_http_app(event_store=Events(), retry_interval=100)
    config = uvicorn.Config(Recorded(app), log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[2]))])


if __name__ == "__main__":
    main()
