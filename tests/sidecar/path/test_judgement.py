"""Source: policy-semantics sections 2, 7 and 8; mcp-gateway.md G31, G37."""

import asyncio
import json
import threading
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from sidecar.core.decision import NO_POLICY, UNAVAILABLE, Decision, Limit
from sidecar.core.fingerprint import fingerprint
from sidecar.core.limits import Claim
from sidecar.core.messages import ToolCall
from sidecar.core.query import Asker
from sidecar.errors import DecisionOffShape, DecisionUndefined, OpaUnreachable, SidecarError, StoreError
from sidecar.path.judgement import DEFAULT_TTL_S, WITHOUT_POLICY, Caller, Judgement, Verdict
from sidecar.ports import Grant, Refused, Reservation
from tests.fakes import ALLOWED, START, FakeApprovals, FakeCounters, FakeDecisionPoint

RULE = "/tools/pay/require_approval/always"
ASKS = Decision("approval_required", RULE, "Ask first.", "sha256:one", (), 60)
REFUSED = Decision("deny", RULE, "Approval was refused.", "sha256:one", ())
LIMIT = Limit("/tools/pay/limits/n", "Too many.", "n", "minute", Decimal(1), "grant", [Decimal(1)])
LIMITED = Decision("allow", "", "", "sha256:one", [LIMIT])
KEY = ("s/grant/n/60/g", int(START.timestamp()))


class Desk:
    """A judgement over fakes that share one tape."""

    def __init__(self, *decisions: Decision, policy: str | None = "p") -> None:
        self.tape: list[str] = []
        self.opa = FakeDecisionPoint(self.tape, decisions or (ALLOWED,))
        self.counters = FakeCounters(self.tape)
        self.approvals = FakeApprovals(self.tape)
        self.judgement = Judgement(self.opa, self.counters, self.approvals)
        self.caller = Caller(Grant("g", "s", policy), Asker(policy=policy, server="s", grant="g"), "session")

    async def judge(self, arguments: bytes = b'{"a":1}', fault: str | None = None) -> Verdict:
        call = ToolCall(b"raw", 1, b"1", "pay", arguments, ("a",), fault, False, False)
        return await self.judgement.judge(call, self.caller, START)

    def answered(self, state: str, *, rule: str = RULE, revision: str = "sha256:one") -> str:
        """Has the newest approval answered, as if it had been asked under this rule and revision."""
        held = self.approvals.held[-1]
        held.state = state
        object.__setattr__(held.request, "rule", rule)
        object.__setattr__(held.request, "revision", revision)
        return held.id

    @property
    def counted(self) -> Decimal:
        return sum(self.counters.values.values(), Decimal(0))


async def test_judge_allowed_without_limits_asks_once_and_takes_nothing() -> None:
    desk = Desk()
    assert await desk.judge() == Verdict(ALLOWED)
    assert desk.tape == ["ask"]


async def test_judge_query_holds_the_arguments_as_they_came() -> None:
    desk = Desk()
    await desk.judge(b'{"a": 1.0}')
    assert b'"args":{"a": 1.0}' in desk.opa.queries[0]
    assert json.loads(desk.opa.queries[0]) == {
        "policy": "p",
        "server": "s",
        "grant": "g",
        "tool": "pay",
        "args": {"a": 1.0},
    }


async def test_judge_arguments_with_a_fault_are_judged_by_the_fault() -> None:
    desk = Desk(Decision("deny", "(invalid arguments)", "Too deep.", "sha256:one", ()))
    verdict = await desk.judge(b"[[[", "Too deep.")
    assert verdict.decision.rule == "(invalid arguments)"
    assert json.loads(desk.opa.queries[0])["args_fault"] == "Too deep."


@pytest.mark.parametrize("rule", ["(hidden)", "(default deny)", "/tools/pay/deny_if/always"])
async def test_judge_denied_reads_no_counter_and_no_approval(rule: str) -> None:
    desk = Desk(Decision("deny", rule, "No.", "sha256:one", ()))
    assert (await desk.judge()).decision.rule == rule
    assert desk.tape == ["ask"]


async def test_judge_grant_without_policy_is_denied_as_opa_says() -> None:
    desk = Desk(WITHOUT_POLICY, policy=None)
    assert await desk.judge() == Verdict(WITHOUT_POLICY)


