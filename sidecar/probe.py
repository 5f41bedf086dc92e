"""Asks an upstream for its tools before any client does, so that names and schemas are known from the first call.

The gateway's own conversation, in whichever era the server speaks; nothing of it reaches a client.
"""

import asyncio
import json
from contextlib import suppress
from typing import Any

from sidecar.core import listing, splice
from sidecar.core.ending import ending
from sidecar.core.inventory import Inventory
from sidecar.errors import Broken, TimedOut, UpstreamError
from sidecar.ports import Headers, Outgoing, Reply, Upstream

_LEGACY = "2025-11-25"
_MODERN = "2026-07-28"
_PAGES = 100
_END_S = 2.0
_CLIENT = {"name": "regate", "version": "1"}


async def learn(upstream: Upstream, inventory: Inventory, *, timeout_s: float) -> list[str]:
    """The names of the server's tools, in its order; what they look like is left in the inventory.

    Raises: UpstreamError.
    """
    try:
        async with asyncio.timeout(timeout_s):
            answer = await _ask(upstream, "initialize", _handshake(), None)
            if ending(answer[1], 1) == "result":
                inventory.learn_abilities(answer[1])
                return await _legacy(upstream, inventory, answer[0])
            return await _pages(upstream, inventory, None, modern=True)
    except TimeoutError as error:
        raise TimedOut(f"The server did not list its tools within {timeout_s:g} s.") from error


async def _legacy(upstream: Upstream, inventory: Inventory, session: str | None) -> list[str]:
    try:
        note = _text({"jsonrpc": "2.0", "method": "notifications/initialized"})
        reply = await upstream.send(Outgoing(note, "notifications/initialized", None, _headers("", False), session))
        await reply.drop()
        return await _pages(upstream, inventory, session, modern=False)
    finally:
        if session is not None:
            with suppress(UpstreamError, TimeoutError):
                async with asyncio.timeout(_END_S):
                    await (await upstream.end(_headers("", False)[1:], session)).drop()


async def _pages(upstream: Upstream, inventory: Inventory, session: str | None, *, modern: bool) -> list[str]:
    names: list[str] = []
    params: dict[str, Any] = {}
    for _ in range(_PAGES):
        _, data = await _ask(upstream, "tools/list", params, session, modern=modern)
        found = listing.names(data)
        if found is None:
            raise Broken("The server answered its list of tools with something else.")
        inventory.learn(data)
        names.extend(found)
        cursor = splice.scalar(splice.get(data, "result", "nextCursor"))
        if not isinstance(cursor, str):
            break
        params = {"cursor": cursor}
    return names


async def _ask(
    upstream: Upstream, method: str, params: dict[str, Any], session: str | None, *, modern: bool = False
) -> tuple[str | None, bytes]:
    if modern:
        params = {**params, "_meta": _MODERN_META}
    raw = _text({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    reply = await upstream.send(Outgoing(raw, method, 1, _headers(method, modern), session, modern))
    given = next((value.decode("latin-1") for name, value in reply.headers if name == b"mcp-session-id"), None)
    return given, await _answer(reply)


async def _answer(reply: Reply) -> bytes:
    if reply.body is not None:
        return reply.body
    try:
        if reply.events is not None:
            async for event in reply.events:
                if event.data and ending(event.data, 1) is not None:
                    return event.data
    finally:
        await reply.drop()
    raise Broken("The server's answer ended before it was whole.")


def _headers(method: str, modern: bool) -> Headers:
    common = (
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
        (b"mcp-protocol-version", (_MODERN if modern else _LEGACY).encode()),
    )
    return (*common, (b"mcp-method", method.encode())) if modern else common


def _handshake() -> dict[str, Any]:
    return {"protocolVersion": _LEGACY, "capabilities": {}, "clientInfo": _CLIENT}


_MODERN_META = {
    "io.modelcontextprotocol/protocolVersion": _MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": _CLIENT,
}


def _text(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()
