"""Answers to what is not forwarded: refused, denied, closed, or as if there were no such tool. Each has its record.

Imports core, ports, errors and its parts (judgement, recorder, relay); no adapter. Source: mcp-gateway.md G17, G29-G31.
"""

from collections.abc import Callable, Mapping

from sidecar.core import denial, unseen
from sidecar.core.decision import Decision
from sidecar.core.inventory import Inventory
from sidecar.core.jsonrpc import Request
from sidecar.core.messages import PassThrough, ToolCall
from sidecar.errors import ProtocolError, SidecarError, UnusualName
from sidecar.path.judgement import Judgement, Verdict, unavailable
from sidecar.path.recorder import Recorder, UnderWay
from sidecar.path.relay import JSON_HEADERS, denied, refused
from sidecar.ports import Reply

UNRECORDED = "store: the audit log cannot be written"


class Refusals:
    """How one server's clients are told no. `warn` is told, in one line, of what could not be judged."""

    def __init__(
        self, judgement: Judgement, inventory: Inventory, recorder: Recorder, warn: Callable[[SidecarError], None]
    ) -> None:
        self._judgement = judgement
        self._inventory = inventory
        self._recorder = recorder
        self._warn = warn

    def refused(self, error: ProtocolError, turn: UnderWay) -> Reply:
        """The answer to a message that cannot be judged."""
        self._warn(error)
        self._recorder.refused(turn, error)
        return refused(error)

    def closed(self, message: PassThrough, turn: UnderWay, decision: Decision) -> Reply:
        """The answer to a method that is closed for this grant."""
        self._recorder.judged(turn, Verdict(decision))
        body = denial.error(message.id_raw, denial.DENIED, denial.text(decision.message))
        return Reply(400 if message.id is None else 200, JSON_HEADERS, body=body)

    def denied(self, call: ToolCall, turn: UnderWay, verdict: Verdict) -> Reply:
        """The answer to a call that policy does not let through."""
        self._recorder.judged(turn, verdict)
        if turn.caller.grant.hidden_calls == "unknown" and self._is_unseen(call, turn, verdict):
            return _unknown(call)
        return Reply(200, JSON_HEADERS, body=denied(call, turn.caller, verdict))

    async def refused_unseen(
        self, request: Request, headers: Mapping[bytes, list[bytes]] | None, error: ProtocolError, turn: UnderWay
    ) -> Reply:
        """The refusal of a call, which must not tell that the server lists a tool that its grant does not see."""
        refusal = self.refused(error, turn)
        call = unseen.of_no_tool(request, headers, error)
        if isinstance(call, ProtocolError):
            return refused(call)
        healthy = self._recorder.healthy
        verdict = await self._judgement.preview(call, turn.caller) if healthy else unavailable(UNRECORDED)
        if verdict.cause:
            return Reply(200, JSON_HEADERS, body=denied(call, turn.caller, verdict))
        if isinstance(error, UnusualName) or self._is_unseen(call, turn, verdict):
            return _unknown(call)
        return refusal

    def _is_unseen(self, call: ToolCall, turn: UnderWay, verdict: Verdict) -> bool:
        listed, callable_only = self._inventory.advertised(call.tool), turn.caller.grant.list == "callable"
        return unseen.is_unseen(verdict.decision.rule, listed=listed, callable_only=callable_only)


def _unknown(call: ToolCall) -> Reply:
    status, body = unseen.answer(call)
    return Reply(status, JSON_HEADERS, body=body)
