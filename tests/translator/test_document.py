"""Source: policy-semantics, section 1."""

import json
from typing import Any

import pytest

from translator.document import policy
from translator.model import Policy
from translator.report import Report
from translator.source import read

BASE = {"version": "1", "default": "deny"}


def _policy(document: Any) -> tuple[Policy | None, list[tuple[str, str]]]:
    report = Report()
    text = json.dumps(document)
    root = read(text, report)
    assert root is not None
    return policy(root, report), [(each.pointer, each.message) for each in report.problems(text, "")]


def _good(**members: Any) -> Policy:
    found, told = _policy({**BASE, **members})
    assert told == []
    assert found is not None
    return found


def test_policy_with_the_least_has_no_rules() -> None:
    found = _good()
    assert (found.default, found.hide, found.tools, found.all_tools.require) == ("deny", (), {}, ())


def test_policy_ignores_description_and_schema() -> None:
    assert _good(description="x", **{"$schema": "y"}) == _good()


def test_policy_keeps_names_as_written() -> None:
    names = ["Pay", "pay", "e\u0301", "\u00e9", " pay", "delete_*", "\x1c", "args.a/b"]
    found = _good(default="allow", hide=["*", *names], tools={name: {} for name in names})
    assert (found.default, found.hide, list(found.tools)) == ("allow", ("*", *names), names)


def test_policy_hides_a_tool_of_the_short_form_once() -> None:
    assert _good(hide=["b"], tools={"a": {"action": "hide"}, "b": {"action": "hide"}}).hide == ("b", "a")


def test_policy_puts_the_short_form_among_the_rules() -> None:
    limit = {"counter": "c", "window": "day", "max": 1}
    tool = {"rate_limit": {"max": 1, "window": 1}, "limits": [limit], "action": "require_approval"}
    rules = _good(tools={"t": tool, "u": {"action": "deny"}}).tools
    assert [each.counter for each in rules["t"].limits] == ["c", "t_rate"]
    assert (len(rules["t"].require_approval), len(rules["u"].deny_if)) == (1, 1)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], [("", "must be an object, not an array")]),
        (None, [("", "must be an object, not null")]),
        ({}, [("", 'lacks the member "version"'), ("", 'lacks the member "default"')]),
        ({**BASE, "version": 1}, [("/version", 'must be the string "1"')]),
        ({**BASE, "version": "1.0"}, [("/version", 'must be the string "1"')]),
        ({**BASE, "version": None}, [("/version", 'must be the string "1"')]),
        ({**BASE, "default": "Deny"}, [("/default", 'unknown value "Deny"')]),
        ({**BASE, "default": True}, [("/default", 'must be one of "allow", "deny", not a boolean')]),
        ({**BASE, "hidden": []}, [("/hidden", 'unknown member "hidden"')]),
        ({**BASE, "limits": []}, [("/limits", 'unknown member "limits"')]),
        ({**BASE, "description": None}, [("/description", "must be a string, not null")]),
        ({**BASE, "$schema": 1}, [("/$schema", "must be a string, not a number")]),
        ({**BASE, "hide": "x"}, [("/hide", "must be an array, not a string")]),
        ({**BASE, "hide": ["a", 1]}, [("/hide/1", "must be a tool name, not a number")]),
        ({**BASE, "hide": ["a", "\u3000"]}, [("/hide/1", "must not be blank")]),
        ({**BASE, "hide": ["a", "b", "a", "a"]}, [("/hide/2", '"a" is repeated'), ("/hide/3", '"a" is repeated')]),
        ({**BASE, "all_tools": None}, [("/all_tools", "must be an object, not null")]),
        ({**BASE, "all_tools": {"action": "deny"}}, [("/all_tools/action", 'unknown member "action"')]),
        ({**BASE, "all_tools": {"hide": []}}, [("/all_tools/hide", 'unknown member "hide"')]),
        ({**BASE, "tools": []}, [("/tools", "must be an object, not an array")]),
        ({**BASE, "tools": {"t": None}}, [("/tools/t", "must be an object, not null")]),
        ({**BASE, "tools": {"t": {"allow": True}}}, [("/tools/t/allow", 'unknown member "allow"')]),
        ({**BASE, "tools": {"*": {}}}, [("/tools/*", 'a tool cannot be called "*"')]),
        (
            {**BASE, "tools": {"": {}, " ": {}}},
            [(f"/tools/{name}", "the name of a tool must not be blank") for name in ("", " ")],
        ),
        (
            {**BASE, "tools": {"*": {"x": 1}}},
            [("/tools/*", 'a tool cannot be called "*"'), ("/tools/*/x", 'unknown member "x"')],
        ),
        (
            {**BASE, "tools": {"t": {"require": [1]}}, "all_tools": {"limits": [1]}},
            [
                ("/tools/t/require/0", "must be an object or a path, not a number"),
                ("/all_tools/limits/0", "must be an object, not a number"),
            ],
        ),
    ],
)
def test_policy_with_a_fault_names_its_place(document: Any, told: list[tuple[str, str]]) -> None:
    assert _policy(document)[1] == told


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"t": {}}', "regate import makes a policy of a fragment"),
        ('{"default": "deny"}', 'write "version": "1"'),
    ],
)
def test_policy_without_a_version_is_told_where_fragments_go(text: str, hint: str) -> None:
    report = Report()
    root = read(text, report)
    assert root is not None
    policy(root, report)
    assert hint in [each.hint for each in report.problems(text, "") if "version" in each.message]
