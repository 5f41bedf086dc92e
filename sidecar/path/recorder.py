"""What the audit says of a message under way: gathered on its path, written once.

Imports core and ports; decides nothing.
"""

from datetime import datetime
from time import perf_counter

import msgspec

from sidecar.core.inflight import Flight
from sidecar.core.record import AuditRecord, written
from sidecar.errors import ProtocolError
from sidecar.path.judgement import Caller, Verdict
from sidecar.ports import AuditLog


class UnderWay(msgspec.Struct):
    """One message under way: who, when, and what the audit will say of it. `left`: when its stream broke off."""

    caller: Caller
    now: datetime
    started: float
    method: str = ""
    tool: str = ""
    argument_keys: tuple[str, ...] = ()
    flight: Flight | None = None
    forwarded: float = 0.0
    left: float = 0.0


class Recorder:
    """Writes the records of one server's messages."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    @property
    def healthy(self) -> bool:
        """False while records cannot be written."""
        return self._audit.healthy

    def judged(self, turn: UnderWay, verdict: Verdict, result: str = "", cause: str = "") -> None:
        """The record of what was decided, and of how it ended."""
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
            person=verdict.person,
        )

    def refused(self, turn: UnderWay, error: ProtocolError) -> None:
        """The record of a message that was refused before policy ran."""
        turn.method, turn.tool = error.method, error.tool
        self._append(turn, outcome="refused", message=str(error), cause=error.code)

    def given_up(self, turn: UnderWay) -> None:
        """The record of a call that nobody waits for any more, and that was not decided."""
        message = "The call was given up before it was decided."
        self._append(turn, outcome="refused", message=message, cause="given_up")

    def _append(
        self,
        turn: UnderWay,
        *,
        outcome: str,
        message: str,
        rule: str = "",
        revision: str = "",
        result: str = "",
        cause: str = "",
        approval: str = "",
        person: str = "",
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
                person=person,
            )
        )
