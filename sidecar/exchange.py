"""THE path of a message: judged, forwarded as it came, its answer relayed. Only here does an error become a denial.

Imports core, ports, errors and its parts (judgement, relay); no adapter.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from time import perf_counter

import msgspec
from msgspec.structs import replace

from sidecar.core import denial, era, jsonrpc, messages
from sidecar.core.closing import is_closed
from sidecar.core.decision import Decision
from sidecar.core.ending import ending
from sidecar.core.inflight import Flight, InFlight
from sidecar.core.inventory import Inventory
from sidecar.core.messages import PassThrough, ToolCall, ToolList
from sidecar.core.record import AuditRecord, written
from sidecar.errors import ProtocolError, SidecarError, StoreError, UpstreamError
from sidecar.judgement import CLOSED, WITHOUT_POLICY, Caller, Judgement, Verdict, unavailable
from sidecar.notices import Notices
from sidecar.ports import AuditLog, Clock, Event, Headers, Outgoing, Reply, Upstream
from sidecar.relay import JSON_HEADERS, Addressee, Relay, denied, failure

_WITHOUT_POLICY = frozenset({"initialize", "ping", "server/discover"})
_NOT_RUN = frozenset({"unreachable", "http_error", "error"})
_CANCELLED = "notifications/cancelled"
_DOUBTFUL = "an error that may be due to the client's cancellation, or to another request of the same id"


class _Turn(msgspec.Struct):
    """One message under way: who, when, and what the audit will say of it."""

    caller: Caller
    now: datetime
    started: float
    method: str = ""
    tool: str = ""
    argument_keys: tuple[str, ...] = ()
    flight: Flight | None = None


class Exchange:
    """The conversation of one server's clients with it. `warn` is told, in one line, of what went wrong behind it."""

    def __init__(
        self,
        upstream: Upstream,
        judgement: Judgement,
        relay: Relay,
        inventory: Inventory,
        audit: AuditLog,
        clock: Clock,
        *,
        warn: Callable[[SidecarError], None],
        notices: Notices | None = None,
    ) -> None:
        self._notices = notices
        self._upstream = upstream
        self._judgement = judgement
        self._relay = relay
        self._inventory = inventory
        self._audit = audit
        self._clock = clock
        self._warn = warn
        self._in_flight = InFlight()

    async def handle(
        self, raw: bytes, caller: Caller, headers: Mapping[bytes, list[bytes]] | None, forwarded: Headers = ()
    ) -> Reply:
        """The answer to one message. `headers` are the request's (None on stdio), `forwarded` those that go on."""
        turn = _Turn(caller, self._clock.now(), perf_counter())
        try:
            message = jsonrpc.parse(raw)
            envelope = era.read_line(message) if headers is None else era.read(message, headers, self._inventory)
            judged = messages.classify(message, envelope, self._inventory)
        except ProtocolError as error:
            return self._refuse(error, turn)
        match judged:
            case ToolCall():
                return await self._call_tool(judged, turn, forwarded)
            case ToolList():
                turn.method = "tools/list"
                to = Addressee(caller, judged.modern, judged.id_raw)
                outgoing = Outgoing(raw, "tools/list", judged.id, forwarded, caller.session, judged.modern)
                return await self._asked(outgoing, to)
            case PassThrough():
                return await self._pass_through(judged, turn, forwarded)

    def unjudged(self, raw: bytes, caller: Caller, headers: Mapping[bytes, list[bytes]], error: SidecarError) -> Reply:
        """The denial of a message whose caller cannot be known, since the store that knows does not answer."""
        turn = _Turn(caller, self._clock.now(), perf_counter())
        verdict = unavailable(f"{error.code}: {error}")
        try:
            message = jsonrpc.parse(raw)
            judged = messages.classify(message, era.read(message, headers, self._inventory), self._inventory)
        except ProtocolError as malformed:
            return self._refuse(malformed, turn)
        if isinstance(judged, ToolCall):
            turn.method, turn.tool, turn.argument_keys = "tools/call", judged.tool, judged.argument_keys
            self._record(turn, verdict)
            return Reply(200, JSON_HEADERS, body=denied(judged, caller, verdict))
        self._record(turn, verdict)
        text = denial.text(verdict.decision.message)
        return Reply(503, JSON_HEADERS, body=denial.error(judged.id_raw, denial.UNAVAILABLE, text))

    async def listen(self, caller: Caller, forwarded: Headers) -> Reply:
        """The upstream's stream of messages that belong to no request, filtered like any other."""
        reply = await self._relayed(self._upstream.listen(forwarded, caller.session), Addressee(caller))
        return reply if self._notices is None else self._notices.news(reply, caller)

    async def end(self, caller: Caller, forwarded: Headers) -> Reply:
        """The upstream's answer to the end of a session."""
        with self._in_flight.meddling(caller.grant.id):
            return await self._relayed(self._upstream.end(forwarded, caller.session), Addressee(caller))

    async def _call_tool(self, call: ToolCall, turn: _Turn, forwarded: Headers) -> Reply:
        turn.method, turn.tool, turn.argument_keys = "tools/call", call.tool, call.argument_keys
        verdict = await self._judged(call, turn)
        if verdict.decision.outcome != "allow":
            self._record(turn, verdict)
            return Reply(200, JSON_HEADERS, body=denied(call, turn.caller, verdict))
        to = Addressee(turn.caller, call.modern, call.id_raw)
        outgoing = Outgoing(call.raw, "tools/call", call.id, forwarded, turn.caller.session, call.modern)
        turn.flight = self._in_flight.begin(turn.caller.grant.id, turn.caller.session, call.id)
        try:
            reply = await self._upstream.send(outgoing)
        except UpstreamError as error:
            self._warn(error)
            await self._finish(turn, verdict, "unreachable" if error.surely_not_run else "unknown", error)
            return failure(error, call.id_raw)
        except BaseException:
            await self._finish(turn, verdict, "unknown")
            raise
        if reply.events is not None and reply.status < 400:
            return await self._relay.answer(replace(reply, events=self._watched(reply.events, call, turn, verdict)), to)
        await self._finish(turn, verdict, _how(reply, call))
        return await self._relay.answer(reply, to)

    async def _judged(self, call: ToolCall, turn: _Turn) -> Verdict:
        if not self._audit.healthy:
            return unavailable("store: the audit log cannot be written")
        try:
            return await self._judgement.judge(call, turn.caller, turn.now)
        except BaseException:
            message = "The call was given up before it was decided."
            self._append(turn, outcome="refused", message=message, cause="given_up")
            raise

    async def _watched(
        self, events: AsyncGenerator[Event, None], call: ToolCall, turn: _Turn, verdict: Verdict
    ) -> AsyncGenerator[Event, None]:
        """The call's own stream, untouched; what it says of the call settles the reservation."""
        how = None
        try:
            async with aclosing(events) as incoming:
                async for event in incoming:
                    if how is None and event.data:
                        how = ending(event.data, call.id)
                        if how is not None:
                            await self._finish(turn, verdict, how)
                    yield event
        finally:
            if how is None:
                await self._finish(turn, verdict, "unknown")

    async def _pass_through(self, message: PassThrough, turn: _Turn, forwarded: Headers) -> Reply:
        turn.method = message.method or ""
        caller = turn.caller
        if caller.grant.policy is None and message.id is not None and message.method not in _WITHOUT_POLICY:
            return self._closed(message, turn, WITHOUT_POLICY)
        if caller.grant.policed_methods == "all" and is_closed(message):
            return self._closed(message, turn, CLOSED)
        outgoing = Outgoing(message.raw, message.method, message.id, forwarded, caller.session, message.modern)
        to = Addressee(caller, message.modern, message.id_raw)
        if message.id is not None and message.method is not None:
            reply = await self._asked(outgoing, to)
            return reply if self._notices is None else self._notices.about(message, reply, caller)
        if message.method is None or message.method == _CANCELLED:
            with self._in_flight.meddling(caller.grant.id):
                return await self._relayed(self._upstream.send(outgoing), to)
        return await self._relayed(self._upstream.send(outgoing), to)

    def _closed(self, message: PassThrough, turn: _Turn, decision: Decision) -> Reply:
        self._record(turn, Verdict(decision))
        body = denial.error(message.id_raw, denial.DENIED, denial.text(decision.message))
        return Reply(400 if message.id is None else 200, JSON_HEADERS, body=body)

    async def _asked(self, request: Outgoing, to: Addressee) -> Reply:
        """The relayed answer to a request that is no call. One that comes as a stream may come late, or never."""
        assert request.id is not None
        flight = self._in_flight.begin(to.caller.grant.id, request.session, request.id)
        answered = False
        try:
            reply = await self._relayed(self._upstream.send(request), to)
            answered = reply.body is not None and reply.status < 500
        finally:
            self._in_flight.end(flight, answered=answered)
        return reply

    async def _relayed(self, sending: Awaitable[Reply], to: Addressee) -> Reply:
        try:
            reply = await sending
        except UpstreamError as error:
            self._warn(error)
            return failure(error, to.id_raw)
        return await self._relay.answer(reply, to)

    async def _finish(self, turn: _Turn, verdict: Verdict, how: str, error: SidecarError | None = None) -> None:
        """Gives back what a call took that surely did not run, and writes its record."""
        cause = "" if error is None else f"{error.code}: {error}"
        assert turn.flight is not None
        self._in_flight.end(turn.flight, answered=how != "unknown")
        if turn.flight.doubtful and how != "unreachable" and how in _NOT_RUN:
            how, cause = "unknown", _DOUBTFUL
        if how in _NOT_RUN:
            try:
                await self._judgement.give_back(verdict, turn.now)
            except StoreError as failed:
                self._warn(failed)
                cause = f"{cause} {failed.code}: not given back: {failed}".strip()
            except BaseException:
                self._record(turn, verdict, how, "given_up: not given back")
                raise
        self._record(turn, verdict, how, cause)

    def _refuse(self, error: ProtocolError, turn: _Turn) -> Reply:
        self._warn(error)
        turn.method, turn.tool = error.method, error.tool
        self._append(turn, outcome="refused", message=str(error), cause=error.code)
        return Reply(
            error.http_status, JSON_HEADERS, body=denial.error(error.id_raw, error.rpc_code, str(error), error.data)
        )

    def _record(self, turn: _Turn, verdict: Verdict, result: str = "", cause: str = "") -> None:
        decision = verdict.decision
        self._append(
            turn,
            outcome=decision.outcome,
            rule=decision.rule,
            message=decision.message,
            revision=decision.revision,
            result=result,
            cause=cause or verdict.cause,
            approval=verdict.approval,
        )

    def _append(
        self,
        turn: _Turn,
        *,
        outcome: str,
        message: str,
        rule: str = "",
        revision: str = "",
        result: str = "",
        cause: str = "",
        approval: str = "",
    ) -> None:
        grant = turn.caller.grant
        self._audit.append(
            AuditRecord(
                at=written(turn.now),
                server=grant.server,
                grant=grant.id,
                method=turn.method,
                tool=turn.tool,
                argument_keys=turn.argument_keys,
                policy=grant.policy or "",
                revision=revision,
                outcome=outcome,
                rule=rule,
                message=message,
                result=result,
                cause=cause,
                approval=approval,
                session=turn.caller.session or "",
                duration_ms=round((perf_counter() - turn.started) * 1000, 3),
            )
        )


def _how(reply: Reply, call: ToolCall) -> str:
    """How a call ended that was answered at once. Behind a 5xx it may have run, whatever the body says."""
    if 400 <= reply.status < 500:
        return "http_error"
    how = ending(reply.body or b"", call.id)
    return "unknown" if how is None or (how == "error" and reply.status >= 500) else how
