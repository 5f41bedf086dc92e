import json
from typing import Any

import pytest

from translator import check, document, source
from translator.lint.subject import member, subject
from translator.report import Report
from translator.tree import Node

GOOD = {"deny_if": [{"path": "args.a", "op": "gt", "value": 1}, {"conditions": []}], "require": ["args.b"]}
BAD = {"deny_if": [{"path": "args.a", "op": "more", "value": 1}]}


def _seen(members: dict[str, Any], approval_map: tuple[str, ...] = ()) -> Any:
    report = Report()
    root = source.read(json.dumps({"version": "1", "default": "deny", **members}), report)
    assert root is not None
    policy = document.policy(root, report)
    assert policy is not None
    check.check(policy, report)
    return subject(root, policy, report, None, approval_map)


@pytest.mark.parametrize(
    ("members", "tools"),
    [
        ({"tools": {"a": GOOD, "b": GOOD}, "all_tools": {}}, ["a", "b", None]),
        ({"tools": {"a": BAD, "b": GOOD}, "all_tools": {"limits": 1}}, ["b"]),
        ({"all_tools": {}, "tools": {"a": GOOD, "b": BAD}}, ["a", None]),
        ({"tools": {"a": GOOD, "b": 1}}, ["a"]),
        ({"tools": {"a": GOOD, "*": GOOD}}, ["a"]),
        ({"tools": {"a": GOOD}, "unknown": 1}, ["a"]),
    ],
)
def test_sections_are_those_without_a_problem(members: dict[str, Any], tools: list[str | None]) -> None:
    seen = _seen(members)
    assert [section.tool for section in seen.sections] == tools
    assert seen.whole == ("b" in tools and None in tools)


def test_rules_come_with_their_ids_and_the_nodes_of_their_conditions() -> None:
    full = {"conditions": [{"path": "args.a", "op": "eq", "value": 1}, {"path": "args.b", "op": "eq", "value": 2}]}
    (section,) = _seen({"tools": {"t": {"require": ["args.c", full], "deny_if": GOOD["deny_if"]}}}).sections
    assert [(rule.id, [node.pointer() for _, node in rule.conditions]) for rule in section.rules] == [
        ("/tools/t/require/args.c-exists", ["/tools/t/require/0"]),
        (
            "/tools/t/require/args.a-eq+args.b-eq",
            ["/tools/t/require/1/conditions/0", "/tools/t/require/1/conditions/1"],
        ),
        ("/tools/t/deny_if/args.a-gt", ["/tools/t/deny_if/0"]),
        ("/tools/t/deny_if/always", []),
    ]


def test_rule_asks_surely_by_the_map_and_perhaps_by_its_text() -> None:
    texts = ("Requires human approval.", "Ask Ann.", "")
    rules = {"deny_if": [{"conditions": [], "on_deny": text} for text in texts], "require_approval": [{}]}
    seen = _seen({"tools": {"t": rules}}, ("Ask Ann.", ""))
    found = seen.sections[0].rules
    assert [seen.asks(rule) for rule in found] == [False, True, False, True]
    assert [seen.may_ask(rule) for rule in found] == [True, True, False, True]


def test_member_of_what_is_no_object_is_none() -> None:
    assert member(Node([], 0), "a") is None
    assert _seen({}).member("tools") is None
