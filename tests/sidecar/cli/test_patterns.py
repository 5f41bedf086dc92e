import json
from pathlib import Path

import pytest

from sidecar.cli.patterns import problems
from sidecar.errors import CannotDecide
from sidecar.opa import binary, patterns
from translator import parse

REGEX = {"path": "args.a", "op": "regex", "value": "^a"}
POLICY = {
    "version": "1",
    "default": "deny",
    "all_tools": {"deny_if": [REGEX | {"value": "b\n"}]},
    "tools": {"t": {"require": [REGEX], "deny_if": [{"path": "args.a", "op": "eq", "value": "("}]}},
}
PROGRAM = parse(json.dumps(POLICY).encode())


def test_patterns_that_opa_takes_are_no_problem(opa_path: Path) -> None:
    assert problems({"p": PROGRAM}) == []


def test_pattern_that_opa_refuses_is_a_problem_of_each_rule(monkeypatch: pytest.MonkeyPatch, opa_path: Path) -> None:
    asked: list[str] = []

    def refuse(binary: Path, given: object) -> list[str]:
        asked.extend(given)  # type: ignore[call-overload]
        return ["b\n"]

    monkeypatch.setattr(patterns, "refused", refuse)
    found = problems({"p": PROGRAM, "q": PROGRAM})
    assert asked == ["^a", "b\n"]
    assert [(each.policy, each.pointer, each.message) for each in found] == [
        ("p", "/all_tools/deny_if/args.a-regex", 'OPA refuses the pattern "b\\n"'),
        ("q", "/all_tools/deny_if/args.a-regex", 'OPA refuses the pattern "b\\n"'),
    ]


def test_opa_that_was_named_and_does_not_run_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGATE_OPA", "/nowhere/opa")
    with pytest.raises(CannotDecide, match="REGATE_OPA names /nowhere/opa"):
        problems({"p": PROGRAM})


def test_without_opa_or_without_patterns_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "find", lambda: None)
    assert problems({"p": PROGRAM}) == []
    monkeypatch.setattr(binary, "find", lambda: pytest.fail("looked for"))
    assert problems({"p": parse(b'{"version": "1", "default": "deny"}')}) == []
