"""What the audit says of a message under way: gathered on its path, written once.

Imports core and ports; decides nothing.
"""

from datetime import datetime
from time import perf_counter

import msgspec

from sidecar.core.decision import Decision
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


class Judged(msgspec.Struct):
    """The port `Entry` of a call that was judged, and has come to its end: `turn` changes no more.

    Both that and the verdict, by which a call's headers and amounts are held, are let go once the record is made.
    Units: `ended` as `perf_counter`.
    """

    turn: UnderWay | None
    verdict: Verdict | None
    result: str
    cause: str
    ended: float
    made: AuditRecord | None = None

    def record(self) -> AuditRecord:
        """What the audit says of it."""
        if self.made is None:
            turn, verdict = self.turn, self.verdict
            assert turn is not None
            assert verdict is not None
            cause = self.cause or verdict.cause
            self.made = _record(
                turn, self.ended, verdict.decision, self.result, cause, verdict.approval, verdict.person
            )
            self.turn = self.verdict = None
        return self.made


class _Refusal(msgspec.Struct, frozen=True):
    """As a decision: what is said of a message that policy did not see."""

    message: str
    outcome: str = "refused"
    rule: str = ""
    revision: str = ""


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
        self._audit.append(Judged(turn, verdict, result, cause, perf_counter()))

    def refused(self, turn: UnderWay, error: ProtocolError) -> None:
        """The record of a message that was refused before policy ran."""
        turn.method, turn.tool = error.method, error.tool
        self._refused(turn, str(error), error.code)

    def given_up(self, turn: UnderWay) -> None:
        """The record of a call that nobody waits for any more, and that was not decided."""
        self._refused(turn, "The call was given up before it was decided.", "given_up")

    def _refused(self, turn: UnderWay, message: str, cause: str) -> None:
        self._audit.append(_record(turn, perf_counter(), _Refusal(message), "", cause))


def _record(
    turn: UnderWay,
    ended: float,
    said: Decision | _Refusal,
    result: str,
    cause: str,
    approval: str = "",
    person: str = "",
) -> AuditRecord:
    caller = turn.caller
    grant = caller.grant
    return AuditRecord(
        written(turn.now),
        grant.server,
        grant.id,
        turn.method,
        turn.tool,
        turn.argument_keys,
        grant.policy or "",
        said.revision,
        said.outcome,
        said.rule,
        said.message,
        result,
        cause,
        approval,
        caller.session or "",
        round((ended - turn.started) * 1000, 3),
        person,
    )
