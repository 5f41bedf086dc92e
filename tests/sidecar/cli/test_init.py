import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Regate = Callable[..., Any]
TOOLS = {
    "tools": [
        {"name": "get_order", "annotations": {"readOnlyHint": True}},
        {"name": "set_label", "annotations": {"readOnlyHint": False, "destructiveHint": False}},
        {"name": "delete_all", "annotations": {"destructiveHint": True}},
        {"name": "order\x1b[2J"},
    ]
}


@pytest.fixture
def tools(regate: Regate) -> str:
    Path("tools.json").write_text(json.dumps(TOOLS), encoding="utf-8")
    return "tools.json"


def test_init_writes_a_policy_that_check_finds_nothing_in(regate: Regate) -> None:
    done = regate("init")
    assert (done.code, done.out) == (0, "policy.json: every tool that you do not list is denied\n")
    assert json.loads(Path("policy.json").read_text(encoding="utf-8"))["default"] == "deny"
    assert regate("check", "policy.json").code == 0
    assert regate("fmt", "--check", "policy.json").code == 0


def test_init_with_tools_says_why_and_that_a_person_must_look(regate: Regate, tools: str) -> None:
    done = regate("init", "--tools", tools, "-o", "p.json")
    assert done.code == 0
    assert done.out.splitlines() == [
        "get_order: allowed, because the server calls it read-only",
        "set_label: limited, because the server says that it writes and destroys nothing",
        "delete_all: hidden, because the server calls it destructive",
        "p.json: 4 tools: 1 allowed, 1 limited, 1 hidden, 1 denied",
        "Nobody has checked what the server says of its tools. Look at every line before you use the policy.",
    ]
    assert regate("check", "p.json", "--tools", tools).out.splitlines()[-2:] == [
        "p.json: permits at most 2 of 4 tools",
        "1 policy, no problems",
    ]


def test_init_replaces_no_file_unless_forced(regate: Regate) -> None:
    Path("policy.json").write_text("mine", encoding="utf-8")
    done = regate("init")
    assert done.code == 2
    assert "policy.json is there already; --force replaces it" in done.err
    assert Path("policy.json").read_text(encoding="utf-8") == "mine"
    assert regate("init", "--force").code == 0
    assert Path("policy.json").read_text(encoding="utf-8") != "mine"


def test_init_to_stdout_keeps_the_policy_and_what_is_said_apart(regate: Regate, tools: str) -> None:
    done = regate("init", "--tools", tools, "-o", "-", "--default", "allow")
    policy = json.loads(done.out)
    assert (policy["default"], policy["hide"]) == ("allow", ["delete_all"])
    assert done.err.splitlines()[-1] == "A tool that the server adds later is allowed."
    assert not Path("-").exists()


def test_init_prints_no_name_that_steers_a_terminal(regate: Regate) -> None:
    listed = [{"name": "a\x1b[2J", "annotations": {"readOnlyHint": True}}]
    Path("tools.json").write_text(json.dumps(listed), encoding="utf-8")
    assert regate("init", "--tools", "tools.json").out.startswith("a\\u001b[2J: allowed")
