"""Servers beside the gateway are asked by a connection, others never."""

import asyncio
import socket

from sidecar import beside


def test_loopback_is_what_only_this_machine_can_reach() -> None:
    urls = {
        "four": "http://127.0.0.1:8000/mcp",
        "other": "http://127.8.8.8/mcp",
        "six": "https://[::1]/mcp",
        "name": "http://localhost:9/mcp",
        "pod": "http://10.0.0.1:8000/mcp",
        "service": "http://tickets:8000/mcp",
        "posing": "http://127.0.0.1.example.com/mcp",
    }
    assert beside.loopback(urls) == {
        "four": ("127.0.0.1", 8000),
        "other": ("127.8.8.8", 80),
        "six": ("::1", 443),
        "name": ("localhost", 9),
    }


async def test_silent_names_each_server_that_takes_no_connection() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with listening:
            heard = listening.sockets[0].getsockname()[1]
            found = await beside.silent({"a": ("127.0.0.1", heard), "b": ("127.0.0.1", port)})
    assert found == (f"server b does not listen at 127.0.0.1:{port}",)


async def test_silent_of_none_is_nothing() -> None:
    assert await beside.silent({}) == ()
