"""Which rules calls have reached: what counts as a hit, for each kind of rule."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sidecar.proving.cases import Case, read
from sidecar.proving.coverage import Reach, of_policy, percent, reached, unreached
from sidecar.proving.trial import run
from translator import parse

POLICY: dict[str, Any] = {
    "version": "1",
    "default": "deny",
    "hide": ["gone", "also gone"],
    "tools": {
        "pay": {
            "require": ["args.why"],
            "deny_if": [{"path": "args.amount", "op": "gt", "value": 9}],
            "require_approval": [{"path": "args.amount", "op": "gt", "value": 5}],
            "limits": [{"counter": "c", "window": "hour", "max": 1}],
        }
    },
    "all_tools": {"deny_if": [{"path": "args.env", "op": "eq", "value": "prod"}]},
}
TEXT = json.dumps(POLICY).encode()
PROGRAM = parse(TEXT)


def case(*calls: dict[str, Any], policy: object = POLICY, **more: Any) -> Case:
    made = [{"tool": "pay", "at": "2026-11-20T10:00:00Z", "grant": "g", **call} for call in calls]
    line: dict[str, Any] = {"id": "x", "calls": made, "expect": [{"outcome": "allow"} for _ in calls], **more}
    if policy is not None:
        line["policy"] = policy
    cases, faults = read(json.dumps(line).encode(), TEXT)
    assert faults == []
    return cases[0]


def pay(amount: int, **more: Any) -> dict[str, Any]:
    return {"arguments": {"amount": amount, "why": "x", **more}}


async def hits(opa: Path, *calls: dict[str, Any]) -> dict[str, tuple[int, int]]:
    results = await run([case(*calls)], opa)
    return {
        f"{reach.rule} {reach.tool}".strip(): (reach.hits, reach.taken)
        for reach in reached(PROGRAM, results, Counter())
        if reach.hits or reach.taken
    }


def test_rules_are_every_guard_limit_hide_and_default() -> None:
    assert [(reach.rule, reach.kind, reach.tool) for reach in unreached(PROGRAM)] == [
        ("(hidden)", "hide", "gone"),
        ("(hidden)", "hide", "also gone"),
        ("(default deny)", "default", ""),
        ("/tools/pay/require/args.why-exists", "require", ""),
        ("/tools/pay/deny_if/args.amount-gt", "deny_if", ""),
        ("/tools/pay/require_approval/args.amount-gt", "require_approval", ""),
        ("/tools/pay/limits/c", "limits", ""),
        ("/all_tools/deny_if/args.env-eq", "deny_if", ""),
    ]


async def test_rule_is_hit_by_the_calls_that_it_stops(opa_path: Path) -> None:
    found = await hits(opa_path, {}, pay(10), pay(10), pay(1, env="prod"), {"tool": "gone"}, {"tool": "other"})
    assert found == {
        "/tools/pay/require/args.why-exists": (1, 0),
        "/tools/pay/deny_if/args.amount-gt": (2, 0),
        "/all_tools/deny_if/args.env-eq": (1, 0),
        "(hidden) gone": (1, 0),
        "(default deny)": (1, 0),
    }


async def test_approval_rule_is_hit_also_by_a_call_that_was_let_through(opa_path: Path) -> None:
    found = await hits(opa_path, pay(6), pay(6) | {"approval": "granted"})
    assert found == {"/tools/pay/require_approval/args.amount-gt": (2, 0), "/tools/pay/limits/c": (0, 1)}


async def test_limit_is_hit_when_it_refuses_and_taken_when_it_counts(opa_path: Path) -> None:
    assert await hits(opa_path, pay(1)) == {"/tools/pay/limits/c": (0, 1)}
    assert await hits(opa_path, pay(1), pay(1), pay(1)) == {"/tools/pay/limits/c": (2, 1)}


async def test_default_allow_is_hit_by_a_tool_that_is_not_listed(opa_path: Path) -> None:
    policy = {"version": "1", "default": "allow", "hide": ["*"], "tools": {"t": {}}}
    program = parse(json.dumps(policy).encode())
    results = await run([case({"tool": "t"}, {"tool": "u"}, policy=policy)], opa_path)
    assert [(reach.rule, reach.tool, reach.hits) for reach in reached(program, results, Counter())] == [
        ("(hidden)", "*", 2),
        ("(default allow)", "", 0),
    ]
    policy.pop("hide")
    results = await run([case({"tool": "t"}, {"tool": "u"}, policy=policy)], opa_path)
    program = parse(json.dumps(policy).encode())
    assert reached(program, results, Counter()) == [Reach("(default allow)", "default", "", 1)]


def test_case_is_of_a_policy_that_means_the_same_or_is_lent_it() -> None:
    same = case({}, policy=json.loads(json.dumps(POLICY, indent=1)))
    other = case({}, policy={**POLICY, "default": "allow"})
    mapped = case({}, options={"approval_map": ["x"]})
    none = case({}, policy=None)
    invalid = case(policy={}, expect=[{"outcome": "invalid_policy", "at": ""}])
    cases = [same, other, mapped, none, invalid]
    lent = list(of_policy(cases, PROGRAM, b"its text", ("y",)))
    assert lent[:2] == [same, mapped]
    assert [(each.policy, each.approval_map) for each in lent[2:]] == [(b"its text", ("y",))]


@pytest.mark.parametrize(("counts", "expected"), [([], 100.0), ([0], 0.0), ([3, 0, 1, 0], 50.0)])
def test_percent_is_of_the_rules_that_were_hit(counts: list[int], expected: float) -> None:
    assert percent([Reach(str(count), "limits", "", count) for count in counts]) == expected


def test_hits_from_elsewhere_are_added() -> None:
    found = reached(PROGRAM, [], Counter({"/tools/pay/limits/c": 2}))
    assert [reach.rule for reach in found if reach.hits] == ["/tools/pay/limits/c"]