async def test_judge_policy_that_opa_does_not_hold_is_unavailable() -> None:
    verdict = await Desk(WITHOUT_POLICY).judge()
    assert verdict.decision.rule == UNAVAILABLE
    assert verdict.cause.startswith("decision_undefined: ")
    assert NO_POLICY not in verdict.decision.message


@pytest.mark.parametrize(
    "error", [OpaUnreachable("dead"), DecisionUndefined("none"), DecisionOffShape("odd"), StoreError("full")]
)
async def test_judge_opa_fails_is_unavailable_with_the_cause(error: SidecarError) -> None:
    desk = Desk()
    desk.opa.error = error
    verdict = await desk.judge()
    assert verdict.decision == Decision("deny", UNAVAILABLE, "Policy decision unavailable.", "", ())
    assert verdict.cause == f"{error.code}: {error}"
    assert verdict.reservation == Reservation(())
    assert desk.tape == ["ask"]


async def test_judge_limit_reserves_after_the_decision() -> None:
    desk = Desk(LIMITED)
    verdict = await desk.judge()
    assert desk.tape == ["ask", "reserve"]
    assert verdict.decision.outcome == "allow"
    assert verdict.reservation.taken == ((*KEY, KEY[1] + 60, "1"),)


async def test_judge_limit_reached_denies_with_its_rule_message_and_reset_time() -> None:
    desk = Desk(LIMITED)
    await desk.judge()
    verdict = await desk.judge()
    assert verdict == Verdict(
        Decision("deny", LIMIT.rule, LIMIT.message, "sha256:one", ()), retry_at="2026-03-01T12:01:00Z"
    )
    assert desk.counted == 1


async def test_judge_amount_alone_over_the_maximum_has_no_reset_time() -> None:
    spend = Limit("/r", "Too much.", "n", "minute", Decimal(5), "grant", [Decimal(6)])
    verdict = await Desk(Decision("allow", "", "", "sha256:one", [spend])).judge()
    assert (verdict.decision.rule, verdict.retry_at) == ("/r", None)


async def test_judge_second_of_two_limits_reached_names_it_and_takes_nothing() -> None:
    wide = Limit("/wide", "W.", "w", "minute", Decimal(9), "server", [Decimal(1)])
    none = Limit("/none", "N.", "z", "minute", Decimal(0), "session", [Decimal(1)])
    desk = Desk(Decision("allow", "", "", "sha256:one", [wide, none]))
    assert (await desk.judge()).decision.rule == "/none"
    assert desk.counted == 0


async def test_judge_counters_fail_is_unavailable() -> None:
    desk = Desk(LIMITED)
    desk.counters.error = StoreError("locked")
    verdict = await desk.judge()
    assert (verdict.decision.rule, verdict.cause) == (UNAVAILABLE, "store: locked")
    assert not verdict.reservation.taken


async def test_approval_asked_first_opens_one_bound_to_the_call() -> None:
    desk = Desk(ASKS)
    verdict = await desk.judge()
    assert verdict == Verdict(ASKS, approval="apr_1")
    assert desk.tape == ["ask", "find", "open"]
    request = desk.approvals.held[0].request
    assert (request.server, request.grant, request.tool, request.policy) == ("s", "g", "pay", "p")
    assert (request.rule, request.message, request.revision) == (RULE, "Ask first.", "sha256:one")
    assert (request.argument_keys, request.ttl_s) == (("a",), 60)


async def test_approval_without_ttl_waits_for_the_default() -> None:
    desk = Desk(Decision("approval_required", RULE, "Ask first.", "sha256:one", ()))
    await desk.judge()
    assert desk.approvals.held[0].request.ttl_s == DEFAULT_TTL_S


async def test_approval_pending_is_named_again_and_not_opened_twice() -> None:
    desk = Desk(ASKS)
    assert [(await desk.judge()).approval, (await desk.judge()).approval] == ["apr_1", "apr_1"]


async def test_approval_approved_asks_again_with_it_then_reserves_then_takes() -> None:
    desk = Desk(ASKS, ASKS, LIMITED)
    await desk.judge()
    desk.answered("approved")
    desk.tape.clear()
    verdict = await desk.judge()
    assert desk.tape == ["ask", "find", "ask", "reserve", "take"]
    assert json.loads(desk.opa.queries[-1])["approval"] == {"state": "granted"}
    assert "approval" not in json.loads(desk.opa.queries[-2])
    assert (verdict.decision, verdict.approval) == (LIMITED, "apr_1")
    assert verdict.reservation.taken


