"""ASGI's mechanics: a body read within bounds, an answer written whole or as it comes, a client that hangs up.

No MCP here, and nothing is decided.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from sidecar.downstream.guard import RequestRefused, too_large

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Pairs = list[tuple[bytes, bytes]]

_BODY_S = 30.0
_PATIENCE_S = 0.05


async def read(receive: Receive, limit_bytes: int) -> bytes:
    """The whole body. Raises: RequestRefused (413 too large, 408 too slow, 400 cut off)."""
    event = await receive()
    body: bytes = event.get("body", b"")
    if event["type"] == "http.request" and event.get("more_body"):
        try:
            async with asyncio.timeout(_BODY_S):
                return await _rest(body, receive, limit_bytes)
        except TimeoutError as error:
            raise RequestRefused(408, f"The body was not whole within {_BODY_S:g} s.") from error
    if len(body) > limit_bytes:
        raise too_large(limit_bytes)
    return body


async def _rest(first: bytes, receive: Receive, limit_bytes: int) -> bytes:
    parts, size, more = [first], len(first), True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise RequestRefused(400, "The client hung up before the body was whole.")
        part = event.get("body", b"")
        size += len(part)
        if size > limit_bytes:
            raise too_large(limit_bytes)
        parts.append(part)
        more = event.get("more_body", False)
    return b"".join(parts)


async def write(send: Send, status: int, headers: Pairs, body: bytes) -> None:
    """Sends a whole answer."""
    kept = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": kept})
    await send({"type": "http.response.body", "body": body})


async def stream(send: Send, status: int, headers: Pairs, chunks: AsyncGenerator[bytes, None]) -> None:
    """Sends an answer as it comes, each part at once."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    async with aclosing(chunks) as parts:
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def unless_gone(answering: Awaitable[None], receive: Receive) -> None:
    """Answers, unless the client hangs up first: then the work is cancelled (G24).

    Looking for a hang-up costs a task, so a quick answer is not watched at all.
    """
    loop = asyncio.get_running_loop()
    work = asyncio.current_task()
    watchers: list[asyncio.Task[None]] = []
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            continue
        gone = True
        assert work is not None
        work.cancel()

    timer = loop.call_later(_PATIENCE_S, lambda: watchers.append(loop.create_task(watch())))
    try:
        await answering
    except asyncio.CancelledError:
        if not gone:
            raise
    finally:
        timer.cancel()
        for watcher in watchers:
            watcher.cancel()
