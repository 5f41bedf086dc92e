"""The HTTP client for one client on stdio: headers, session, resumption and the end of the session are ours to keep.

Which era a message belongs to is known by now; no policy here. Source: mcp-gateway.md G45.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress

import msgspec
from msgspec.structs import replace

from sidecar.core import denial, era, jsonrpc, listing, splice
from sidecar.core.ending import ending
from sidecar.core.inventory import Inventory, mirrored
from sidecar.errors import Broken, SidecarError, UpstreamError
from sidecar.ports import Event, Headers, Outgoing, Reply, Upstream
from sidecar.upstream import following, journal
from sidecar.upstream.handshake import POST, VERSION, Handshake

_METHOD = b"mcp-method"
_STREAM = (b"accept", b"text/event-stream")
_INITIALIZED = "notifications/initialized"
_CANCELLED = "notifications/cancelled"
_OF_THE_LOST = frozenset({None, _INITIALIZED, _CANCELLED})
"""What means something in the session it was written for, or has been said in the new one."""

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
        self._handshake = Handshake(upstream)
        self._modern: bytes | None = None

    async def send(self, message: Outgoing) -> Reply:
        """Forwards one message with the headers it needs. Raises: UpstreamError."""
        if message.modern and message.id is not None:
            return await self._send_modern(message)
        is_notice = message.method is not None and message.id is None
        if is_notice and self._handshake.version is None and self._modern is not None:
            return await self._notify_modern(message, self._modern)
        return await self._send_legacy(message)

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        """What the server says on its own, followed from one connection to the next. Raises: UpstreamError."""
        at = self._handshake.at_server(session)
        reply = await self._stream(None, headers, at)
        if reply.status != 200 or reply.events is None:
            return reply

        async def again(place: bytes | None) -> Reply:
            nonlocal at
            if at != self._handshake.at_server(session):
                at, place = self._handshake.at_server(session), None
            resumed = await self._stream(place, headers, at)
            if resumed.status == 404 and session is not None and await self._handshake.renew(session, at):
                await resumed.drop()
                at = self._handshake.at_server(session)
                return await self._stream(None, headers, at)
            return resumed

        return replace(reply, events=following.news(reply.events, again))

    async def end(self, headers: Headers, session: str | None) -> Reply:
        """Ends a session. Raises: UpstreamError."""
        at = self._handshake.at_server(session)
        self._handshake.forget(session)
        return await self._upstream.end((*headers, *self._handshake.named), at)

    async def close(self) -> None:
        """Ends the sessions that are open, as a client should, and closes the upstream."""
        for session in self._handshake.sessions:
            with suppress(UpstreamError, TimeoutError):
                async with asyncio.timeout(_END_S):
                    await (await self.end((), session)).drop()
        await self._upstream.close()

    async def _send_legacy(self, message: Outgoing) -> Reply:
        if message.method == "initialize" and message.id is not None:
            return self._handshake.begun(message, await self._upstream.send(replace(message, headers=POST)))
        if message.method == _INITIALIZED:
            self._handshake.concluded(message)
        at = self._handshake.at_server(message.session)
        reply = await self._posted(message, at)
        if reply.status == 404 and message.session is not None and await self._handshake.renew(message.session, at):
            await reply.drop()
            if message.method in _OF_THE_LOST:
                return Reply(202, body=b"")
            at = self._handshake.at_server(message.session)
            reply = await self._posted(message, at)
        if reply.status == 404:
            self._handshake.forget(message.session)
        if message.method is None or message.id is None or reply.status != 200 or reply.events is None:
            return reply
        return replace(reply, events=self._answered(reply.events, message.id, at))

    def _posted(self, message: Outgoing, at: str | None) -> Awaitable[Reply]:
        return self._upstream.send(replace(message, headers=(*POST, *self._handshake.named), session=at))

    async def _answered(
        self, events: AsyncGenerator[Event, None], request_id: str | int, at: str | None
    ) -> AsyncGenerator[Event, None]:
        """A request's stream up to its answer, or to why there is none: one that may have run is not sent again."""

        def is_answer(data: bytes) -> bool:
            return ending(data, request_id) is not None

        fault = "its stream ended."
        followed = following.answer(events, lambda place: self._stream(place, (), at), is_answer)
        try:
            async with aclosing(followed) as incoming:
                async for event in incoming:
                    yield event
                    if event.data and is_answer(event.data):
                        return
        except UpstreamError as error:
            fault = str(error)
        lost = Broken(f"The MCP server's answer is lost: {fault} The request may have run, so it was not sent again.")
        data = denial.error(msgspec.json.encode(request_id), -32603, str(lost))
        yield Event(data, fault=f"{lost.code}: {lost}")

    async def _stream(self, place: bytes | None, headers: Headers, at: str | None) -> Reply:
        resumed = () if place is None else ((b"last-event-id", place),)
        return await self._upstream.listen((*headers, _STREAM, *self._handshake.named, *resumed), at)

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
        self._modern = dict(headers)[VERSION]
        return replace(message, headers=(*POST, *headers), session=None)

    async def _notify_modern(self, message: Outgoing, version: bytes) -> Reply:
        """A notification. A cancellation stays here: over HTTP it is the end of the stream, which came before it."""
        method = message.method
        if method is None or method == _CANCELLED:
            return Reply(202, body=b"")
        named = ((VERSION, version), (_METHOD, era.encode(method).encode()))
        return await self._upstream.send(replace(message, headers=(*POST, *named), session=None))


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
