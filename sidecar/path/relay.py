"""An upstream's answer on its way to the client: lists filtered, credentials' refusals hidden, all else as it came.

Imports core, ports, errors and visibility; no adapter. Source: mcp-gateway.md G17, G19, G22, G25, G26, G51.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import msgspec
from msgspec.structs import replace

from sidecar.core import denial
from sidecar.core.messages import ToolCall
from sidecar.errors import Broken, DecisionError, ProtocolError, SidecarError, TimedOut, UpstreamError
from sidecar.path.judgement import Caller, Verdict
from sidecar.path.visibility import Visibility
from sidecar.ports import Event, Headers, Reply

JSON_HEADERS: Headers = ((b"content-type", b"application/json"),)
_LINE_BYTES = 16 * 1024 * 1024


class Addressee(msgspec.Struct, frozen=True):
    """Whom an answer is for: the caller, its era, and the id of its request (None where there is none)."""

    caller: Caller
    modern: bool = False
    id_raw: bytes | None = None


class Relay:
    """Passes answers on. `warn` is told, in one line, of what had to be withheld."""

    def __init__(self, visibility: Visibility, warn: Callable[[SidecarError], None]) -> None:
        self._visibility = visibility
        self._warn = warn

    async def answer(self, reply: Reply, to: Addressee) -> Reply:
        """The reply as this addressee may have it. Never raises for what the upstream sent."""
        if reply.status in (401, 403):
            await reply.drop()
            refused = Broken(f"The MCP server refused the gateway's own credential (status {reply.status}).")
            self._warn(refused)
            return failure(refused, to.id_raw)
        if reply.body is not None:
            caller, seen = to.caller, self._visibility
            grant, modern, id_raw = caller.grant, to.modern, to.id_raw
            try:
                body = seen.at_once(reply.body, grant, modern=modern, id_raw=id_raw)
                if body is None:
                    body = await seen.filtered(reply.body, grant, caller.asker, modern=modern, id_raw=id_raw)
            except SidecarError as error:
                self._warn(error)
                return Reply(200, JSON_HEADERS, body=withheld(error, to.id_raw))
            return reply if body is reply.body else replace(reply, body=body)
        if reply.events is not None:
            return replace(reply, events=self._events(reply.events, to))
        assert reply.chunks is not None
        return replace(reply, chunks=self._lines(reply.chunks, to))

    async def _events(self, events: AsyncGenerator[Event, None], to: Addressee) -> AsyncGenerator[Event, None]:
        async with aclosing(events) as incoming:
            try:
                async for event in incoming:
                    yield await self._event(event, to)
            except UpstreamError as error:
                self._warn(error)

    async def _event(self, event: Event, to: Addressee) -> Event:
        if not event.data:
            return event
        try:
            data = await self._guard(event.data, to)
        except SidecarError as error:
            self._warn(error)
            return Event(withheld(error, to.id_raw))
        return event if data is event.data else Event(data, renewed(event, data))

    async def _lines(self, chunks: AsyncGenerator[bytes, None], to: Addressee) -> AsyncGenerator[bytes, None]:
        """An endless JSON body: passed on line by line, each line guarded like a message."""
        begun: list[bytes] = []
        begun_bytes = 0
        async with aclosing(chunks) as incoming:
            try:
                async for chunk in incoming:
                    first, *more = chunk.split(b"\n")
                    begun.append(first)
                    begun_bytes += len(first)
                    for part in more:
                        yield await self._guard(b"".join(begun), to) + b"\n"
                        begun, begun_bytes = [part], len(part)
                    if begun_bytes > _LINE_BYTES:
                        raise Broken(f"The server sent a line of more than {_LINE_BYTES} bytes.")
                if rest := b"".join(begun):
                    yield await self._guard(rest, to)
            except SidecarError as error:
                self._warn(error)

    def _guard(self, data: bytes, to: Addressee) -> Awaitable[bytes]:
        caller = to.caller
        return self._visibility.guard(data, caller.grant, caller.asker, modern=to.modern, id_raw=to.id_raw)


def denied(call: ToolCall, caller: Caller, verdict: Verdict) -> bytes:
    """The denial as the client gets it. Source: mcp-gateway.md G29–G31, policy-semantics section 12."""
    decision = verdict.decision
    message = decision.message
    meta = {"outcome": decision.outcome, "rule": decision.rule}
    if caller.grant.policy is not None and decision.revision:
        meta["policy"] = f"{caller.grant.policy}@{decision.revision}"
    if verdict.retry_at is not None:
        meta["retry_at"] = verdict.retry_at
    if decision.outcome == "approval_required" and verdict.approval:
        meta["approval"] = verdict.approval
        message = f"{message} Approval id {verdict.approval}; retry the same call once approved."
    if call.task:
        code = denial.UNAVAILABLE if verdict.cause else denial.DENIED
        return denial.error(call.id_raw, code, denial.text(message))
    return denial.result(call.id_raw, message, meta, modern=call.modern)


def refused(error: ProtocolError) -> Reply:
    """The answer to a message that cannot be judged."""
    body = denial.error(error.id_raw, error.rpc_code, str(error), error.data)
    return Reply(error.http_status, JSON_HEADERS, body=body)


def failure(error: SidecarError, id_raw: bytes | None) -> Reply:
    """The answer when the upstream gave none: 502, or 504 when it was only late; JSON-RPC -32603."""
    status = 504 if isinstance(error, TimedOut) else 502
    return Reply(status, JSON_HEADERS, body=denial.error(id_raw or b"null", -32603, str(error)))


def withheld(error: SidecarError, id_raw: bytes | None) -> bytes:
    """The error in place of a list that cannot be shown. Source: mcp-gateway.md G31."""
    if isinstance(error, DecisionError):
        return denial.error(id_raw or b"null", denial.UNAVAILABLE, "Policy decision unavailable.")
    return denial.error(id_raw or b"null", -32603, f"The tool list is withheld: {error}")


def renewed(event: Event, data: bytes) -> bytes | None:
    """The event's own bytes around new data, so that its id, type and retry stay."""
    if event.raw is None:
        return None
    kept = [line for line in event.raw.splitlines() if line and not line.lstrip(b"\xef\xbb\xbf").startswith(b"data")]
    lines = [*kept, *(b"data: " + part for part in data.splitlines())]
    return b"\n".join(lines) + b"\n\n"
