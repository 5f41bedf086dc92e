import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import check as module
from translator.lint.codes import LINTS

Regate = Callable[..., Any]

GOOD = '{"version": "1", "default": "deny", "tools": {"a": {}}}'
BAD = """{
  "version": "1",
  "default": "perhaps",
  "tools": {"a": {"deny_fi": []}}
}
"""


def test_check_of_good_policies_says_so(regate: Regate) -> None:
    Path("one.json").write_text(GOOD, encoding="utf-8")
    Path("two.json").write_text(GOOD, encoding="utf-8")
    Path("other").mkdir()
    Path("other/one.json").write_text(GOOD, encoding="utf-8")
    done = regate("check", "one.json")
    assert (done.code, done.out, done.err) == (0, "1 policy, no problems\n", "")
    assert regate("check", "one.json", "two.json", "other/one.json").out == "3 policies, no problems\n"


def test_check_of_bad_policies_tells_every_problem_with_its_place(regate: Regate) -> None:
    Path("good.json").write_text(GOOD, encoding="utf-8")
    Path("bad.json").write_text(BAD, encoding="utf-8")
    Path("worse.json").write_text("{", encoding="utf-8")
    done = regate("check", "bad.json", "good.json", "worse.json")
    assert (done.code, done.err) == (1, "")
    found = [line for line in done.out.splitlines() if not line.startswith("  hint: ")]
    assert [line.split(" ")[:2] for line in found[:2]] == [
        ["bad.json:3:14:", "/default:"],
        ["bad.json:4:19:", "/tools/a/deny_fi:"],
    ]
    assert found[2].startswith("worse.json:1:2:")
    assert '  hint: did you mean "deny_if"?' in done.out.splitlines()


def test_check_of_a_name_that_steers_the_terminal_is_escaped(regate: Regate) -> None:
    Path("p.json").write_text('{"version": "1", "default": "deny", "tools": {"\\u001b[2J": 1}}', encoding="utf-8")
    done = regate("check", "p.json")
    assert done.code == 1
    assert "\x1b" not in done.out


ODD = """{
  "version": "1",
  "default": "deny",
  "hide": ["delete_*"],
  "tools": {"order": {"limits": [{"counter": "c", "window": "day", "max": 5, "scope": "session"}]}, "b": {}, "a": {
    "limits": [{"counter": "d", "window": "day", "max": 5}]}, "c": {
    "limits": [{"counter": "d", "window": "day", "max": 5}]}}
}
"""
TOOLS = '{"tools": [{"name": "order"}, {"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}]}'


def _write(**texts: str) -> None:
    for name, text in texts.items():
        Path(f"{name}.json").write_text(text, encoding="utf-8")


def test_check_tells_lints_apart_from_problems_and_sums_up(regate: Regate) -> None:
    _write(odd=ODD, bad=BAD)
    done = regate("check", "odd.json", "bad.json")
    assert done.code == 1
    assert [line for line in done.out.splitlines() if not line.startswith("  hint: ")] == [
        'odd.json:4:12: warning: /hide/0: "delete_*" is one literal name, not a pattern [glob_name]',
        "odd.json:5:34: warning: /tools/order/limits/0: counts per session: a client that opens a new session "
        "starts a new count [session_limit]",
        'odd.json:7:16: note: /tools/c/limits/0: the counter "d" is shared: its max holds for "a", "c" together '
        "[common_counter]",
        'bad.json:3:14: /default: unknown value "perhaps"',
        'bad.json:4:19: /tools/a/deny_fi: unknown member "deny_fi"',
        "2 policies: 2 errors, 2 warnings, 1 note",
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 1),
        (["--fail-on", "warning"], 1),
        (["--fail-on", "error"], 0),
        (["--ignore", "glob_name"], 1),
        (["--ignore", "glob_name", "--ignore", "session_limit"], 0),
        (["--ignore", "glob_name", "--ignore", "session_limit", "--fail-on", "note"], 1),
    ],
)
def test_check_fails_on_what_it_is_told_to_fail_on(arguments: list[str], code: int, regate: Regate) -> None:
    _write(odd=ODD, bad=BAD)
    assert regate("check", "odd.json", *arguments).code == code
    assert regate("check", "bad.json", *arguments).code == 1


def test_check_refuses_to_ignore_what_is_no_lint(regate: Regate) -> None:
    _write(odd=ODD)
    for code in ("glob", "invalid_policy"):
        done = regate("check", "odd.json", "--ignore", code)
        assert done.code == 2
        assert f"there is no lint {code}; there are unknown_tool, " in done.err


