"""FastMCP as a client, whose error is what a user is shown; foreign.py has the forms of task and answer."""

import asyncio
import json
import sys
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import ClientTransport, StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError


def transport(task: dict[str, Any]) -> ClientTransport:
    if "command" in task:
        command, *arguments = task["command"]
        return StdioTransport(command, arguments, env=task["env"])
    return StreamableHttpTransport(task["url"], headers={"Authorization": f"Bearer {task['token']}"})


async def answer(client: Client[Any], tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        result = await client.call_tool(tool, arguments)
    except ToolError as error:
        return {"error": True, "text": str(error)}
    return {"error": False, "text": "".join(getattr(part, "text", "") for part in result.content)}


async def main() -> None:
    task = json.load(sys.stdin)
    async with Client(transport(task), mode=task["mode"]) as client:
        tools = [tool.name for tool in await client.list_tools()]
        answers = [await answer(client, tool, arguments) for tool, arguments in task["calls"]]
        revision = client.protocol_version
    sys.stdout.write(json.dumps({"revision": revision, "tools": tools, "answers": answers}))


asyncio.run(main())
