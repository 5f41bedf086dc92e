"""An MCP server over HTTP whose calls wait until they are let go by a POST to /release; logs what reaches it.

    patient.py PORT LOG

`stream` answers as an event stream, any other tool at once and whole. A GET is a stream that says nothing, for ever.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

LOG = Path(sys.argv[2])
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("whole", "stream", "quick")]
released = asyncio.Event()


def note(text: str) -> None:
    with LOG.open("a", encoding="utf-8") as lines:
        lines.write(text + "\n")


def _result(message: dict[str, Any]) -> dict[str, Any]:
    match message.get("method"):
        case "initialize":
            found: dict[str, Any] = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}
            found["serverInfo"] = {"name": "patient", "version": "1"}
        case "tools/list":
            found = {"tools": TOOLS}
        case _:
            found = {"content": [{"type": "text", "text": "done"}]}
    return {"jsonrpc": "2.0", "id": message.get("id"), "result": found}


async def _events(message: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    yield b": soon\n\n"
    await released.wait()
    yield b"data: " + json.dumps(_result(message)).encode() + b"\n\n"


async def _silence() -> AsyncGenerator[bytes, None]:
    yield b": listening\n\n"
    await asyncio.Event().wait()


async def mcp(request: Request) -> Response:
    if request.method == "GET":
        return StreamingResponse(_silence(), media_type="text/event-stream")
    message = await request.json()
    if "id" not in message:
        return Response(status_code=202)
    tool = message["params"]["name"] if message["method"] == "tools/call" else "quick"
    note(f"{message['method']} {tool} {message['id']}")
    if tool == "stream":
        return StreamingResponse(_events(message), media_type="text/event-stream")
    if tool == "whole":
        await released.wait()
    return JSONResponse(_result(message))


async def release(_request: Request) -> Response:
    released.set()
    return Response()


app = Starlette(
    routes=[Route("/mcp", mcp, methods=["GET", "POST"]), Route("/release", release, methods=["POST"])],
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", timeout_graceful_shutdown=1)
