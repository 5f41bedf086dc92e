import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Regate = Callable[..., Any]

POLICY = {"version": "1", "default": "deny", "tools": {"a": {}}}


def write(*lines: dict[str, Any] | str, name: str = "cases.jsonl") -> None:
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    Path(name).write_text("\n".join(texts), encoding="utf-8")


def case(tool: str, outcome: str, **more: Any) -> dict[str, Any]:
    call = {"tool": tool, "arguments": {"x": "y"}, "at": "2026-11-20T10:00:00Z", "grant": "g"}
    return {"id": f"{tool} {outcome}", "policy": POLICY, "calls": [call], "expect": [{"outcome": outcome}], **more}


def test_cases_that_come_out_as_wanted_are_counted(regate: Regate, opa_path: Path) -> None:
    write(case("a", "allow"), case("b", "deny"))
    done = regate("test", "cases.jsonl", "cases.jsonl")
    assert (done.code, done.out, done.err) == (0, "4 cases: 4 passed\n", "")


def test_case_that_differs_is_shown_with_wanted_and_got_side_by_side(regate: Regate, opa_path: Path) -> None:
    write(case("a", "allow"), case("b", "allow", title="no \x1b[31m colour"))
    done = regate("test", "cases.jsonl")
    assert done.code == 1
    assert done.out == (
        "cases.jsonl:2: FAILED b allow: no \\u001b[31m colour\n"
        '  call 1: b {"x": "y"} at 2026-11-20T10:00:00Z\n'
        "             wanted  got\n"
        "    outcome  allow   deny\n"
        '    rule     ""      (default deny)\n'
        '    message  ""      Tool "b" is not permitted by policy\n'
        "\n"
        "2 cases: 1 passed, 1 failed\n"
    )


def test_wanted_that_is_wide_stands_above_got(regate: Regate, opa_path: Path) -> None:
    write(case("b", "deny", expect=[{"outcome": "deny", "message": "m" * 500}]))
    lines = regate("test", "cases.jsonl").out.splitlines()
    assert f"    message  wanted  {'m' * 400}... (500 characters)" in lines
    assert '             got     Tool "b" is not permitted by policy' in lines


def test_result_for_programs_has_every_case_and_every_fault(regate: Regate, opa_path: Path) -> None:
    write(case("a", "allow"), case("b", "allow"), "{}")
    done = regate("test", "cases.jsonl", "--format", "json")
    document = json.loads(done.out)
    assert done.code == 1
    assert (document["passed"], document["failed"], document["undecided"]) == (1, 1, 0)
    assert document["faults"][0]["line"] == 3
    assert [(each["line"], each["id"], each["status"]) for each in document["cases"]] == [
        (1, "a allow", "passed"),
        (2, "b allow", "failed"),
    ]
    assert document["cases"][1]["differences"] == [
        {
            "call": 1,
            "what": 'b {"x": "y"} at 2026-11-20T10:00:00Z',
            "wanted": {"outcome": "allow", "rule": "", "message": ""},
            "got": {"outcome": "deny", "rule": "(default deny)", "message": 'Tool "b" is not permitted by policy'},
        }
    ]


def test_line_that_is_no_case_is_wrong_usage_and_the_others_are_run(regate: Regate, opa_path: Path) -> None:
    write(case("a", "allow"), "{}")
    done = regate("test", "cases.jsonl")
    assert (done.code, done.out) == (2, "1 case: 1 passed; 1 fault in the files\n")
    assert done.err.startswith("cases.jsonl:2: object missing required field `id`\n")


def test_case_without_a_policy_is_run_with_the_one_named(regate: Regate, opa_path: Path) -> None:
    bare = {key: value for key, value in case("a", "allow").items() if key != "policy"}
    write(bare)
    Path("p.json").write_text(json.dumps(POLICY), encoding="utf-8")
    assert regate("test", "cases.jsonl", "--policy", "p.json").code == 0
    assert regate("test", "cases.jsonl").code == 2


def test_example_of_the_documents_comes_out_as_it_says(regate: Regate, opa_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "policies.md").read_text(encoding="utf-8").partition("## Cases")[2]
    write(text.partition("```json\n")[2].partition("\n```")[0])
    assert regate("test", "cases.jsonl").out == "1 case: 1 passed\n"


def test_without_an_opa_nothing_is_decided(regate: Regate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGATE_OPA", "/nowhere/opa")
    write(case("a", "allow"))
    done = regate("test", "cases.jsonl")
    assert (done.code, done.out) == (3, "")
    assert (
        done.err == "regate: REGATE_OPA names /nowhere/opa, which does not run here.\n  Correct or unset REGATE_OPA.\n"
    )


def test_file_without_cases_proves_nothing(regate: Regate) -> None:
    write("\n")
    done = regate("test", "cases.jsonl")
    assert (done.code, done.out) == (2, "0 cases: nothing to run\n")


def test_file_that_is_not_there_is_wrong_usage(regate: Regate) -> None:
    assert regate("test", "cases.jsonl").code == 2
