"""An MCP server with every feature the conformance suite asks for, of both eras; over stdio, or HTTP with `--http`.

python tests/servers/everything [--http PORT]      # PORT 0 takes any free one; its URL is the first line of stdout
"""

import argparse
import asyncio
import socket
import sys
import warnings

import mcp_types as types
import skills
import tasks
import tools
from documents import complete, get_prompt, list_prompts, list_resources, list_templates, read_resource
from mcp.server import Server
from mcp.server.caching import CACHEABLE_METHODS, CacheHint
from mcp.server.lowlevel import NotificationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp.server.subscriptions import ListenHandler

NAME = "everything"
RETRY_MS = 200


class Memory(EventStore):
    """Every event of every stream, for as long as the process lives."""

    def __init__(self) -> None:
        self._events: list[tuple[StreamId, types.JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: StreamId, message: types.JSONRPCMessage | None) -> EventId:
        self._events.append((stream_id, message))
        return str(len(self._events) - 1)

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        last = int(last_event_id)
        stream = self._events[last][0]
        for number, (owner, message) in enumerate(self._events[last + 1 :], start=last + 1):
            if owner == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


async def acknowledge(_context: object, _params: object) -> types.EmptyResult:
    return types.EmptyResult()


def build() -> Server:
    server: Server = Server(
        NAME,
        version="1",
        cache_hints={method: CacheHint(ttl_ms=60_000, scope="public") for method in CACHEABLE_METHODS},
        get_tool_input_schema=tools.schema_of,
        on_list_tools=tools.list_tools,
        on_call_tool=tools.call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=acknowledge,
        on_unsubscribe_resource=acknowledge,
        on_subscriptions_listen=ListenHandler(tools.CHANGES),
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_set_logging_level=acknowledge,
    )
    server.extensions = {tasks.EXTENSION: {}, skills.EXTENSION: skills.SETTINGS}
    for method, (params, handler) in (*tasks.METHODS.items(), *skills.METHODS.items()):
        server.add_request_handler(method, params, handler)
    server.middleware.append(RequestStateBoundary(RequestStateSecurity(keys=["k" * 32]), default_audience=NAME))
    return server


async def over_stdio(server: Server) -> None:
    async with stdio_server() as (incoming, outgoing):
        changing = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        await server.run(incoming, outgoing, server.create_initialization_options(changing))


def over_http(server: Server, port: int) -> None:
    import uvicorn  # not before: over stdio every session starts a process

    listening = socket.create_server(("127.0.0.1", port))
    sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp\n")
    sys.stdout.flush()
    app = server.streamable_http_app(event_store=Memory(), retry_interval=RETRY_MS)
    # h11 takes the blanks around a header's value off; httptools leaves those behind it.
    uvicorn.Server(uvicorn.Config(app, http="h11", log_level="warning")).run(sockets=[listening])


def main() -> None:
    warnings.simplefilter("ignore")  # the SDK warns of what the newer revision deprecates
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int, metavar="PORT")
    port = parser.parse_args().http
    if port is None:
        asyncio.run(over_stdio(build()))
    else:
        over_http(build(), port)


main()
