"""A stand-in for a server we cannot run here: it lists that server's real tools and answers every call with an echo.

    python -m examples.stand_in examples/catalogue/bybit-tools.json [--log FILE] [--http PORT]

It knows nothing of policy. `--log` appends one JSON line per call that reached it: what a gateway let through.
"""

import argparse
import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server

Record = Callable[[str, dict[str, Any]], None]


def build(catalogue: Path, record: Record) -> Server[Any]:
    """A server with exactly the catalogue's tools; `record` is told of each call before it is answered."""
    document = json.loads(catalogue.read_text(encoding="utf-8"))
    tools = [types.Tool.model_validate(tool) for tool in document["tools"]]

    async def list_tools(
        _context: ServerRequestContext[Any], _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def call_tool(
        _context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        arguments = params.arguments or {}
        record(params.name, arguments)
        text = f"{params.name} {json.dumps(arguments, sort_keys=True)}"
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)])

    meta = document["meta"]
    return Server(
        meta["server_name_reported"], version=meta["version"], on_list_tools=list_tools, on_call_tool=call_tool
    )


def recorder(log: Path | None) -> Record:
    """Writes each call as a JSON line to `log`, flushed at once; without a log it does nothing."""
    if log is None:
        return lambda _tool, _arguments: None

    def record(tool: str, arguments: dict[str, Any]) -> None:
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"tool": tool, "arguments": arguments}) + "\n")

    return record


async def _serve_stdio(server: Server[Any]) -> None:
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


async def _serve_http(server: Server[Any], port: int) -> None:
    app = server.streamable_http_app()
    await uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning")).serve()


def main() -> None:
    """Serves over stdio, or over streamable HTTP at `/mcp` on the port given."""
    parser = argparse.ArgumentParser(prog="python -m examples.stand_in", description="A stand-in MCP server.")
    parser.add_argument("catalogue", type=Path, help="a JSON file with meta and tools")
    parser.add_argument("--log", type=Path, help="append one JSON line per call received")
    parser.add_argument("--http", type=int, metavar="PORT", help="streamable HTTP on 127.0.0.1 instead of stdio")
    options = parser.parse_args()
    server = build(options.catalogue, recorder(options.log))
    if options.http is None:
        asyncio.run(_serve_stdio(server))
    else:
        asyncio.run(_serve_http(server, options.http))


if __name__ == "__main__":
    main()
