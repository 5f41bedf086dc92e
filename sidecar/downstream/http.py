"""The gateway as a Streamable HTTP server (ASGI): one endpoint per MCP server.

What a request must be is checked in `guard`; what is decided, in `exchange`; here are only HTTP's own manners.
Source: mcp-gateway.md G7–G9, G19–G24, G49, G50.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

from sidecar.core import denial, sse
from sidecar.core.headers import forwardable
from sidecar.core.query import Asker
from sidecar.core.record import AuditRecord
from sidecar.downstream import asgi
from sidecar.downstream.guard import Guard, RequestHeaders, RequestRefused
from sidecar.downstream.pages import Pages
from sidecar.downstream.sessions import Sessions
from sidecar.errors import GrantError, SidecarError, StoreError
from sidecar.exchange import Exchange
from sidecar.judgement import Caller
from sidecar.ports import AuditLog, Clock, Event, Grant, Reply

_SESSION = b"mcp-session-id"
_JSON = (b"content-type", b"application/json")
_EVENT_STREAM = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
_ASKERS = 10_000


class Gateway:
    """The ASGI application. `doors` maps a path to a server's name and its exchange."""

    def __init__(
        self,
        doors: Mapping[str, tuple[str, Exchange]],
        guard: Guard,
        sessions: Sessions,
        pages: Pages,
        audit: AuditLog,
        clock: Clock,
        *,
        warn: Callable[[SidecarError], None],
    ) -> None:
        self._doors = doors
        self._guard = guard
        self._sessions = sessions
        self._pages = pages
        self._audit = audit
        self._clock = clock
        self._warn = warn
        self._bodies = asgi.Bodies(guard.body_limit_bytes)
        self._hangups = asgi.Hangups()
        self._askers: dict[Grant, Asker] = {}

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        if scope["type"] != "http":
            return
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        method: str = scope["method"]
        server, grant = "", ""
        try:
            self._guard.place(headers)
            door = self._doors.get(scope["path"])
            if door is None or scope["raw_path"] != scope["path"].encode():
                status, page = await self._pages.page(scope["path"], headers)
                await asgi.write(send, status, [_JSON], page)
                return
            server, exchange = door
            known, fault = self._known(headers, server)
            grant = known.id
            caller = self._caller(headers if fault is None else {}, known)
            self._guard.form(method, headers)
            if fault is not None and method != "POST":
                raise RequestRefused(503, "The grants cannot be read now; try again later.")
            body = await self._bodies.read(receive) if method == "POST" else b""
        except (RequestRefused, GrantError) as error:
            await self._refuse(error, method, server, grant, send)
            return
        forwarded = forwardable(scope["headers"])
        if fault is not None:
            await self._send(exchange.unjudged(body, caller, headers, fault), caller, send)
        elif method == "POST":
            answering = self._answer(exchange.handle(body, caller, headers, forwarded), caller, send)
            await self._hangups.answer(answering, receive)
        elif method == "GET":
            await self._hangups.answer(self._answer(exchange.listen(caller, forwarded), caller, send), receive)
        else:
            await self._answer(exchange.end(caller, forwarded), caller, send)

    async def _answer(self, replying: Awaitable[Reply], caller: Caller, send: asgi.Send) -> None:
        await self._send(await replying, caller, send)

    async def _send(self, reply: Reply, caller: Caller, send: asgi.Send) -> None:
        headers = [
            (name, self._sessions.wrap(value.decode("latin-1"), caller.grant.id).encode("latin-1"))
            if name == _SESSION
            else (name, value)
            for name, value in reply.headers
        ]
        if reply.events is not None:
            kept = [pair for pair in headers if pair[0] not in (b"content-type", b"x-accel-buffering")]
            await asgi.stream(send, reply.status, [*kept, *_EVENT_STREAM], _frames(reply.events))
        elif reply.chunks is not None:
            await asgi.stream(send, reply.status, headers, reply.chunks)
        else:
            await asgi.write(send, reply.status, headers, reply.body or b"")

    def _known(self, headers: RequestHeaders, server: str) -> tuple[Grant, StoreError | None]:
        """Whose request it is; with an error, nobody knows: the store that holds the grants does not answer."""
        try:
            return self._guard.grant(headers, server), None
        except StoreError as error:
            return Grant("", server, None), error

    def _caller(self, headers: RequestHeaders, grant: Grant) -> Caller:
        """Who calls, in which session. Raises: RequestRefused (404, a session that was never given to this grant)."""
        asker = self._askers.get(grant)
        if asker is None:
            if len(self._askers) >= _ASKERS:
                self._askers.clear()
            asker = self._askers[grant] = Asker(policy=grant.policy, server=grant.server, grant=grant.id)
        given = headers.get(_SESSION)
        if given is None:
            return Caller(grant, asker)
        session = self._sessions.unwrap(given[0].decode("latin-1"), grant.id) if len(given) == 1 else None
        if session is None:
            raise RequestRefused(404, "No such session; initialize again.")
        return Caller(grant, asker, session)

    async def _refuse(self, error: SidecarError, method: str, server: str, grant: str, send: asgi.Send) -> None:
        status = getattr(error, "http_status", 400)
        self._warn(error)
        if method == "POST":
            self._audit.append(
                AuditRecord(
                    at=self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    server=server,
                    grant=grant,
                    method="",
                    tool="",
                    argument_keys=(),
                    policy="",
                    revision="",
                    outcome="refused",
                    rule="",
                    message=str(error),
                    cause=error.code,
                )
            )
        headers = [_JSON]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if status == 405:
            headers.append((b"allow", b"POST, GET, DELETE"))
        if status in (400, 408, 413, 417):
            headers.append((b"connection", b"close"))
        await asgi.write(send, status, headers, denial.error(b"null", -32600, str(error)))


async def _frames(events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events) as incoming:
        async for event in incoming:
            yield event.raw if event.raw is not None else sse.encode(event.data)
