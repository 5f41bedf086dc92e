import json
from typing import Any

import pytest

from translator import explain, parse


def when(path: str, op: str, value: Any) -> dict[str, Any]:
    return {"path": path, "op": op, "value": value}


def deny_if(*conditions: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"deny_if": [{"conditions": list(conditions), **more}]}


def limit(**members: Any) -> dict[str, Any]:
    return {"limits": [{"counter": "c", "window": "minute", "max": 10, **members}]}


def said(document: dict[str, Any], tool: str = "t", approval_map: tuple[str, ...] = ()) -> str:
    policy = {"version": "1", "default": "deny", **document}
    return explain(parse(json.dumps(policy).encode(), approval_map=approval_map), tool)


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ({"hide": ["t"], "tools": {"t": {}}}, "hidden"),
        ({"hide": ["*"]}, "hidden"),
        ({}, "denied: not listed in the policy"),
        ({"all_tools": deny_if()}, "denied: not listed in the policy"),
        ({"default": "allow"}, "allowed"),
        ({"tools": {"t": {}}}, "allowed"),
        ({"default": "allow", "all_tools": deny_if()}, "always denied"),
    ],
)
def test_explain_without_rules_of_the_tool(document: dict[str, Any], line: str) -> None:
    assert said(document) == line


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        (deny_if(), "always denied"),
        (deny_if(on_deny="No.\nNever."), 'always denied: "No.\\nNever."'),
        (deny_if(on_deny="No.") | limit() | {"require": ["args.x"]}, 'always denied: "No."'),
        ({"require": ["args.x"]}, "allowed if args.x is given"),
        (deny_if(when("args.x", "exists", False)), "allowed; denied if args.x is absent"),
        (
            {"require": [{"conditions": [when("args.a", "in", ["x", 1])]}, when("args.b.*", "neq", "y")]},
            'allowed if args.a in ["x", 1] and args.b.* is not "y"',
        ),
        (
            deny_if(when("args.a", "gt", 5.0), when("args.b", "regex", "^x")),
            'allowed; denied if args.a > 5 and args.b matches "^x"',
        ),
        ({"require_approval": [{}]}, 'asks a human: "Requires human approval."'),
        (
            {"require_approval": [{"message": "Sign."}, when("args.n", "gt", 5)], "require": ["args.x"]} | limit(),
            'asks a human: "Sign." if args.x is given; at most 10 a minute per grant',
        ),
        ({"require_approval": [when("args.n", "lte", 5)]}, "allowed; asks a human if args.n <= 5"),
        (limit(window="hour", scope="session"), "allowed; at most 10 an hour per session"),
        (limit(window=90, scope="server"), "allowed; at most 10 in 90 seconds for all grants together"),
        (limit(increment=2), "allowed; at most 10 a minute per grant, each call counts 2"),
        (limit(window="day", increment_from="args.n"), "allowed; args.n adds up to at most 10 a day per grant"),
    ],
)
def test_explain_says_what_the_rules_of_a_tool_do(rules: dict[str, Any], line: str) -> None:
    assert said({"tools": {"t": rules}}) == line


def test_explain_puts_the_rules_of_all_tools_behind_the_tools_own() -> None:
    document = {
        "tools": {"t": deny_if(when("args.a", "eq", 1)) | limit()},
        "all_tools": {"require": ["args.why"]} | limit(max=60),
    }
    limits = "at most 10 a minute per grant; at most 60 a minute per grant"
    assert said(document) == f"allowed if args.why is given; denied if args.a is 1; {limits}"


def test_explain_says_ask_where_the_map_turns_a_denial_into_a_question() -> None:
    document = {"tools": {"t": deny_if(on_deny="Requires human approval.")}}
    assert said(document) == 'always denied: "Requires human approval."'
    assert said(document, approval_map=("Requires human approval.",)) == 'asks a human: "Requires human approval."'


def test_explain_is_one_short_line_that_cannot_steer_a_terminal() -> None:
    rules = deny_if(when("args.a\x1b[2J\n", "in", ["\x1b]0;x\x07" + "y" * 500]))
    line = said({"tools": {"t": rules}})
    assert line.isprintable()
    assert len(line) < 200
    assert line.endswith("…")
