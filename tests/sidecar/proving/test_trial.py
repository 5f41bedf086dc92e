"""Cases tried: what passes, what differs, what cannot be said. The reference's own cases are in tests/decisions."""

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import CannotDecide
from sidecar.proving.cases import Case, read
from sidecar.proving.trial import Result, run

POLICY = {
    "version": "1",
    "default": "deny",
    "tools": {
        "pay": {
            "require_approval": [{"conditions": [{"path": "args.amount", "op": "gt", "value": 5}]}],
            "limits": [{"counter": "c", "window": "hour", "max": 1}],
        }
    },
}
APPROVAL = "/tools/pay/require_approval/args.amount-gt"
LIMIT = "/tools/pay/limits/c"


def call(amount: int = 1, **more: Any) -> dict[str, Any]:
    return {"tool": "pay", "arguments": {"amount": amount}, "at": "2026-11-20T10:00:00Z", "grant": "g", **more}


def case(*calls: dict[str, Any], expect: list[dict[str, Any]] | None = None, **more: Any) -> Case:
    wanted = expect if expect is not None else [{"outcome": "allow"} for _ in calls]
    line = {"id": "x", "policy": POLICY, "calls": calls, "expect": wanted, **more}
    cases, faults = read(json.dumps(line).encode())
    assert faults == []
    return cases[0]


async def tried(one: Case, opa: Path) -> Result:
    (result,) = await run([one], opa)
    return result


async def test_answer_names_what_decided_and_what_was_taken(opa_path: Path) -> None:
    result = await tried(case(call(9, approval="granted"), call(9, approval="refused"), call(1)), opa_path)
    assert [(answer.decided, answer.taken) for answer in result.answers] == [
        ((APPROVAL,), (LIMIT,)),
        ((APPROVAL,), ()),
        ((LIMIT,), ()),
    ]
    assert result.status == "failed"
    assert [difference.call for difference in result.differences] == [2, 3]
    assert result.differences[0].got == {
        "outcome": "deny",
        "rule": APPROVAL,
        "message": "Approval was refused.",
    }


async def test_case_has_counters_of_its_own_and_keeps_them_between_calls(opa_path: Path) -> None:
    twice = case(call(upstream="tool_error"), call(), expect=[{"outcome": "allow"}, {"outcome": "deny", "rule": LIMIT}])
    given_back = case(call(upstream="error"), call())
    results = await run([twice, twice, given_back], opa_path)
    assert [result.status for result in results] == ["passed"] * 3


async def test_expectation_is_compared_in_what_it_says(opa_path: Path) -> None:
    held = call(9, approval="expired")
    assert (await tried(case(held, expect=[{"outcome": "approval_required"}]), opa_path)).status == "passed"
    (difference,) = (
        await tried(case(held, expect=[{"outcome": "approval_required", "rule": ""}]), opa_path)
    ).differences
    assert (difference.wanted, difference.got) == (
        {"outcome": "approval_required", "rule": ""},
        {"outcome": "approval_required", "rule": APPROVAL},
    )


async def test_list_of_tools_is_compared_in_order(opa_path: Path) -> None:
    listed = {"upstream": ["b", "a"], "visible": ["a", "b"]}
    (difference,) = (await tried(case(list=listed), opa_path)).differences
    assert (difference.wanted, difference.got) == ({"visible": '["a", "b"]'}, {"visible": '["b", "a"]'})


async def test_policy_that_is_wrong_elsewhere_or_not_at_all_fails_its_case(opa_path: Path) -> None:
    def at(pointer: str, policy: object) -> Case:
        return case(expect=[{"outcome": "invalid_policy", "at": pointer}], policy=policy)

    broken = {"version": "1", "default": "maybe"}
    cases = [at("/default", broken), at("/version", broken), at("", POLICY), at("", None), case(call(), policy=broken)]
    results = await run(cases, opa_path)
    assert [result.status for result in results] == ["passed", "failed", "failed", "failed", "failed"]
    got = [result.differences[0].got for result in results[1:]]
    assert [(fields["policy"], fields["at"]) for fields in got] == [
        ("invalid", "/default"),
        ("valid", None),
        ("none", None),
        ("invalid", "/default"),
    ]


async def test_cases_stay_in_order_whatever_they_need(opa_path: Path) -> None:
    broken = case(expect=[{"outcome": "invalid_policy", "at": "/default"}], policy={"version": "1", "default": ""})
    without = case(call(), expect=[{"outcome": "deny", "rule": "(no policy)"}], policy=None)
    cases = [without, broken, case(call()), without, broken]
    results = await run(cases, opa_path)
    assert [result.case for result in results] == cases
    assert [result.status for result in results] == ["passed"] * 5


async def test_policy_that_opa_does_not_take_is_undecided_and_the_others_are_tried(
    opa_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from translator import emit

    module = emit.module
    monkeypatch.setattr(
        emit,
        "module",
        lambda program, id_, revision: "no rego" if program.fallback == "allow" else module(program, id_, revision),
    )
    spoilt = case(call(), policy={"version": "1", "default": "allow"})
    cases = [case(call()), spoilt, case(call(), policy={**POLICY, "hide": ["a"]}), case(call(), policy=None)]
    results = await run(cases, opa_path)
    assert [result.status for result in results] == ["passed", "undecided", "passed", "failed"]
    assert "OPA ended at its start" in results[1].reason


async def test_binary_that_is_none_decides_nothing(tmp_path: Path) -> None:
    with pytest.raises(CannotDecide):
        await run([case(call())], tmp_path / "none")
