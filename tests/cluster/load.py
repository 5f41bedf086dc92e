"""Runs in the agent's pod: real MCP clients that call without a pause until told to end; each answer is a line."""

import asyncio
import itertools
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main(url: str, token: str, clients: int) -> None:
    numbers, over = itertools.count(1), asyncio.Event()
    asyncio.get_running_loop().run_in_executor(None, lambda: (sys.stdin.read(), loop.call_soon_threadsafe(over.set)))

    async def one() -> None:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http), mode="auto") as client,
        ):
            while not over.is_set():
                number = next(numbers)
                tool = "refund" if number % 5 == 0 else "ship"
                arguments = {"to": str(number), "amount": 1} if tool == "refund" else {"parcel": number, "seconds": 0.2}
                try:
                    result = await client.call_tool(tool, arguments)
                    answer = [number, tool, bool(result.is_error), result.content[0].text]
                except Exception as error:  # what a user of this client would see
                    answer = [number, tool, True, f"{type(error).__name__}: {error}"]
                print(json.dumps(answer), flush=True)

    loop = asyncio.get_running_loop()
    await asyncio.gather(*(one() for _ in range(clients)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
