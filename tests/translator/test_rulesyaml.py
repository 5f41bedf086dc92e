"""Source: policy-semantics, sections 9, 10 and 15.13."""

import json
from typing import Any

import pytest

from translator import inventory, parse
from translator.errors import PolicyRejected
from translator.importing import Dialect, import_policy

HEAD = 'version: "1"\ndefault: deny\ntools:\n'
Warnings = list[tuple[str, str]]


def _document(rules: str, tool: str = "T") -> bytes:
    lines = rules.strip("\n").splitlines()
    return (HEAD + f"  {tool}:\n    rules:\n" + "".join(f"      {line}\n" for line in lines)).encode()


def _import(rules: str, tool: str = "T", schema: Any = None, named: str = "T") -> tuple[Any, Warnings]:
    listed = None
    if schema is not None:
        listed = inventory.read(json.dumps([{"name": named, "inputSchema": schema}]).encode()).tools
    made = import_policy(_document(rules, tool), dialect=Dialect.RULES, tools=listed)
    parse(made.text.encode())
    policy = json.loads(made.text)
    got = policy["all_tools"] if tool == '"*"' else policy["tools"][tool]
    return got, [(each.pointer.removeprefix("/tools/T/rules"), each.message) for each in made.warnings]


def _good(rules: str, tool: str = "T", schema: Any = None) -> Any:
    got, warnings = _import(rules, tool, schema)
    assert warnings == []
    return got


def _told(rules: str) -> list[tuple[str, str]]:
    with pytest.raises(PolicyRejected) as rejected:
        import_policy(_document(rules), dialect=Dialect.RULES)
    return [(each.pointer.removeprefix("/tools/T/rules"), each.message) for each in rejected.value.problems]


@pytest.mark.parametrize("rules", ["- action: allow", "- {}", "- name: n", "- {action: allow, validate: {}}"])
def test_rule_that_allows_only_lists_the_tool(rules: str) -> None:
    assert _good(rules) == {}


def test_deny_becomes_a_denial_with_its_reason() -> None:
    assert _good("- {name: n, action: deny, reason: No.}") == {
        "deny_if": [{"name": "n", "conditions": [], "on_deny": "No."}]
    }
    assert _good("- action: deny", '"*"') == {"deny_if": [{"conditions": []}]}


def test_approval_becomes_one_with_its_reason() -> None:
    assert _good("- {action: require_approval, reason: Ask., name: n}\n- action: require_approval") == {
        "require_approval": [{"name": "n", "message": "Ask."}, {}]
    }


@pytest.mark.parametrize(
    ("window", "kept"), [("60", "minute"), ("3600.0", "hour"), ("86400", "day"), ("61", 61), ("2678400", 2678400)]
)
def test_rate_limit_becomes_a_limit_of_the_session(window: str, kept: Any) -> None:
    limit = {"counter": "t_rate", "window": kept, "max": 10, "scope": "session"}
    assert _good(f"- {{action: allow, rate_limit: {{max: 10, window: {window}}}}}") == {"limits": [limit]}


def test_rate_limit_of_all_tools_has_a_global_counter() -> None:
    assert _good("- rate_limit: {max: 0, window: 60}", '"*"')["limits"][0]["counter"] == "_global_rate"


def test_rate_limit_in_words_is_a_limit_of_the_grant() -> None:
    limit = {"name": "n", "counter": "T._rate_hour", "window": "hour", "max": 30, "scope": "grant"}
    assert _good("- {name: n, rate_limit: 30/hour}") == {"limits": [limit]}


def test_rate_limits_with_different_windows_stand_together() -> None:
    limits = _good("- rate_limit: {max: 1, window: 60}\n- rate_limit: {max: 2, window: 61}\n- rate_limit: 3/hour")
    assert [each["window"] for each in limits["limits"]] == ["minute", 61, "hour"]


SCHEMA = {"type": "object", "required": ["a", "b", "a"]}


def test_required_arguments_become_one_requirement_each() -> None:
    def item(name: str, path: str) -> Any:
        return {"name": name, "conditions": [{"path": path, "op": "exists", "value": True}]}

    assert _good("- {name: n, validate: {required_args: true}}", schema=SCHEMA) == {
        "require": [item("n", "args.a"), item("n", "args.b")]
    }


@pytest.mark.parametrize(
    ("rules", "schema"),
    [
        ("- validate: {required_args: false}", None),
        ("- validate: {required_args: true}", {"type": "object"}),
        ("- validate: {required_args: true}", {"required": []}),
    ],
)
def test_nothing_required_becomes_nothing(rules: str, schema: Any) -> None:
    assert _good(rules, schema=schema) == {}


