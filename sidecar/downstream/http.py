"""The gateway as a Streamable HTTP server (ASGI): one endpoint per MCP server.

What a request must be is checked in `guard`; what is decided, in `exchange`; here are only HTTP's own manners.
Source: mcp-gateway.md G7–G9, G19–G24, G49, G50.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from sidecar.core import denial, sse
from sidecar.core.headers import forwardable
from sidecar.core.query import Asker
from sidecar.core.record import AuditRecord
from sidecar.downstream.guard import Guard, RequestHeaders, RequestRefused
from sidecar.downstream.pages import Pages
from sidecar.downstream.sessions import Sessions
from sidecar.errors import GrantError, SidecarError, StoreError
from sidecar.exchange import Exchange
from sidecar.judgement import Caller
from sidecar.ports import AuditLog, Clock, Grant, Reply

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_SESSION = b"mcp-session-id"
_JSON = (b"content-type", b"application/json")
_BODY_S = 30.0
_PATIENCE_S = 0.05


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
        self._askers: dict[Grant, Asker] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        server, grant = "", ""
        try:
            self._guard.place(headers)
            door = self._doors.get(scope["path"])
            if door is None or scope["raw_path"] != scope["path"].encode():
                status, page = await self._pages.page(scope["path"], headers)
                await _write(send, status, [_JSON], page)
                return
            server, exchange = door
            caller = self._caller(self._guard.grant(headers, server), headers)
            grant = caller.grant.id
            self._guard.form(scope["method"], headers)
            body = await self._body(receive) if scope["method"] == "POST" else b""
        except (RequestRefused, GrantError, StoreError) as error:
            await self._refuse(error, scope["method"], server, grant, send)
            return
        forwarded = forwardable(scope["headers"])
        match scope["method"]:
            case "POST":
                await _unless_gone(
                    self._answer(exchange.handle(body, caller, headers, forwarded), caller, send), receive
                )
            case "GET":
                await _unless_gone(self._answer(exchange.listen(caller, forwarded), caller, send), receive)
            case _:
                await self._answer(exchange.end(caller, forwarded), caller, send)

    async def _answer(self, replying: Awaitable[Reply], caller: Caller, send: Send) -> None:
        reply = await replying
        headers = [
            (name, self._sessions.wrap(value.decode("latin-1"), caller.grant.id).encode("latin-1"))
            if name == _SESSION
            else (name, value)
            for name, value in reply.headers
        ]
        if reply.events is not None:
            kept = [pair for pair in headers if pair[0] not in (b"content-type", b"x-accel-buffering")]
            kept += [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
            await _stream(send, reply.status, kept, _frames(reply))
        elif reply.chunks is not None:
            await _stream(send, reply.status, headers, reply.chunks)
        else:
            await _write(send, reply.status, headers, reply.body or b"")

    def _caller(self, grant: Grant, headers: RequestHeaders) -> Caller:
        asker = self._askers.get(grant)
        if asker is None:
            if len(self._askers) >= 10_000:
                self._askers.clear()
            asker = self._askers[grant] = Asker(policy=grant.policy, server=grant.server, grant=grant.id)
        given = headers.get(_SESSION)
        if given is None:
            return Caller(grant, asker)
        session = self._sessions.unwrap(given[0].decode("latin-1"), grant.id) if len(given) == 1 else None
        if session is None:
            raise RequestRefused(404, "No such session; initialize again.")
        return Caller(grant, asker, session)

    async def _body(self, receive: Receive) -> bytes:
        event = await receive()
        body: bytes = event.get("body", b"")
        if event["type"] == "http.request" and event.get("more_body"):
            try:
                async with asyncio.timeout(_BODY_S):
                    body = await self._rest(body, receive)
            except TimeoutError as error:
                raise RequestRefused(408, f"The body was not whole within {_BODY_S:g} s.") from error
        if len(body) > self._guard.body_limit_bytes:
            raise self._guard.too_large()
        return body

    async def _rest(self, first: bytes, receive: Receive) -> bytes:
        parts, size = [first], len(first)
        more = True
        while more:
            event = await receive()
            if event["type"] != "http.request":
                raise RequestRefused(400, "The client hung up before the body was whole.")
            part = event.get("body", b"")
            size += len(part)
            if size > self._guard.body_limit_bytes:
                raise self._guard.too_large()
            parts.append(part)
            more = event.get("more_body", False)
        return b"".join(parts)

    async def _refuse(self, error: SidecarError, method: str, server: str, grant: str, send: Send) -> None:
        status = getattr(error, "http_status", 503)
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
        if status in (408, 413):
            headers.append((b"connection", b"close"))
        await _write(send, status, headers, denial.error(b"null", -32600, str(error)))


async def _frames(reply: Reply) -> AsyncGenerator[bytes, None]:
    assert reply.events is not None
    async with aclosing(reply.events) as events:
        async for event in events:
            yield event.raw if event.raw is not None else sse.encode(event.data)


async def _stream(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], chunks: AsyncGenerator[bytes, None]
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    async with aclosing(chunks) as parts:
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    kept = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": kept})
    await send({"type": "http.response.body", "body": body})


async def _unless_gone(answering: Awaitable[None], receive: Receive) -> None:
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