def test_check_with_the_tools_of_a_server_counts_those_that_may_pass(regate: Regate) -> None:
    _write(odd=ODD.replace("delete_*", "d"), tools=TOOLS, shut='{"version": "1", "default": "deny"}', bad=BAD)
    done = regate("check", "odd.json", "--tools", "tools.json", "--ignore", "session_limit")
    assert (done.code, done.out.splitlines()[-2:]) == (
        0,
        ["odd.json: permits at most 4 of 5 tools", "1 policy: 1 note"],
    )
    done = regate("check", "bad.json", "shut.json", "--tools", "tools.json")
    assert "shut.json:1:1: warning: this policy permits 0 of 5 tools [permits_nothing]" in done.out.splitlines()
    assert done.out.splitlines()[-2:] == ["shut.json: permits 0 of 5 tools", "2 policies: 2 errors, 1 warning"]


def test_check_against_no_list_of_tools_is_wrong_usage_and_says_where(regate: Regate) -> None:
    _write(odd=ODD, tools='{"tools": 1}')
    done = regate("check", "odd.json", "--tools", "tools.json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("tools.json:1:11: /tools: must be an array of tools, not a number\n")


def test_check_of_a_file_that_cannot_be_read_cannot_decide(regate: Regate, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish(path: Path) -> bytes:
        raise module.files.failed(path, "read", FileNotFoundError(2, "No such file or directory"))

    _write(odd=ODD)
    monkeypatch.setattr(module.files, "read", vanish)
    done = regate("check", "odd.json")
    assert (done.code, done.err) == (3, "regate: odd.json cannot be read: no such file or directory\n")


def test_check_as_json_is_one_document_with_every_finding(regate: Regate) -> None:
    _write(odd=ODD, bad=BAD, tools=TOOLS)
    done = regate("check", "odd.json", "bad.json", "--tools", "tools.json", "--format", "json")
    document = json.loads(done.out)
    assert done.code == 1
    assert {name: document[name] for name in ("errors", "warnings", "notes")} == {
        "errors": 2,
        "warnings": 2,
        "notes": 1,
    }
    assert document["policies"] == [
        {"file": "odd.json", "valid": True, "permitted_tools": 4, "tools": 5},
        {"file": "bad.json", "valid": False, "permitted_tools": None, "tools": 5},
    ]
    assert document["findings"][0] == {
        "file": "odd.json",
        "line": 4,
        "column": 12,
        "pointer": "/hide/0",
        "severity": "warning",
        "code": "glob_name",
        "message": '"delete_*" is one literal name, not a pattern',
        "hint": "write every name out",
    }
    assert len(document["findings"]) == 5


def test_check_for_code_scanning_is_one_log_of_all_files(regate: Regate) -> None:
    _write(odd=ODD, bad=BAD)
    done = regate("check", "odd.json", "bad.json", "--format", "sarif")
    (run,) = json.loads(done.out)["runs"]
    assert done.code == 1
    assert [each["ruleId"] for each in run["results"]].count("invalid_policy") == 2
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(LINTS)


def test_check_for_pull_requests_is_a_command_per_finding(regate: Regate) -> None:
    _write(odd=ODD)
    lines = regate("check", "odd.json", "--format", "github").out.splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::warning", "::warning", "::notice"]
    _write(good=GOOD)
    assert regate("check", "good.json", "--format", "github").out == ""


def test_check_documents_every_lint() -> None:
    page = (Path(__file__).parents[3] / "docs" / "policies.md").read_text(encoding="utf-8")
    missing = [lint.code for lint in LINTS.values() if f"| `{lint.code}` | {lint.severity} |" not in page]
    assert not missing


@pytest.mark.parametrize("op", ["regex", "reg\\u0065x"])
def test_patterns_are_put_to_opa_however_the_operator_is_written(
    regate: Regate, monkeypatch: pytest.MonkeyPatch, op: str
) -> None:
    monkeypatch.setenv("REGATE_OPA", "/nowhere/opa")
    rule = f'{{"path": "args.a", "op": "{op}", "value": "^a"}}'
    Path("p.json").write_text(GOOD.replace('"a": {}', f'"a": {{"deny_if": [{rule}]}}'), encoding="utf-8")
    done = regate("check", "p.json")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("regate: REGATE_OPA names /nowhere/opa")
