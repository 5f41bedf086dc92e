import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Regate = Callable[..., Any]

POLICY: dict[str, Any] = {
    "version": "1",
    "default": "deny",
    "tools": {"a": {"require": ["args.x"], "limits": [{"counter": "c", "window": "day", "max": 5}]}},
}
LINES = [
    "p.json: 1 of 3 rules hit, 33.3 % (1 of 2 cases, 2 calls)",
    "  not hit: (default deny)",
    "  not hit: /tools/a/limits/c, counted 1 call and refused none",
]


@pytest.fixture(autouse=True)
def files(regate: Regate) -> None:
    call = {"tool": "a", "at": "2026-11-20T10:00:00Z", "grant": "g"}
    calls, expect = [call, {**call, "arguments": {"x": 1}}], [{"outcome": "deny"}, {"outcome": "allow"}]
    one = {"id": "one", "policy": POLICY, "calls": calls, "expect": expect}
    other = {**one, "id": "other", "policy": {**POLICY, "default": "allow"}}
    Path("p.json").write_text(json.dumps(POLICY), encoding="utf-8")
    Path("c.jsonl").write_text(f"{json.dumps(one)}\n{json.dumps(other)}", encoding="utf-8")


def test_rules_that_no_case_hits_are_told(regate: Regate, opa_path: Path) -> None:
    done = regate("coverage", "p.json", "--cases", "c.jsonl")
    assert (done.code, done.out.splitlines(), done.err) == (0, LINES, "")


def test_threshold_decides_the_exit_code(regate: Regate, opa_path: Path) -> None:
    assert regate("coverage", "p.json", "--cases", "c.jsonl", "--fail-under", "34").code == 1
    assert regate("coverage", "p.json", "--cases", "c.jsonl", "--fail-under", "33").code == 0


def test_result_for_programs_has_every_rule(regate: Regate, opa_path: Path) -> None:
    (document,) = json.loads(regate("coverage", "p.json", "--cases", "c.jsonl", "--format", "json").out)
    reached = document.pop("reached")
    assert document == {"policy": "p.json", "rules": 3, "hit": 1, "percent": 33.33, "cases": 1, "calls": 2}
    assert reached[1] == {
        "rule": "/tools/a/require/args.x-exists",
        "kind": "require",
        "tool": "",
        "hits": 1,
        "taken": 0,
    }


def test_case_without_a_policy_is_run_with_each(regate: Regate, opa_path: Path) -> None:
    line = json.loads(Path("c.jsonl").read_text(encoding="utf-8").partition("\n")[0])
    del line["policy"]
    Path("bare.jsonl").write_text(json.dumps(line), encoding="utf-8")
    Path("q.json").write_text(json.dumps({**POLICY, "tools": {"a": {}}}), encoding="utf-8")
    done = regate("coverage", "p.json", "q.json", "bare.jsonl")
    assert done.out.splitlines()[0] == "p.json: 1 of 3 rules hit, 33.3 % (1 of 1 cases, 2 calls)"
    assert done.out.splitlines()[3:] == [
        "q.json: 0 of 1 rules hit, 0.0 % (1 of 1 cases, 2 calls)",
        "  not hit: (default deny)",
    ]
    assert done.err == "1 case did not come out as wanted; run regate test to see them\n"


def test_generated_tests_hit_every_rule_that_they_can_tell_of(regate: Regate, opa_path: Path) -> None:
    assert regate("build", "p.json", "--tests", "-o", "b.tar.gz").code == 0
    done = regate("coverage", "p.json", "--tests", "p_test.rego", "--fail-under", "100")
    assert (done.code, done.out) == (0, "p.json: 2 of 2 rules hit, 100.0 % (1 test file)\n")


def test_line_that_is_no_case_is_wrong_usage_behind_the_result(regate: Regate, opa_path: Path) -> None:
    with Path("c.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n{}")
    done = regate("coverage", "p.json", "--cases", "c.jsonl")
    assert (done.code, done.out.splitlines()) == (2, LINES)
    assert done.err.startswith("c.jsonl:3: ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["c.jsonl"], "name at least one policy"),
        (["p.json"], "name at least one case file with --cases, or a Rego test with --tests"),
        (["p.json", "sub/p.json", "c.jsonl"], "would have the same id"),
        (["p.json", "none.jsonl"], "does not exist"),
    ],
)
def test_command_that_lacks_something_is_wrong_usage(words: list[str], told: str, regate: Regate) -> None:
    Path("sub").mkdir()
    Path("sub/p.json").write_text("{}", encoding="utf-8")
    done = regate("coverage", *words)
    assert done.code == 2
    assert told in done.err


def test_policy_with_problems_is_told_and_nothing_run(regate: Regate) -> None:
    Path("p.json").write_text('{"version": "1"}', encoding="utf-8")
    done = regate("coverage", "p.json", "--cases", "c.jsonl")
    assert done.code == 1
    assert done.out.startswith("p.json:1:1:")


def test_without_an_opa_nothing_is_decided(regate: Regate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGATE_OPA", "/nowhere/opa")
    assert regate("coverage", "p.json", "--cases", "c.jsonl").code == 3
