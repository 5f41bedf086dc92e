"""The HTTP client for one client on stdio: headers, session, resumption and the end of the session are ours to keep.

Which era a message belongs to is known by now; no policy here. Source: mcp-gateway.md G45.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress

from msgspec.structs import replace

from sidecar.core import era, jsonrpc, listing, splice
from sidecar.core.ending import ending
from sidecar.core.inventory import Inventory, mirrored
from sidecar.errors import SidecarError, UpstreamError
from sidecar.ports import Event, Headers, Outgoing, Reply, Upstream
from sidecar.upstream import following, journal

_SESSION = b"mcp-session-id"
_VERSION = b"mcp-protocol-version"
_METHOD = b"mcp-method"
_STREAM = (b"accept", b"text/event-stream")
_POST: Headers = (
    (b"content-type", b"application/json"),
    (b"accept", b"application/json, text/event-stream"),
    (b"user-agent", b"regate"),
)
_CANCELLED = "notifications/cancelled"
_HEADER_MISMATCH = -32020
_END_S = 2.0


class Spokesman:
    """An `Upstream` that adds to a client's lines what HTTP asks of a client.

    `relearn` has the server list its tools again, into the same inventory.
    """

    def __init__(self, upstream: Upstream, inventory: Inventory, relearn: Callable[[], Awaitable[object]]) -> None:
        self._upstream = upstream
        self._inventory = inventory
        self._relearn = relearn
        self._sessions: set[str] = set()
        self._version: bytes | None = None
        self._modern: bytes | None = None

    async def send(self, message: Outgoing) -> Reply:
        """Forwards one message with the headers it needs. Raises: UpstreamError."""
        if message.modern and message.id is not None:
            return await self._send_modern(message)
        if self._version is None and self._modern is not None and message.method is not None and message.id is None:
            return await self._notify_modern(message, self._modern)
        return await self._send_legacy(message)

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        """What the server says on its own, followed from one connection to the next. Raises: UpstreamError."""
        reply = await self._stream(None, headers, session)
        if reply.status != 200 or reply.events is None:
            return reply
        return replace(reply, events=following.news(reply.events, lambda place: self._stream(place, headers, session)))

    async def end(self, headers: Headers, session: str | None) -> Reply:
        """Ends a session. Raises: UpstreamError."""
        self._sessions.discard(session or "")
        return await self._upstream.end((*headers, *self._named()), session)

    async def close(self) -> None:
        """Ends the sessions that are open, as a client should, and closes the upstream."""
        for session in tuple(self._sessions):
            with suppress(UpstreamError, TimeoutError):
                async with asyncio.timeout(_END_S):
                    await (await self.end((), session)).drop()
        await self._upstream.close()

    async def _send_legacy(self, message: Outgoing) -> Reply:
        is_first = message.method == "initialize"
        reply = await self._upstream.send(replace(message, headers=_POST if is_first else (*_POST, *self._named())))
        request_id = message.id
        if message.method is None or request_id is None:
            return reply
        if is_first:
            return self._begun(reply, request_id)
        if reply.status == 404 and message.session is not None:
            self._sessions.discard(message.session)
        if reply.status != 200 or reply.events is None:
            return reply
        session = message.session
        return replace(
            reply,
            events=following.answer(
                reply.events,
                lambda place: self._stream(place, (), session),
                lambda data: ending(data, request_id) is not None,
            ),
        )

    def _begun(self, reply: Reply, request_id: str | int) -> Reply:
        """The answer to `initialize`: it says which session and which revision there will be."""
        self._sessions.update(value.decode("latin-1") for name, value in reply.headers if name == _SESSION)
        if reply.body is not None:
            self._agree(reply.body, request_id)
        return reply if reply.events is None else replace(reply, events=self._agreeing(reply.events, request_id))

    async def _agreeing(
        self, events: AsyncGenerator[Event, None], request_id: str | int
    ) -> AsyncGenerator[Event, None]:
        async with aclosing(events) as incoming:
            async for event in incoming:
                self._agree(event.data, request_id)
                yield event

    def _agree(self, data: bytes, request_id: str | int) -> None:
        version = splice.scalar(splice.get(data, "result", "protocolVersion"))
        if version in era.LEGACY and ending(data, request_id) == "result":
            self._version = version.encode()

    def _named(self) -> Headers:
        return () if self._version is None else ((_VERSION, self._version),)

    async def _stream(self, place: bytes | None, headers: Headers, session: str | None) -> Reply:
        resumed = () if place is None else ((b"last-event-id", place),)
        return await self._upstream.listen((*headers, _STREAM, *self._named(), *resumed), session)

    async def _send_modern(self, message: Outgoing) -> Reply:
        request = jsonrpc.parse(message.raw)
        assert isinstance(request, jsonrpc.Request)
        reply = await self._upstream.send(self._labelled(message, request))
        if request.method == jsonrpc.TOOLS_CALL and _is_mismatch(reply):
            with suppress(UpstreamError):
                await self._relearn()
            reply = await self._upstream.send(self._labelled(message, request))
        if request.method != jsonrpc.TOOLS_LIST:
            return reply
        if reply.events is not None:
            return replace(reply, events=_sound_events(reply.events))
        return reply if reply.body is None else replace(reply, body=_sound(reply.body))

    def _labelled(self, message: Outgoing, request: jsonrpc.Request) -> Outgoing:
        headers = era.spoken(request, self._inventory)
        self._modern = dict(headers)[_VERSION]
        return replace(message, headers=(*_POST, *headers), session=None)

    async def _notify_modern(self, message: Outgoing, version: bytes) -> Reply:
        """A notification. A cancellation stays here: over HTTP it is the end of the stream, which came before it."""
        method = message.method
        if method is None or method == _CANCELLED:
            return Reply(202, body=b"")
        named = ((_VERSION, version), (_METHOD, era.encode(method).encode()))
        return await self._upstream.send(replace(message, headers=(*_POST, *named), session=None))


def _is_mismatch(reply: Reply) -> bool:
    return reply.status == 400 and splice.scalar(splice.get(reply.body or b"", "error", "code")) == _HEADER_MISMATCH


async def _sound_events(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    async with aclosing(events) as incoming:
        async for event in incoming:
            data = _sound(event.data)
            yield event if data is event.data else Event(data)


def _sound(data: bytes) -> bytes:
    """A list without the tools whose header annotations are invalid. What cannot be read is for others to withhold."""
    try:
        found = listing.read(data)
    except SidecarError:
        return data
    if found is None:
        return data
    unsound = {entry.name for entry in found.entries if not _is_sound(entry.value)}
    for name in sorted(name for name in unsound if name is not None):
        journal.warning("tool_dropped", tool=name, fault="its x-mcp-header is invalid")
    return found.filtered([name for name in found.names if name not in unsound], modern=False, ttl_cap_ms=0)


def _is_sound(tool: object) -> bool:
    return not isinstance(tool, dict) or mirrored(tool.get("inputSchema")) is not None