async def test_approval_approved_lets_exactly_one_call_through() -> None:
    desk = Desk(ASKS, ASKS, ALLOWED, ASKS)
    await desk.judge()
    desk.answered("approved")
    assert (await desk.judge()).decision.outcome == "allow"
    again = await desk.judge()
    assert (again.decision.outcome, again.approval) == ("approval_required", "apr_2")


async def test_approval_for_other_arguments_is_not_used() -> None:
    desk = Desk(ASKS)
    await desk.judge(b'{"a":1}')
    desk.answered("approved")
    verdict = await desk.judge(b'{"a":2}')
    assert (verdict.decision.outcome, verdict.approval) == ("approval_required", "apr_2")
    assert "take" not in desk.tape


async def test_approval_for_the_same_call_spelt_otherwise_is_used() -> None:
    desk = Desk(ASKS, ASKS, ALLOWED)
    await desk.judge(b'{"a":1,"b":"x"}')
    desk.answered("approved")
    assert (await desk.judge(b'{ "b":"\\u0078", "a":1.0 }')).decision.outcome == "allow"


async def test_approval_of_long_arguments_is_worked_out_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def slow(*parts: Any) -> str:
        threads.append(threading.current_thread())
        return fingerprint(*parts)

    monkeypatch.setattr("sidecar.path.judgement.fingerprint", slow)
    desk = Desk(ASKS)
    await desk.judge(b'{"a":1}')
    await desk.judge(b'{"a":"%b"}' % (b"x" * 100_000))
    assert [thread is threading.main_thread() for thread in threads] == [True, False]


async def test_approval_refused_denies_with_what_opa_says_of_it() -> None:
    desk = Desk(ASKS, ASKS, REFUSED)
    await desk.judge()
    desk.answered("refused")
    desk.tape.clear()
    assert await desk.judge() == Verdict(REFUSED, approval="apr_1")
    assert desk.tape == ["ask", "find", "ask"]
    assert json.loads(desk.opa.queries[-1])["approval"] == {"state": "refused"}


async def test_approval_refused_but_allowed_by_opa_still_does_not_pass() -> None:
    desk = Desk(ASKS, ASKS, LIMITED)
    await desk.judge()
    desk.answered("refused")
    verdict = await desk.judge()
    assert verdict.decision.outcome == "approval_required"
    assert desk.counted == 0


@pytest.mark.parametrize(
    ("rule", "revision", "used"),
    [
        (RULE, "sha256:old", True),
        ("/other", "sha256:one", True),
        ("/other", "sha256:old", False),
    ],
    ids=["same_rule", "same_revision", "neither"],
)
async def test_approval_counts_only_under_a_policy_in_which_its_rule_exists(
    rule: str, revision: str, used: bool
) -> None:
    desk = Desk(ASKS, ASKS, ALLOWED)
    await desk.judge()
    desk.answered("approved", rule=rule, revision=revision)
    assert ((await desk.judge()).decision.outcome == "allow") is used
    assert ("take" in desk.tape) is used


async def test_approval_used_over_a_limit_is_kept_for_later() -> None:
    spent = Limit("/l", "Full.", "n", "minute", Decimal(0), "grant", [Decimal(1)])
    desk = Desk(ASKS, ASKS, Decision("allow", "", "", "sha256:one", [spent]))
    await desk.judge()
    desk.answered("approved")
    assert (await desk.judge()).decision.rule == "/l"
    assert "take" not in desk.tape
    assert desk.approvals.held[0].state == "approved"


async def test_approval_denied_by_another_rule_meanwhile_is_not_used_up() -> None:
    denied = Decision("deny", "/tools/pay/deny_if/always", "No.", "sha256:two", ())
    desk = Desk(ASKS, ASKS, denied)
    await desk.judge()
    desk.answered("approved")
    assert (await desk.judge()).decision == denied
    assert desk.approvals.held[0].state == "approved"


class TakenMeanwhile(FakeApprovals):
    async def take(self, approval_id: str, now: datetime) -> bool:
        self._write("take")
        return False


