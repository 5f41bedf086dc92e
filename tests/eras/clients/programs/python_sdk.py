"""The Python SDK as a client; foreign.py has the forms of task and answer."""

import asyncio
import json
import sys
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


async def told(client: Client, calls: list[Any]) -> dict[str, Any]:
    tools = [tool.name for tool in (await client.list_tools()).tools]
    answers = []
    for tool, arguments in calls:
        result = await client.call_tool(tool, arguments)
        text = "".join(getattr(part, "text", "") for part in result.content)
        answers.append({"error": bool(result.is_error), "text": text})
    return {"revision": client.protocol_version, "tools": tools, "answers": answers}


async def main() -> None:
    task = json.load(sys.stdin)
    if "command" in task:
        command, *arguments = task["command"]
        parameters = StdioServerParameters(command=command, args=arguments, env=task["env"])
        async with Client(stdio_client(parameters), mode=task["mode"]) as client:
            sys.stdout.write(json.dumps(await told(client, task["calls"])))
        return
    headers = {"Authorization": f"Bearer {task['token']}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(task["url"], http_client=http), mode=task["mode"]) as client,
    ):
        sys.stdout.write(json.dumps(await told(client, task["calls"])))


asyncio.run(main())
