"""What one client on stdio and a server on HTTP have agreed on, and how it is agreed on again.

A server that has lost a session (it was started anew) says 404, and has then run nothing of the message. The client on
stdio knows of no session, so its own handshake is made again for it. Source: mcp-gateway.md G45; MCP 2025-11-25,
basic/transports, section Session Management.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from msgspec.structs import replace

from sidecar.core import era, splice
from sidecar.core.ending import ending
from sidecar.errors import Broken, TimedOut, Unreachable, UpstreamError
from sidecar.ports import Event, Headers, Outgoing, Reply, Upstream
from sidecar.upstream import journal

POST: Headers = (
    (b"content-type", b"application/json"),
    (b"accept", b"application/json, text/event-stream"),
    (b"user-agent", b"regate"),
)
SESSION = b"mcp-session-id"
VERSION = b"mcp-protocol-version"
RENEWAL_S = 30.0


class Handshake:
    """The client's `initialize` and `initialized`, and the sessions they opened. `version` is the revision agreed on.

    A session is named by the id that the client's side knows; what the server calls it by now is `at_server`.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._first: Outgoing | None = None
        self._last: Outgoing | None = None
        self._sessions: dict[str, str | None] = {}
        self._renewing = asyncio.Lock()
        self.version: bytes | None = None

    @property
    def sessions(self) -> tuple[str, ...]:
        """Those that are open."""
        return tuple(self._sessions)

    @property
    def named(self) -> Headers:
        """The header that names the revision, once there is one."""
        return () if self.version is None else ((VERSION, self.version),)

    def at_server(self, session: str | None) -> str | None:
        """What the server calls a session."""
        return None if session is None else self._sessions.get(session, session)

    def begun(self, message: Outgoing, reply: Reply) -> Reply:
        """Takes in the answer to `initialize`: it says which session and which revision there will be."""
        self._first = message
        self._sessions.update((session, session) for session in _sessions(reply))
        if reply.body is not None:
            self._agree(reply.body, message)
        return reply if reply.events is None else replace(reply, events=self._agreeing(reply.events, message))

    def concluded(self, message: Outgoing) -> None:
        """Takes in the client's `initialized`."""
        self._last = message

    def forget(self, session: str | None) -> None:
        """The session is to be ended."""
        self._sessions.pop(session or "", None)

    async def renew(self, session: str, lost: str | None) -> bool:
        """Whether the server has the session again, after a 404 for the one it called `lost`; False: it will not.

        Raises: Unreachable (it does not answer now; it may later).
        """
        async with self._renewing:
            if session not in self._sessions or self._first is None:
                return False
            if self._sessions[session] != lost:
                return True
            try:
                async with asyncio.timeout(RENEWAL_S):
                    return await self._again(session, self._first)
            except (TimeoutError, UpstreamError) as error:
                fault = str(error) or f"no answer within {RENEWAL_S:g} s"
                raise Unreachable(f"The MCP server has lost the session, and opens no new one now: {fault}") from error

    async def _again(self, session: str, first: Outgoing) -> bool:
        reply = await self._upstream.send(replace(first, headers=POST))
        fresh = next(_sessions(reply), None)
        version = _version(await _answer(reply, first), first)
        if version is None or version != self.version:
            journal.warning("session_lost", fault="the server started anew and agrees on another revision or on none")
            return False
        self._sessions[session] = fresh
        if self._last is not None:
            told = await self._upstream.send(replace(self._last, headers=(*POST, *self.named), session=fresh))
            await told.drop()
        journal.info("session_renewed")
        return True

    async def _agreeing(self, events: AsyncGenerator[Event, None], message: Outgoing) -> AsyncGenerator[Event, None]:
        async with aclosing(events) as incoming:
            async for event in incoming:
                self._agree(event.data, message)
                yield event

    def _agree(self, data: bytes, message: Outgoing) -> None:
        self.version = _version(data, message) or self.version


def _sessions(reply: Reply) -> Iterator[str]:
    return (value.decode("latin-1") for name, value in reply.headers if name == SESSION)


def _version(data: bytes, first: Outgoing) -> bytes | None:
    """The revision that this answer to `initialize` agrees on."""
    version = splice.scalar(splice.get(data, "result", "protocolVersion"))
    assert first.id is not None
    agreed = isinstance(version, str) and version in era.LEGACY and ending(data, first.id) == "result"
    return str(version).encode() if agreed else None


async def _answer(reply: Reply, first: Outgoing) -> bytes:
    """The message that answers. Raises: UpstreamError."""
    assert first.id is not None
    if reply.body is not None:
        if reply.status >= 500:
            raise Broken(f"it answers with status {reply.status}.")
        return reply.body
    if reply.events is not None:
        async with aclosing(reply.events) as events:
            async for event in events:
                if event.data and ending(event.data, first.id) is not None:
                    return event.data
    await reply.drop()
    raise TimedOut("its stream ended without an answer.")
