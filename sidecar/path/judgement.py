"""May this call go on? Asks OPA, then people's answers, then the counters. Whatever cannot be asked is a denial.

Imports core, ports and errors; no adapter. Source: policy-semantics sections 2, 7 and 8; mcp-gateway.md G31, G37.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from time import perf_counter

import msgspec
from msgspec.structs import replace

from sidecar.core.decision import NO_POLICY, UNAVAILABLE, Decision
from sidecar.core.fingerprint import fingerprint
from sidecar.core.limits import claims, retry_at
from sidecar.core.messages import ToolCall
from sidecar.core.query import Asker
from sidecar.errors import DecisionUndefined, SidecarError
from sidecar.ports import ApprovalRequest, Approvals, Counters, DecisionPoint, Grant, Refused, Reservation

DEFAULT_TTL_S = 300
"""How long an approval waits for its answer, and then for its call (policy-semantics section 8)."""

_SHORT_BYTES = 64 * 1024
_NOTHING = Reservation(())
WITHOUT_POLICY = Decision("deny", NO_POLICY, "No policy is attached to this grant.", "", ())
"""What every call under a grant without a policy gets (policy-semantics sections 2 and 3)."""

CLOSED = Decision("deny", "(closed)", "This method is closed for this grant.", "", ())
"""What a method that is not about tools gets under a grant that polices all methods (mcp-gateway.md G17)."""


class Caller(msgspec.Struct, frozen=True):
    """Who calls: the grant, the constant part of its queries, and the upstream's session id if there is one.

    `elicits`: the client said, when its session began, that it can show a form. `stands` says, however much later,
    whether the grant is still what it was when the message came.
    """

    grant: Grant
    asker: Asker
    session: str | None = None
    elicits: bool = False
    stands: Callable[[], bool] = lambda: True


class Before(msgspec.Struct, frozen=True):
    """What earlier rounds of a call have taken: its limits, and an approval that `rule` of `revision` asked for."""

    counted: bool = False
    approval: str = ""
    rule: str = ""
    revision: str = ""
    person: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """A decision and what goes with it on the way out.

    `approval` is the id a person has to answer, or the one that was used up, and `asked` the rule that asked for it;
    `cause` says why under `(unavailable)`. `before` is what earlier rounds took, `used` the state that this one used.
    `person` is who answered the approval.
    """

    decision: Decision
    reservation: Reservation = _NOTHING
    approval: str = ""
    retry_at: str | None = None
    cause: str = ""
    asked: str = ""
    before: Before | None = None
    used: bytes = b""
    person: str = ""


class Judgement:
    """The three questions before a call is forwarded, in order.

    Units: `took` and `reserved` are told how long each decision, and each reservation, took, in seconds.
    """

    def __init__(
        self,
        decisions: DecisionPoint,
        counters: Counters,
        approvals: Approvals,
        *,
        took: Callable[[float], None] = lambda _: None,
        reserved: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._decisions = decisions
        self._took = took
        self._reserved = reserved
        self._counters = counters
        self._approvals = approvals

    async def judge(self, call: ToolCall, caller: Caller, now: datetime, before: Before | None = None) -> Verdict:
        """The verdict on one call; an allowed one has its reservation made and its approval used up.

        What `before` says that earlier rounds have taken is not taken again.
        """
        try:
            if before is not None:
                return await self._judge_again(call, caller, now, before)
            decision = await self._decide(call, caller, None)
            if decision.outcome == "approval_required":
                return await self._with_approval(call, caller, decision, now)
            if decision.outcome == "allow" and decision.limits:
                return await self._reserve(decision, caller, now)
            return Verdict(decision)
        except SidecarError as error:
            return unavailable(f"{error.code}: {error}")

    async def preview(self, call: ToolCall, caller: Caller) -> Verdict:
        """What policy says of a call that is not going to be made: nothing is counted, nobody asked."""
        try:
            return Verdict(await self._decide(call, caller, None))
        except SidecarError as error:
            return unavailable(f"{error.code}: {error}")

    async def give_back(self, verdict: Verdict, now: datetime) -> None:
        """Undoes what an allowed verdict took: the call surely did not run. Raises: StoreError."""
        if verdict.reservation.taken:
            await self._counters.rollback(verdict.reservation, now)
        if verdict.approval and (verdict.before is None or verdict.before.approval != verdict.approval):
            await self._approvals.give_back(verdict.approval)

    async def _decide(self, call: ToolCall, caller: Caller, approved: bool | None) -> Decision:
        query = caller.asker.call(call.tool, call.arguments_raw, call.arguments_fault, approved=approved)
        began = perf_counter()
        decision = await self._decisions.decide(query)
        self._took(perf_counter() - began)
        if decision.rule == NO_POLICY and caller.grant.policy is not None:
            raise DecisionUndefined(f"OPA does not hold policy {caller.grant.policy!r}.")
        return decision

    async def _judge_again(self, call: ToolCall, caller: Caller, now: datetime, before: Before) -> Verdict:
        """Policy is asked anew. An approval counts for as long as it is asked for by the same rule or revision."""
        decision = await self._decide(call, caller, None)
        asked = approval = person = ""
        if decision.outcome == "approval_required":
            same_rule = decision.rule == before.rule or decision.revision == before.revision
            if not (before.approval and same_rule and _may_answer(before.person, caller.grant)):
                verdict = await self._with_approval(call, caller, decision, now, counted=before.counted)
                return replace(verdict, before=before)
            asked, approval, person = decision.rule, before.approval, before.person
            decision = await self._decide(call, caller, True)
        verdict = Verdict(decision)
        if decision.outcome == "allow" and not before.counted:
            verdict = await self._reserve(decision, caller, now)
        return replace(verdict, approval=approval, asked=asked, before=before, person=person)

    async def _with_approval(
        self, call: ToolCall, caller: Caller, asked: Decision, now: datetime, *, counted: bool = False
    ) -> Verdict:
        grant = caller.grant
        bound = await bound_to(call, grant)
        answer = await self._approvals.find(bound, now)
        same_rule = answer is not None and (answer.rule == asked.rule or answer.revision == asked.revision)
        if answer is not None and same_rule and answer.state != "pending" and _may_answer(answer.person, grant):
            decision = await self._decide(call, caller, answer.state == "approved")
            if decision.outcome != "allow":
                return Verdict(decision, approval=answer.id, person=answer.person)
            verdict = Verdict(decision) if counted else await self._reserve(decision, caller, now)
            if verdict.decision.outcome != "allow":
                return verdict
            if await self._take(answer.id, verdict.reservation, now):
                return Verdict(decision, verdict.reservation, answer.id, asked=asked.rule, person=answer.person)
        request = ApprovalRequest(
            fingerprint=bound,
            server=grant.server,
            grant=grant.id,
            tool=call.tool,
            argument_keys=call.argument_keys,
            rule=asked.rule,
            message=asked.message,
            policy=grant.policy or "",
            revision=asked.revision,
            ttl_s=asked.ttl_s or DEFAULT_TTL_S,
        )
        return Verdict(asked, approval=await self._approvals.open(request, now))

    async def _take(self, approval_id: str, reservation: Reservation, now: datetime) -> bool:
        """Whether the approval is this call's to use; if not, or if that cannot be known, the reservation goes back."""
        taken = False
        try:
            taken = await self._approvals.take(approval_id, now)
        finally:
            if reservation.taken and not taken:
                await self._counters.rollback(reservation, now)
        return taken

    async def _reserve(self, decision: Decision, caller: Caller, now: datetime) -> Verdict:
        if not decision.limits:
            return Verdict(decision)
        grant = caller.grant
        asked = claims(decision.limits, grant.server, grant.id, caller.session, now)
        began = perf_counter()
        taken = await self._counters.reserve(asked)
        self._reserved(perf_counter() - began)
        if isinstance(taken, Refused):
            limit = decision.limits[taken.index]
            denied = Decision("deny", limit.rule, limit.message, decision.revision, ())
            return Verdict(denied, retry_at=retry_at(asked[taken.index]))
        return Verdict(decision, taken)


def _may_answer(person: str, grant: Grant) -> bool:
    """Whether an answer counts. A client's own user answers for a grant that lets users, as it is now."""
    return person != "user" or grant.approval == "confirm"


async def bound_to(call: ToolCall, grant: Grant) -> str:
    """What an approval or a state of this call is bound to. Long arguments are worked out aside."""
    parts = (grant.server, grant.id, call.tool, call.arguments_raw)
    if len(call.arguments_raw) <= _SHORT_BYTES:
        return fingerprint(*parts)
    return await asyncio.to_thread(fingerprint, *parts)


def unavailable(cause: str) -> Verdict:
    """The denial of a call that could not be decided. Source: policy-semantics section 7."""
    return Verdict(Decision("deny", UNAVAILABLE, "Policy decision unavailable.", "", ()), cause=cause)
