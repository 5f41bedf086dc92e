"""An agent in a container: a real MCP client that makes the calls it is asked for, and prints what came of each."""

import asyncio
import json
import sys
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError


async def main(order: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {order['token']}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(order["url"], http_client=http), mode=order["mode"]) as client,
    ):
        try:
            tools = [tool.name for tool in (await client.list_tools()).tools]
        except MCPError as error:
            tools = [f"({error})"]

        async def one(tool: str, arguments: dict[str, Any]) -> list[Any]:
            try:
                result = await client.call_tool(tool, arguments)
            except Exception as error:  # what a user of this client would see
                return [True, f"{type(error).__name__}: {error}"]
            return [bool(result.is_error), result.content[0].text]

        print(json.dumps({"tools": tools}), flush=True)
        if order["together"]:
            answers = await asyncio.gather(*(one(*call) for call in order["calls"]))
        else:
            answers = [await one(*call) for call in order["calls"]]
        print(json.dumps({"answers": answers}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