async def test_approval_lost_to_another_caller_gives_the_reservation_back_and_asks_anew() -> None:
    desk = Desk(ASKS, ASKS, LIMITED)
    await desk.judge()
    desk.answered("approved")
    desk.approvals = TakenMeanwhile(desk.tape, held=desk.approvals.held)
    desk.judgement = Judgement(desk.opa, desk.counters, desk.approvals)
    desk.tape.clear()
    verdict = await desk.judge()
    assert desk.tape == ["ask", "find", "ask", "reserve", "take", "rollback", "open"]
    assert (verdict.decision.outcome, desk.counted) == ("approval_required", 0)
    assert not verdict.reservation.taken


async def test_approval_lost_without_a_reservation_gives_nothing_back() -> None:
    desk = Desk(ASKS, ASKS, ALLOWED)
    await desk.judge()
    desk.answered("approved")
    desk.approvals = TakenMeanwhile(desk.tape, held=desk.approvals.held)
    desk.judgement = Judgement(desk.opa, desk.counters, desk.approvals)
    await desk.judge()
    assert "rollback" not in desk.tape


@pytest.mark.parametrize("error", [StoreError("full"), asyncio.CancelledError()], ids=["store", "hang_up"])
async def test_approval_that_cannot_be_taken_gives_the_reservation_back(error: BaseException) -> None:
    class Failing(FakeApprovals):
        async def take(self, approval_id: str, now: datetime) -> bool:
            self._write("take")
            raise error

    desk = Desk(ASKS, ASKS, LIMITED)
    await desk.judge()
    desk.answered("approved")
    desk.judgement = Judgement(desk.opa, desk.counters, Failing(desk.tape, held=desk.approvals.held))
    if isinstance(error, StoreError):
        verdict = await desk.judge()
        assert (verdict.decision.rule, verdict.cause) == (UNAVAILABLE, "store: full")
    else:
        with pytest.raises(asyncio.CancelledError):
            await desk.judge()
    assert desk.tape[-2:] == ["take", "rollback"]
    assert desk.counted == 0


async def test_approval_store_fails_is_unavailable() -> None:
    desk = Desk(ASKS)
    desk.approvals.error = StoreError("gone")
    verdict = await desk.judge()
    assert (verdict.decision.rule, verdict.cause, verdict.approval) == (UNAVAILABLE, "store: gone", "")


async def test_approval_opa_fails_at_the_second_question_is_unavailable_and_uses_nothing_up() -> None:
    class FailsSecond(FakeDecisionPoint):
        async def decide(self, query: bytes) -> Decision:
            if b'"approval"' in query:
                self.error = OpaUnreachable("dead")
            return await super().decide(query)

    desk = Desk(ASKS)
    desk.opa = FailsSecond(desk.tape, (ASKS,))
    desk.judgement = Judgement(desk.opa, desk.counters, desk.approvals)
    await desk.judge()
    desk.answered("approved")
    assert (await desk.judge()).decision.rule == UNAVAILABLE
    assert desk.approvals.held[0].state == "approved"


async def test_give_back_undoes_reservation_and_approval() -> None:
    desk = Desk(ASKS, ASKS, LIMITED)
    await desk.judge()
    desk.answered("approved")
    verdict = await desk.judge()
    desk.tape.clear()
    await desk.judgement.give_back(verdict, START)
    assert desk.tape == ["rollback", "give_back"]
    assert (desk.counted, desk.approvals.held[0].state) == (0, "approved")


async def test_give_back_of_a_call_that_took_nothing_touches_no_store() -> None:
    desk = Desk()
    await desk.judgement.give_back(Verdict(ALLOWED), START)
    assert desk.tape == []


async def test_claims_bind_grant_session_and_server() -> None:
    seen: list[Claim] = []

    class Seeing(FakeCounters):
        async def reserve(self, claims: Sequence[Claim]) -> Reservation | Refused:
            seen.extend(claims)
            return await super().reserve(claims)

    scopes = [Limit("/r", "M", "c", 60, Decimal(9), scope, [Decimal(1)]) for scope in ("grant", "session", "server")]
    desk = Desk(Decision("allow", "", "", "sha256:one", scopes))
    desk.judgement = Judgement(desk.opa, Seeing(desk.tape), desk.approvals)
    await desk.judge()
    assert [claim.key for claim in seen] == ["s/grant/c/60/g", "s/session/c/60/g/session", "s/server/c/60"]
