"""Explanations of real policies by a real OPA, held against what the gateway's own judgement says."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sidecar.core.limits import Claim
from sidecar.proving.call import Call, read
from sidecar.proving.cases import Call as CaseCall
from sidecar.proving.cases import Case
from sidecar.proving.cases import read as read_cases
from sidecar.proving.explanation import Explanation, explain
from translator import parse
from translator.program import Guard

CASES = Path(__file__).resolve().parents[2] / "decisions" / "cases" / "policy-cases.jsonl"
POLICY = {
    "version": "1",
    "default": "deny",
    "hide": ["drop"],
    "all_tools": {"limits": [{"counter": "calls", "window": "minute", "max": 2}]},
    "tools": {
        "pay": {
            "require": ["args.to", {"path": "args.currency", "op": "in", "value": ["eur", "usd"]}],
            "deny_if": [
                {"path": "args.amount", "op": "gt", "value": 500},
                {"path": "args.force", "op": "eq", "value": True},
            ],
            "require_approval": [{"path": "args.amount", "op": "gte", "value": 400}],
            "limits": [{"counter": "spent", "window": "day", "max": 1000, "increment_from": "args.amount"}],
        }
    },
}
PROGRAM = parse(json.dumps(POLICY).encode())


def call(tool: str = "pay", **arguments: Any) -> Call:
    document = {"tool": tool, "arguments": arguments, "grant": "g", "server": "s", "at": "2026-11-20T10:00:00Z"}
    return read(json.dumps(document).encode())


def words(found: Explanation) -> list[str]:
    return [" and ".join(passing.words) for passing in found.nearest]


async def test_denial_is_explained_with_the_rule_and_the_calls_that_would_pass(opa_path: Path) -> None:
    found = await explain(PROGRAM, call(to="a", currency="eur", amount=100, force=True), opa=opa_path)
    assert found.verdict.decision.rule == "/tools/pay/deny_if/args.force-eq"
    assert [rule.stops for rule in found.rules] == [False, False, False, True, False, False, False]
    assert words(found) == ["args.force ≠ true", "drop args.force"]


async def test_every_call_that_is_named_passes(opa_path: Path) -> None:
    made = [{}, {"to": "a", "currency": "chf", "amount": "900", "force": True}, {"to": "a", "currency": "eur"}]
    for arguments in made:
        found = await explain(PROGRAM, call(**arguments), opa=opa_path)
        assert found.nearest
        for passing in found.nearest:
            again = await explain(PROGRAM, call(**json.loads(passing.arguments)), opa=opa_path)
            assert again.verdict.decision.outcome == "allow", passing
            assert again.nearest == ()


async def test_call_that_waits_is_told_what_happens_once_approved(opa_path: Path) -> None:
    found = await explain(PROGRAM, call(to="a", currency="eur", amount=450), opa=opa_path)
    assert found.verdict.decision.outcome == "approval_required"
    assert found.approved is not None
    assert found.approved.decision.outcome == "allow"
    assert words(found)[0] == "args.amount < 400"


async def test_counters_stand_as_they_are_told_and_nothing_is_taken(opa_path: Path) -> None:
    asked: list[Claim] = []

    def standing(claims: Any) -> list[Decimal]:
        asked.extend(claims)
        return [Decimal("900.5") if "/spent/" in claim.key else Decimal(1) for claim in claims]

    found = await explain(PROGRAM, call(to="a", currency="eur", amount=100), standing, opa_path)
    assert [claim.key for claim in asked] == ["s/grant/spent/86400/g", "s/grant/calls/60/g"]
    assert (found.verdict.decision.rule, found.verdict.retry_at) == ("/tools/pay/limits/spent", "2026-11-21T00:00:00Z")
    assert [(each.stands_at, each.amount, each.fits) for each in found.counters] == [
        (Decimal("900.5"), Decimal(100), False),
        (Decimal(1), Decimal(1), True),
    ]
    assert words(found) == ["args.amount ≤ 99.5", "args.amount = 1", "args.amount = 0"]


async def test_counter_that_is_full_is_saved_by_no_argument(opa_path: Path) -> None:
    found = await explain(
        PROGRAM, call(to="a", currency="eur", amount=1), lambda claims: [Decimal(0), Decimal(2)], opa_path
    )
    assert found.verdict.decision.rule == "/all_tools/limits/calls"
    assert found.nearest == ()


@pytest.mark.parametrize(
    ("tool", "arguments", "rule"),
    [("drop", b"{}", "(hidden)"), ("other", b"{}", "(default deny)"), ("pay", b"[]", "(invalid arguments)")],
)
async def test_call_that_meets_no_rule_has_none(tool: str, arguments: bytes, rule: str, opa_path: Path) -> None:
    found = await explain(PROGRAM, Call(tool, msgspec.Raw(arguments)), opa=opa_path)
    assert found.verdict.decision.rule == rule
    assert (found.rules, found.counters, found.nearest) == ((), (), ())


def sampled() -> list[tuple[Case, CaseCall]]:
    """Calls of the reference's cases, every ninth case, the ones that a state of before does not matter to."""
    cases, faults = read_cases(CASES.read_bytes())
    assert not faults
    usable = [
        (case, case.calls[0])
        for case in cases
        if case.policy is not None and case.dialect == "json" and case.invalid_at is None and case.calls
    ]
    return [pair for pair in usable if pair[1].approval is None][::9]


@pytest.mark.parametrize(("case", "one"), sampled(), ids=lambda each: getattr(each, "id", ""))
async def test_rule_that_decides_is_the_first_that_stops_the_call(case: Case, one: CaseCall, opa_path: Path) -> None:
    assert case.policy is not None
    document = {"tool": one.tool, "grant": one.grant, "session": one.session, "server": "s1", "at": one.at}
    asked = read(json.dumps(document).encode())
    asked = msgspec.structs.replace(asked, arguments=msgspec.Raw(one.arguments_text()))
    found = await explain(parse(case.policy, approval_map=case.approval_map), asked, opa=opa_path)
    decision = found.verdict.decision
    assert (decision.outcome, decision.rule) == (case.expect[0].outcome, case.expect[0].rule)
    if decision.rule.startswith("("):
        return
    full = [each.limit.rule for each in found.counters if not each.fits]
    stops = [rule.item.rule for rule in found.rules if rule.stops and isinstance(rule.item, Guard)] + full
    assert (stops[0] if stops else "") == decision.rule
