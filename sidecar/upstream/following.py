"""Event streams that outlive their connections: followed with Last-Event-ID until what they are for has come.

Source: mcp-gateway.md G45; MCP 2025-11-25, transports, resumability.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress

from sidecar.core import sse
from sidecar.errors import Broken, UpstreamError
from sidecar.ports import Event, Reply

Again = Callable[[bytes | None], Awaitable[Reply]]
"""Asks for a stream again: from behind an event id, or from now on (None)."""

_GONE = frozenset({400, 401, 403, 404, 405})
_FIRST_PAUSE_S = 1.0
_LEAST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 30.0
_TRIES = 5


async def answer(
    events: AsyncGenerator[Event, None], again: Again, is_answer: Callable[[bytes], bool]
) -> AsyncGenerator[Event, None]:
    """A request's stream up to its answer. It is given up when the server offers no way back, or after five tries.

    Raises: UpstreamError.
    """
    place = sse.Place()
    while True:
        try:
            async with aclosing(events) as incoming:
                async for event in incoming:
                    place.note(event.raw or b"")
                    yield event
                    if event.data and is_answer(event.data):
                        return
        except Broken:
            if place.last_id is None:
                raise
        resumed = None if place.last_id is None else await _resumed(again, place, _TRIES)
        if resumed is None:
            return
        events = resumed


async def news(events: AsyncGenerator[Event, None], again: Again) -> AsyncGenerator[Event, None]:
    """What a server says on its own, for as long as it offers a stream of it."""
    place = sse.Place()
    resumed: AsyncGenerator[Event, None] | None = events
    while resumed is not None:
        with suppress(UpstreamError):
            async with aclosing(resumed) as incoming:
                async for event in incoming:
                    place.note(event.raw or b"")
                    yield event
        resumed = await _resumed(again, place, None)


async def _resumed(again: Again, place: sse.Place, tries: int | None) -> AsyncGenerator[Event, None] | None:
    """The stream from where it broke off, or None where the server has none. `tries` None: for ever."""
    tried = 0
    pause_s = _FIRST_PAUSE_S if place.retry_s is None else place.retry_s
    while tries is None or tried < tries:
        await asyncio.sleep(min(max(pause_s, _LEAST_PAUSE_S) * 2**tried, _LONGEST_PAUSE_S))
        tried += 1
        try:
            reply = await again(place.last_id)
        except UpstreamError:
            continue
        if reply.status == 200 and reply.events is not None:
            return reply.events
        await reply.drop()
        if reply.status in _GONE or reply.status == 200:
            return None
    return None
