"""THE path of a message: judged, forwarded as it came, its answer relayed. Only here does an error become a denial.

Imports core, ports, errors and its parts (judgement, settlement, relay and others); no adapter.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from time import perf_counter

from msgspec.structs import replace

from sidecar.core import denial, era, jsonrpc, messages
from sidecar.core.closing import is_closed
from sidecar.core.ending import ending
from sidecar.core.inflight import InFlight
from sidecar.core.inventory import Inventory
from sidecar.core.jsonrpc import TOOLS_CALL, Request
from sidecar.core.messages import PassThrough, ToolCall, ToolList
from sidecar.errors import ProtocolError, SidecarError, StateRefused, UpstreamError
from sidecar.path.judgement import CLOSED, WITHOUT_POLICY, Caller, Judgement, Verdict, unavailable
from sidecar.path.late import Late
from sidecar.path.notices import Notices
from sidecar.path.recorder import Recorder, UnderWay
from sidecar.path.refusals import UNRECORDED, Refusals
from sidecar.path.relay import JSON_HEADERS, Addressee, Relay, denied, failure, renewed
from sidecar.path.rounds import Rounds
from sidecar.path.settlement import Settlement
from sidecar.path.waiting import Waiting
from sidecar.ports import AuditLog, Clock, Event, Headers, Outgoing, Reply, Upstream

_WITHOUT_POLICY = frozenset({"initialize", "ping", "server/discover"})
_ASKS = "input_required"
_CANCELLED = "notifications/cancelled"
_CHANGED = "grant: it was revoked or changed while the call waited"
_LEFT = "given_up: the client left while the call waited"


class _Course:
    """The port `waiting.Course` of one call."""

    def __init__(
        self, exchange: "Exchange", call: ToolCall, turn: UnderWay, forwarded: Headers, verdict: Verdict, raw: bytes
    ) -> None:
        self._exchange = exchange
        self._call = call
        self._turn = turn
        self._forwarded = forwarded
        self._verdict = verdict
        self._raw = raw

    async def go_on(self) -> Reply:
        turn, call = self._turn, self._call
        turn.now = self._exchange._clock.now()
        if not turn.caller.stands():
            return self._exchange._refusals.denied(call, turn, unavailable(_CHANGED))
        verdict, _ = await self._exchange._judged(call, turn, again=True)
        return await self._exchange._settled(call, turn, self._forwarded, verdict, self._raw)

    def denied(self) -> Reply:
        return self._exchange._refusals.denied(self._call, self._turn, self._verdict)

    def put_off(self, body: bytes) -> Reply:
        self._exchange._recorder.judged(self._turn, self._verdict)
        return Reply(200, JSON_HEADERS, body=body)

    def left(self) -> None:
        self._exchange._recorder.judged(self._turn, self._verdict, cause=_LEFT)


class Exchange:
    """The conversation of one server's clients with it. `warn` is told, in one line, of what went wrong behind it.

    Units: `took` is told how long the server took for each call, in seconds.
    """

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
        rounds: Rounds | None = None,
        waiting: Waiting | None = None,
        took: Callable[[float], None] = lambda _: None,
        alone: Callable[[], bool] = lambda: True,
    ) -> None:
        self._waiting = waiting
        self._notices = notices
        self._rounds = rounds
        self._upstream = upstream
        self._judgement = judgement
        self._relay = relay
        self._inventory = inventory
        self._recorder = Recorder(audit)
        self._refusals = Refusals(judgement, inventory, self._recorder, warn)
        self._clock = clock
        self._warn = warn
        self._in_flight = InFlight()
        self._settlement = Settlement(
            rounds or judgement, self._recorder, self._in_flight, warn=warn, took=took, alone=alone
        )
        self._late = Late(self._settlement)

    @property
    def in_flight(self) -> int:
        """How many requests wait for the server's answer."""
        return len(self._in_flight)

    async def handle(
        self, raw: bytes, caller: Caller, headers: Mapping[bytes, list[bytes]] | None, forwarded: Headers = ()
    ) -> Reply:
        """The answer to one message. `headers` are the request's (None on stdio), `forwarded` those that go on."""
        turn = UnderWay(caller, self._clock.now(), perf_counter())
        message = None
        try:
            message = jsonrpc.parse(raw)
            envelope = era.read_line(message) if headers is None else era.read(message, headers, self._inventory)
            judged = messages.classify(message, envelope, self._inventory)
        except ProtocolError as error:
            if caller.grant.hidden_calls == "unknown" and isinstance(message, Request) and error.method == TOOLS_CALL:
                return await self._refusals.refused_unseen(message, headers, error, turn)
            return self._refusals.refused(error, turn)
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
        turn = UnderWay(caller, self._clock.now(), perf_counter())
        verdict = unavailable(f"{error.code}: {error}")
        try:
            message = jsonrpc.parse(raw)
            judged = messages.classify(message, era.read(message, headers, self._inventory), self._inventory)
        except ProtocolError as malformed:
            return self._refusals.refused(malformed, turn)
        if isinstance(judged, ToolCall):
            turn.method, turn.tool, turn.argument_keys = TOOLS_CALL, judged.tool, judged.argument_keys
            self._recorder.judged(turn, verdict)
            return Reply(200, JSON_HEADERS, body=denied(judged, caller, verdict))
        self._recorder.judged(turn, verdict)
        text = denial.text(verdict.decision.message)
        return Reply(503, JSON_HEADERS, body=denial.error(judged.id_raw, denial.UNAVAILABLE, text))

    async def listen(self, caller: Caller, forwarded: Headers) -> Reply:
        """The upstream's stream of messages that belong to no request, filtered like any other."""
        reply = await self._relayed(self._overheard(caller, forwarded), Addressee(caller))
        return reply if self._notices is None else self._notices.news(reply, caller)

    async def _overheard(self, caller: Caller, forwarded: Headers) -> Reply:
        return self._late.overheard(await self._upstream.listen(forwarded, caller.session), caller, forwarded)

    async def end(self, caller: Caller, forwarded: Headers) -> Reply:
        """The upstream's answer to the end of a session."""
        with self._in_flight.meddling(caller.grant.id):
            return await self._relayed(self._upstream.end(forwarded, caller.session), Addressee(caller))

    async def close(self) -> None:
        """Waits for no answer any more that might come on another stream."""
        await self._late.close()

    async def _call_tool(self, call: ToolCall, turn: UnderWay, forwarded: Headers) -> Reply:
        turn.method, turn.tool, turn.argument_keys = TOOLS_CALL, call.tool, call.argument_keys
        try:
            verdict, raw = await self._judged(call, turn)
        except StateRefused as error:
            return self._refusals.refused(error, turn)
        if self._waiting is not None and verdict.decision.outcome == "approval_required":
            course = _Course(self, call, turn, forwarded, verdict, raw)
            if (reply := await self._waiting.reply(call, turn.caller, verdict, course)) is not None:
                return reply
        return await self._settled(call, turn, forwarded, verdict, raw)

    async def _settled(self, call: ToolCall, turn: UnderWay, forwarded: Headers, verdict: Verdict, raw: bytes) -> Reply:
        """The denial of a call, or its answer; `raw` is what is forwarded."""
        if verdict.decision.outcome != "allow":
            return self._refusals.denied(call, turn, verdict)
        to = Addressee(turn.caller, call.modern, call.id_raw)
        outgoing = Outgoing(raw, TOOLS_CALL, call.id, forwarded, turn.caller.session, call.modern)
        turn.flight = self._in_flight.begin(turn.caller.grant.id, turn.caller.session, call.id)
        turn.forwarded = perf_counter()
        try:
            reply = await self._upstream.send(outgoing)
        except UpstreamError as error:
            self._warn(error)
            how = "unreachable" if error.surely_not_run else "unknown"
            await self._settlement.finish(turn, verdict, how, f"{error.code}: {error}")
            return failure(error, call.id_raw)
        except BaseException:
            await self._settlement.finish(turn, verdict, "unknown")
            raise
        if reply.events is not None and reply.status < 400:
            return await self._relayed_on(replace(reply, events=self._watched(reply.events, call, turn, verdict)), to)
        how = _how(reply, call)
        await self._settlement.finish(turn, verdict, how)
        if how == _ASKS and self._rounds is not None and call.modern and reply.body is not None:
            body = await self._rounds.sealed(reply.body, call, turn.caller, verdict, turn.now)
            reply = replace(reply, body=body)
        return await self._relay.answer(reply, to)

    async def _judged(self, call: ToolCall, turn: UnderWay, *, again: bool = False) -> tuple[Verdict, bytes]:
        """The verdict, and what is forwarded if it is allowed; `again`: without its state. Raises: StateRefused."""
        if not self._recorder.healthy:
            return unavailable(UNRECORDED), call.raw
        try:
            if call.resumes and self._rounds is not None and not again:
                return await self._rounds.judge(call, turn.caller, turn.now)
            return await self._judgement.judge(call, turn.caller, turn.now), call.raw
        except StateRefused:
            raise
        except BaseException:
            self._recorder.given_up(turn)
            raise

    async def _watched(
        self, events: AsyncGenerator[Event, None], call: ToolCall, turn: UnderWay, verdict: Verdict
    ) -> AsyncGenerator[Event, None]:
        """The call's own stream, untouched; what it says of the call settles the reservation."""
        awaited = self._late.awaited(call.id, turn, verdict)
        try:
            async with aclosing(events) as incoming:
                async for event in incoming:
                    how = await awaited.hear(event)
                    if how == _ASKS and self._rounds is not None and call.modern:
                        data = await self._rounds.sealed(event.data, call, turn.caller, verdict, turn.now)
                        event = replace(event, data=data, raw=renewed(event, data))
                    yield event
        finally:
            await awaited.leave()

    async def _pass_through(self, message: PassThrough, turn: UnderWay, forwarded: Headers) -> Reply:
        turn.method = message.method or ""
        caller = turn.caller
        if caller.grant.policy is None and message.id is not None and message.method not in _WITHOUT_POLICY:
            return self._refusals.closed(message, turn, WITHOUT_POLICY)
        if caller.grant.policed_methods == "all" and is_closed(message):
            return self._refusals.closed(message, turn, CLOSED)
        outgoing = Outgoing(message.raw, message.method, message.id, forwarded, caller.session, message.modern)
        to = Addressee(caller, message.modern, message.id_raw)
        if message.id is not None and message.method is not None:
            reply = await self._asked(outgoing, to)
            return reply if self._notices is None else self._notices.about(message, reply, caller)
        if message.method is None or message.method == _CANCELLED:
            if self._waiting is not None and await self._waiting.hears(message, caller):
                return Reply(202, body=b"")
            with self._in_flight.meddling(caller.grant.id):
                return await self._relayed(self._upstream.send(outgoing), to)
        return await self._relayed(self._upstream.send(outgoing), to)

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
        return await self._relayed_on(reply, to)

    def _relayed_on(self, reply: Reply, to: Addressee) -> Awaitable[Reply]:
        if reply.events is not None:
            reply = replace(reply, events=self._settlement.heard(reply.events, to.caller.grant.id))
        return self._relay.answer(reply, to)


def _how(reply: Reply, call: ToolCall) -> str:
    """How a call ended that was answered at once. Behind a 5xx it may have run, whatever the body says."""
    if 400 <= reply.status < 500:
        return "http_error"
    how = ending(reply.body or b"", call.id)
    return "unknown" if how is None or (how == "error" and reply.status >= 500) else how
