"""Source: policy-semantics, sections 2, 3, 8 and 15.12."""

import json
from typing import Any

import pytest

from translator.document import policy
from translator.lower import lower
from translator.program import Guard, Program, Section, Step
from translator.report import Report
from translator.source import read

ASK = "Requires human approval."


def _lower(members: dict[str, Any], *approval_map: str) -> Program:
    report = Report()
    root = read(json.dumps({"version": "1", "default": "deny", **members}), report)
    assert root is not None
    found = policy(root, report)
    assert found is not None
    assert not report
    return lower(found, approval_map)


def _tool(tool: dict[str, Any], *approval_map: str) -> Section:
    return _lower({"tools": {"t": tool}}, *approval_map).tools["t"]


def _stops(guards: tuple[Guard, ...]) -> list[tuple[str, str, str]]:
    return [(guard.step.name, guard.rule, guard.message) for guard in guards]


EVERY = {
    "require_approval": [{"message": "Ask.", "ttl_seconds": 5, "name": "asks"}, {}],
    "deny_if": [{"conditions": [], "on_deny": "No."}, {"path": "args.a", "op": "gt", "value": 1, "name": "big"}],
    "require": ["args.a"],
    "limits": [{"counter": "c", "window": "day", "max": 1}],
}


def test_lower_puts_the_rules_of_a_tool_in_the_order_of_evaluation() -> None:
    section = _tool(EVERY)
    assert _stops(section.guards) == [
        ("TOOL_REQUIRE", "/tools/t/require/args.a-exists", 'Denied by rule "/tools/t/require/args.a-exists"'),
        ("TOOL_DENY", "/tools/t/deny_if/always", "No."),
        ("TOOL_DENY", "/tools/t/deny_if/args.a-gt", 'Denied by rule "/tools/t/deny_if/args.a-gt"'),
        ("TOOL_APPROVAL", "/tools/t/require_approval/always", "Ask."),
        ("TOOL_APPROVAL", "/tools/t/require_approval/always#2", ASK),
    ]
    assert [guard.name for guard in section.guards] == ["", "", "big", "asks", ""]
    assert [guard.ttl_s for guard in section.guards] == [None, None, None, 5, None]
    assert [limit.step for limit in section.limits] == [Step.TOOL_LIMIT]


def test_lower_gives_all_tools_steps_of_their_own() -> None:
    section = _lower({"all_tools": EVERY}).all_tools
    assert [guard.step.name for guard in section.guards] == [
        "ALL_REQUIRE",
        "ALL_DENY",
        "ALL_DENY",
        "ALL_APPROVAL",
        "ALL_APPROVAL",
    ]
    assert [(limit.step, limit.rule) for limit in section.limits] == [(Step.ALL_LIMIT, "/all_tools/limits/c")]


def test_lower_keeps_default_hide_and_the_order_of_tools() -> None:
    program = _lower({"default": "allow", "hide": ["x", "b"], "tools": {"b": {"action": "hide"}, "a": {}}})
    assert (program.fallback, program.hide, list(program.tools)) == ("allow", ("x", "b"), ["b", "a"])
    assert program.tools["a"] == Section()


def test_lower_turns_mapped_denials_into_approvals_before_the_explicit_ones() -> None:
    tool = {
        "deny_if": [
            {"conditions": [], "on_deny": "Stop."},
            {"conditions": [], "on_deny": ASK},
            {"path": "args.a", "op": "exists", "value": True, "on_deny": ASK},
        ],
        "require_approval": [{}],
    }
    assert _stops(_tool(tool, ASK).guards) == [
        ("TOOL_DENY", "/tools/t/deny_if/always", "Stop."),
        ("TOOL_DENY", "/tools/t/deny_if/args.a-exists", ASK),
        ("TOOL_APPROVAL", "/tools/t/deny_if/always#2", ASK),
        ("TOOL_APPROVAL", "/tools/t/require_approval/always", ASK),
    ]
    assert [guard.step.name for guard in _tool(tool).guards] == ["TOOL_DENY"] * 3 + ["TOOL_APPROVAL"]


def test_lower_maps_the_reason_of_a_short_denial_and_rules_of_all_tools() -> None:
    assert _tool({"action": "deny", "reason": ASK}, ASK).guards[0].step is Step.TOOL_APPROVAL
    everywhere = {"deny_if": [{"conditions": [], "on_deny": ASK}]}
    assert _lower({"all_tools": everywhere}, ASK).all_tools.guards[0].step is Step.ALL_APPROVAL


@pytest.mark.parametrize("text", ["requires human approval.", ASK + " ", ""])
def test_lower_maps_exact_texts_only(text: str) -> None:
    tool = {"deny_if": [{"conditions": [], "on_deny": text}]}
    assert _tool(tool, ASK, "").guards[0].step is Step.TOOL_DENY


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"window": "minute", "max": 10}, "Rate limit of 10 per minute reached. Try again later."),
        ({"window": 60, "max": 10.0}, "Rate limit of 10.0 per 60 seconds reached. Try again later."),
        ({"window": "day", "max": 1, "increment": 2}, "Rate limit of 1 per day reached. Try again later."),
        ({"window": "hour", "max": 0.5, "increment_from": "args.a"}, "Limit of 0.5 per hour reached. Try again later."),
        ({"window": "hour", "max": 1, "on_deny": ""}, "Rate limit of 1 per hour reached. Try again later."),
        ({"window": "hour", "max": 1, "on_deny": "No."}, "No."),
    ],
)
def test_lower_gives_a_limit_its_message(limit: dict[str, Any], message: str) -> None:
    (lowered,) = _tool({"limits": [{"counter": "c", **limit}]}).limits
    assert lowered.message == message


def test_lower_prints_the_window_of_a_rate_limit_as_a_word() -> None:
    (lowered,) = _tool({"rate_limit": {"max": 10, "window": 60}}).limits
    assert lowered.message == "Rate limit of 10 per minute reached. Try again later."
    assert (lowered.rule, lowered.scope) == ("/tools/t/limits/t_rate", "session")


def test_lower_keeps_what_a_limit_counts() -> None:
    limit = {"counter": "c", "window": 7, "max": 1.5, "scope": "server", "increment_from": "args.a.*", "as": "number"}
    (lowered,) = _tool({"limits": [{**limit, "name": "n"}]}).limits
    assert (lowered.counter, lowered.window, lowered.max.text, lowered.scope) == ("c", 7, "1.5", "server")
    assert (lowered.amount_path, lowered.as_number, lowered.increment.text, lowered.name) == (
        ("a", "*"),
        True,
        "1",
        "n",
    )
