"""The gateway as a Streamable HTTP server: one endpoint per MCP server.

What a request must be is checked in `guard`; what is decided, in `exchange`; here are only HTTP's own manners.
Source: mcp-gateway.md G7–G9, G19–G24, G49, G50.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial

import msgspec

from sidecar.core import asking, denial, sse
from sidecar.core.headers import forwardable
from sidecar.core.query import Asker
from sidecar.core.record import AuditRecord, written
from sidecar.downstream.correlation import about
from sidecar.downstream.guard import Guard, RequestHeaders, RequestRefused
from sidecar.downstream.pages import Pages
from sidecar.downstream.request import Answering, Head, Whole, Writer
from sidecar.downstream.resource import ProtectedResources
from sidecar.downstream.sessions import Sessions
from sidecar.errors import GrantError, KeysAwaited, SidecarError, StoreError
from sidecar.path.exchange import Exchange
from sidecar.path.judgement import Caller
from sidecar.ports import AuditLog, Clock, Event, Grant, Headers, Reply

_SESSION = b"mcp-session-id"
_PLACE = b"last-event-id"
_JSON = (b"content-type", b"application/json")
_EVENT_STREAM = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
_ASKERS = 10_000
_NO_ISSUER = ProtectedResources()


class _Admitted(msgspec.Struct, frozen=True):
    """How a head was admitted: holds for its twins while the grants are of this edition."""

    edition: int
    server: str
    exchange: Exchange
    caller: Caller
    forwarded: Headers


class Gateway:
    """What answers HTTP requests. `doors` maps a path to a server's name and its exchange."""

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
        resources: ProtectedResources = _NO_ISSUER,
    ) -> None:
        self._resources = resources
        self._doors = doors
        self._guard = guard
        self._sessions = sessions
        self._pages = pages
        self._audit = audit
        self._clock = clock
        self._warn = warn
        self._askers: dict[Grant, Asker] = {}

    @property
    def body_limit_bytes(self) -> int:
        """The largest body that is read."""
        return self._guard.body_limit_bytes

    def admit(self, head: Head) -> Answering:
        """How a request will be answered, which its head alone decides. Raises: RequestRefused, GrantError."""
        twin = head.twin
        edition = self._guard.edition()
        admitted: _Admitted | None = None if twin is None else twin.admitted
        if admitted is None or admitted.edition != edition:
            return self._admit(head, edition, None if twin is None else twin.forwarded)
        head.admitted, head.server, head.grant = admitted, admitted.server, admitted.caller.grant.id
        head.forwarded = admitted.forwarded
        self._guard.length(head.length)
        return partial(_ANSWERS[head.method], self, admitted.exchange, admitted.caller, head)

    def _admit(self, head: Head, edition: int | None, forwarded: Headers | None) -> Answering:
        """As `admit`; what a twin `forwarded` says that the form of this head was found right."""
        headers = head.headers
        if head.path in self._pages.documents and head.method == "GET":
            self._guard.host(headers)
            return partial(self._page, head)
        if forwarded is None:
            self._guard.place(headers)
        door = self._doors.get(head.path)
        if door is None:
            return partial(self._page, head)
        head.server, exchange = door
        try:
            known, fault = self._known(headers, head.server)
        except KeysAwaited:
            return self._postponed(head)
        head.grant = known.id
        caller = self._caller(headers if fault is None else {}, known)
        if forwarded is None:
            self._guard.form(head.method, headers)
            forwarded = forwardable(headers)
            if head.method != "GET":
                forwarded = tuple(pair for pair in forwarded if pair[0] != _PLACE)
        head.forwarded = forwarded
        self._guard.length(head.length)
        if fault is None:
            if edition is not None:
                head.admitted = _Admitted(edition, head.server, exchange, caller, forwarded)
            return partial(_ANSWERS[head.method], self, exchange, caller, head)
        if head.method != "POST":
            raise RequestRefused(503, "The grants cannot be read now; try again later.")
        return partial(self._unjudged, exchange, caller, headers, fault)

    def _postponed(self, head: Head) -> Answering:
        """The answer to a request whose caller is known only once keys are read. Raises: RequestRefused."""
        self._guard.form(head.method, head.headers)
        self._guard.length(head.length)
        return partial(self._later, head)

    async def _later(self, head: Head, body: bytes, writer: Writer) -> None:
        await self._guard.settle()
        try:
            answering = self.admit(head)
        except SidecarError as error:
            await writer.write(*self.refuse(head, error))
            return
        await answering(body, writer)

    def refuse(self, head: Head | None, error: SidecarError) -> Whole:
        """The answer to a request that is not admitted; its refusal is told and, of a message, recorded."""
        status = getattr(error, "http_status", 400)
        if head is None:
            self._warn(error)
        else:
            self._tell(head, error)
        headers = [_JSON]
        if head is not None and isinstance(error, GrantError):
            headers += self._resources.challenge(head.path, error)
        if status == 405:
            headers.append((b"allow", b"POST, GET, DELETE"))
        return status, headers, denial.error(b"null", -32600, str(error))

    def _tell(self, head: Head, error: SidecarError) -> None:
        with about(head):
            self._warn(error)
        if head.method == "POST":
            self._record(head, error)

    async def _page(self, head: Head, _body: bytes, writer: Writer) -> None:
        await writer.write(*await self._pages.answer(head.path, head.headers))

    async def _post(self, exchange: Exchange, caller: Caller, head: Head, body: bytes, writer: Writer) -> None:
        reply = await exchange.handle(body, caller, head.headers, head.forwarded or ())
        await self._send(reply, caller, writer, body)

    async def _get(self, exchange: Exchange, caller: Caller, head: Head, _body: bytes, writer: Writer) -> None:
        try:
            forwarded = self._resuming(head, caller)
        except RequestRefused as error:
            await writer.write(*self.refuse(head, error))
            return
        await self._send(await exchange.listen(caller, forwarded), caller, writer)

    async def _delete(self, exchange: Exchange, caller: Caller, head: Head, _body: bytes, writer: Writer) -> None:
        await self._send(await exchange.end(caller, head.forwarded or ()), caller, writer)

    async def _unjudged(
        self,
        exchange: Exchange,
        caller: Caller,
        headers: RequestHeaders,
        fault: StoreError,
        body: bytes,
        writer: Writer,
    ) -> None:
        await self._send(exchange.unjudged(body, caller, headers, fault), caller, writer)

    def _resuming(self, head: Head, caller: Caller) -> Headers:
        """What goes on of a GET's headers. Raises: RequestRefused (an event id that was never given to this caller)."""
        forwarded = head.forwarded or ()
        given = head.headers.get(_PLACE)
        if given is None:
            return forwarded
        place = self._sessions.unwrap_event(given[0], caller.grant.id, caller.session) if len(given) == 1 else None
        if place is None:
            raise RequestRefused(400, "This Last-Event-ID was not given to this session.")
        return [*(pair for pair in forwarded if pair[0] != _PLACE), (_PLACE, place)]

    def _send(self, reply: Reply, caller: Caller, writer: Writer, asked: bytes = b"") -> Awaitable[None]:
        """Sends a reply to what was `asked`; a session that begins with it carries what its client can do."""
        headers: list[tuple[bytes, bytes]] = []
        for pair in reply.headers:
            if pair[0] == _SESSION:
                pair = (_SESSION, self._wrapped(pair[1].decode("latin-1"), caller, asked).encode("latin-1"))
            headers.append(pair)
        if reply.events is not None:
            session = caller.session or next(
                (v.decode("latin-1") for name, v in reply.headers if name == _SESSION), None
            )
            kept = [pair for pair in headers if pair[0] not in (b"content-type", b"x-accel-buffering")]
            return writer.stream(
                reply.status,
                [*kept, *_EVENT_STREAM],
                self._frames(reply.events, caller.grant.id, session),
                lasting=reply.lasting,
            )
        if reply.chunks is not None:
            return writer.stream(reply.status, headers, reply.chunks)
        return writer.write(reply.status, headers, reply.body or b"")

    def _wrapped(self, session: str, caller: Caller, asked: bytes) -> str:
        elicits = caller.elicits or (caller.session is None and asking.session_takes_forms(asked))
        return self._sessions.wrap(session, caller.grant.id, elicits=elicits)

    async def _frames(
        self, events: AsyncGenerator[Event, None], grant: str, session: str | None
    ) -> AsyncGenerator[bytes, None]:
        """Events as bytes, their ids bound to whom they are for."""

        def rename(event_id: bytes) -> bytes:
            return self._sessions.wrap_event(event_id, grant, session)

        async with aclosing(events) as incoming:
            async for event in incoming:
                yield sse.encode(event.data) if event.raw is None else sse.renamed(event.raw, rename)

    def _known(self, headers: RequestHeaders, server: str) -> tuple[Grant, StoreError | None]:
        """Whose request it is; with an error, nobody knows: the store that holds the grants does not answer."""
        try:
            return self._guard.grant(headers, server), None
        except StoreError as error:
            return Grant("", server, None), error

    def _stands(self, headers: RequestHeaders, grant: Grant) -> bool:
        """Whether a token still gives the grant that it gave."""
        try:
            return self._guard.grant(headers, grant.server) == grant
        except SidecarError:
            return False

    def _caller(self, headers: RequestHeaders, grant: Grant) -> Caller:
        """Who calls, in which session. Raises: RequestRefused (404, a session that was never given to this grant)."""
        asker = self._askers.get(grant)
        if asker is None:
            if len(self._askers) >= _ASKERS:
                self._askers.clear()
            asker = self._askers[grant] = Asker(**grant.binding)
        session, elicits = None, False
        given = headers.get(_SESSION)
        if given is not None:
            unwrapped = self._sessions.unwrap(given[0].decode("latin-1"), grant.id) if len(given) == 1 else None
            if unwrapped is None:
                raise RequestRefused(404, "No such session; initialize again.")
            session, elicits = unwrapped
        return Caller(grant, asker, session, elicits, partial(self._stands, headers, grant))

    def _record(self, head: Head, error: SidecarError) -> None:
        self._audit.append(
            AuditRecord(
                at=written(self._clock.now()),
                server=head.server,
                grant=head.grant,
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


_ANSWERS = {"POST": Gateway._post, "GET": Gateway._get, "DELETE": Gateway._delete}
