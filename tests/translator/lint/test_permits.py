import json
from typing import Any

import pytest

from translator import inventory
from translator.lint.review import review

ALWAYS = {"deny_if": [{"conditions": []}]}
ASKS = {"deny_if": [{"conditions": [], "on_deny": "Requires human approval."}]}
ZERO = {"limits": [{"counter": "c", "window": "day", "max": 0}]}
TOOLS = inventory.read(b'[{"name": "a"}, {"name": "b"}, {"name": "c"}]')


def _seen(policy: dict[str, Any], known: inventory.Inventory | None = TOOLS) -> tuple[int | None, list[str]]:
    found = review(json.dumps({"version": "1", "default": "deny", **policy}).encode(), inventory=known)
    return found.permitted, [each.message for each in found.findings if each.code == "permits_nothing"]


@pytest.mark.parametrize(
    ("policy", "permitted"),
    [
        ({"tools": {"a": {}, "z": {}}}, 1),
        ({"default": "allow", "hide": ["a"]}, 2),
        ({"tools": {"a": ASKS, "b": ALWAYS}}, 1),
        ({"tools": {"a": {"require_approval": [{}]}, "b": ZERO}}, 1),
        ({"default": "allow"}, 3),
    ],
)
def test_permitted_tools_are_counted_those_that_may_ask_too(policy: dict[str, Any], permitted: int) -> None:
    assert _seen(policy) == (permitted, [])


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"tools": {"z": {}}},
        {"default": "allow", "all_tools": ALWAYS},
        {"default": "allow", "hide": ["*"]},
        {"tools": {"a": ALWAYS, "b": ZERO}},
        {"tools": {"a": {"action": "deny"}}},
        {"default": "allow", "hide": ["a", "b", "c"]},
        {"tools": {"a": {"require": [{"path": "args.x", "op": "in", "value": []}]}}},
    ],
)
def test_policy_that_permits_no_tool_of_the_server_is_told(policy: dict[str, Any]) -> None:
    assert _seen(policy) == (0, ["this policy permits 0 of 3 tools"])


def test_policy_is_not_counted_without_a_list_of_tools() -> None:
    assert _seen({"tools": {"a": ALWAYS}}, None) == (None, [])


def test_policy_is_not_counted_while_it_has_errors_or_the_server_no_tools() -> None:
    assert _seen({"tools": {"a": {"deny": []}}}) == (None, [])
    assert _seen({}, inventory.read(b"[]")) == (0, [])