@pytest.mark.parametrize(
    ("tool", "schema", "named", "message"),
    [
        ("T", None, "T", "is left out: the input schema of the tool is not at hand"),
        ('"*"', SCHEMA, "T", "is left out: the tools have no input schema in common"),
        ("T", SCHEMA, "t", "is left out: the server's tools have no input schema for this one"),
        ("T", True, "T", "is left out: the server's tools have no input schema for this one"),
        ("T", {"required": "a"}, "T", "is left out: the tool's input schema does not list what it requires"),
        ("T", {"required": ["a", 1]}, "T", "is left out: the tool's input schema does not list what it requires"),
    ],
)
def test_required_arguments_that_are_not_known_are_left_out_with_a_warning(
    tool: str, schema: Any, named: str, message: str
) -> None:
    got, warnings = _import("- validate: {required_args: true}", tool, schema, named)
    assert (got, [said for _, said in warnings]) == ({}, [message])
    assert warnings[0][0].endswith("/0/validate/required_args")


def test_required_argument_that_no_path_names_is_left_out_with_a_warning() -> None:
    got, warnings = _import("- validate: {required_args: true}", schema={"required": ["a.b", "", "c"]})
    assert [each["conditions"][0]["path"] for each in got["require"]] == ["args.c"]
    assert [message for _, message in warnings] == [
        'the argument "a.b" cannot be required, because no path names it',
        'the argument "" cannot be required, because no path names it',
    ]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("- {action: deny, rate_limit: 1/day}", [("/0/action", '"deny" excludes "rate_limit"')]),
        (
            "- {action: deny, rate_limit: {max: 1, window: 1}, validate: {}}",
            [("/0/action", '"deny" excludes "rate_limit", "validate"')],
        ),
        ("- {reason: x}", [("/0/reason", "has no meaning without an action that stops calls")]),
        ("- {action: allow, reason: x}", [("/0/reason", "has no meaning without an action that stops calls")]),
        ("- {action: hide}", [("/0/action", 'unknown value "hide"')]),
        ("- {action: DENY, reason: x}", [("/0/action", 'unknown value "DENY"')]),
        ("- deny", [("/0", "must be an object, not a string")]),
        ("- {on_deny: x}", [("/0/on_deny", 'unknown member "on_deny"')]),
        ("- {name: 5, action: allow}", [("/0/name", "must be a string, not a number")]),
        ("- {action: deny, reason: no}", [("/0/reason", "must be a string, not a boolean")]),
        ("- {validate: yes}", [("/0/validate", "must be an object, not a boolean")]),
        ("- {validate: {required_args: 1}}", [("/0/validate/required_args", "must be true or false, not a number")]),
        ("- {validate: {types: true}}", [("/0/validate/types", 'unknown member "types"')]),
        ("- rate_limit: {window: 60}", [("/0/rate_limit", 'lacks the member "max"')]),
        ("- rate_limit: {max: 1}", [("/0/rate_limit", 'lacks the member "window"')]),
        ("- rate_limit: {max: 1.5, window: 60}", [("/0/rate_limit/max", "must be whole, because calls are counted")]),
        ("- rate_limit: {max: -1, window: 60}", [("/0/rate_limit/max", "must not be negative")]),
        ("- rate_limit: {max: 1, window: minute}", [("/0/rate_limit/window", "must be a whole number of seconds")]),
        (
            "- rate_limit: {max: 1, window: 0}",
            [("/0/rate_limit/window", "must be a whole number of seconds from 1 to 2678400")],
        ),
        ("- rate_limit: {max: 1, window: 60, per: x}", [("/0/rate_limit/per", 'unknown member "per"')]),
        ("- rate_limit: [1, 60]", [("/0/rate_limit", "must be a limit such as 10/minute, not an array")]),
        ("- rate_limit: 0/day", [("/0/rate_limit", "must allow at least 1 call")]),
        (
            "- rate_limit: {max: 1, window: 60}\n- rate_limit: {max: 2, window: 60}",
            [("/1", 'the counter "t_rate" is already that of rule 0')],
        ),
        (
            "- rate_limit: 1/day\n- rate_limit: 1/day",
            [("/1", 'the counter "T._rate_day" is already that of rule 0')],
        ),
    ],
)
def test_rule_of_the_wrong_shape_is_refused(rules: str, told: Any) -> None:
    assert _told(rules) == told


def test_counter_of_a_long_name_is_refused() -> None:
    with pytest.raises(PolicyRejected, match="must have at most 128 characters"):
        import_policy(_document("- rate_limit: {max: 1, window: 60}", "t" * 124), dialect=Dialect.RULES)
