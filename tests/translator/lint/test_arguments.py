import json
from typing import Any

import pytest

from translator import inventory
from translator.lint import arguments as module
from translator.lint.review import review

ORDER = {
    "type": "object",
    "properties": {
        "qty": {"type": "string"},
        "price": {"type": "number"},
        "side": {"type": "string", "enum": ["Buy", "Sell"]},
        "mode": {"enum": ["Full", 1]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "legs": {"type": "array", "items": {"type": "object", "properties": {"qty": {"type": "string"}}}},
        "force": {"type": "boolean"},
        "note": {},
        "gone": {"type": "null"},
        "leverage": {"type": "integer", "minimum": 1, "maximum": 100},
        "ratio": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": "x"},
        "either": {"anyOf": [{"type": "integer", "maximum": 1}, {"type": "integer"}]},
    },
    "additionalProperties": False,
}
NONE = {"type": "object", "properties": {}}
SERVER = {"order": ORDER, "ping": NONE}


def _is(path: str, op: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"path": path, "op": op, "value": value, **more}


def _seen(policy: dict[str, Any], server: dict[str, Any] = SERVER) -> list[tuple[str, str, str]]:
    tools = json.dumps([{"name": name, **({"inputSchema": each} if each else {})} for name, each in server.items()])
    text = json.dumps({"version": "1", "default": "deny", **policy}).encode()
    found = review(text, inventory=inventory.read(tools.encode())).findings
    mine = ("unknown_path", "type_mismatch", "value_not_allowed", "not_examined")
    return [(each.code, each.pointer, each.hint) for each in found if each.code in mine]


def _denied(*conditions: dict[str, Any], tool: str = "order") -> list[tuple[str, str, str]]:
    return _seen({"tools": {tool: {"deny_if": list(conditions)}}})


@pytest.mark.parametrize(
    ("condition", "code", "member", "hint"),
    [
        (_is("args.qyt", "exists", True), "unknown_path", "path", 'did you mean "args.qty"?'),
        (_is("args.zzz", "exists", True), "unknown_path", "path", 'it has "qty", "price", "side", "mode", "tags", …'),
        (
            _is("args.legs.qty", "exists", True),
            "unknown_path",
            "path",
            '"args.legs" is an array; write "args.legs.*.qty"',
        ),
        (_is("args.legs.*.qyt", "eq", "1"), "unknown_path", "path", 'did you mean "args.legs.*.qty"?'),
        (_is("args.side.x", "eq", "1"), "unknown_path", "path", '"args.side" is a string; nothing lies below it'),
        (
            _is("args.qty", "gt", 1),
            "type_mismatch",
            "value",
            'add "as": "number" to read strings such as "0.5" as numbers',
        ),
        (
            _is("args.qty", "eq", 1),
            "type_mismatch",
            "value",
            'add "as": "number" to read strings such as "0.5" as numbers',
        ),
        (_is("args.price", "eq", "1"), "type_mismatch", "value", "write the number without quotes"),
        (_is("args.price", "in", ["1", "2"]), "type_mismatch", "value", "write the number without quotes"),
        (_is("args.price", "regex", "1"), "type_mismatch", "value", "compare it with a value of its type"),
        (_is("args.price", "contains", "1"), "type_mismatch", "value", "compare it with a value of its type"),
        (_is("args.qty", "contains", 1), "type_mismatch", "value", "compare it with a value of its type"),
        (_is("args.tags", "eq", "x"), "type_mismatch", "value", 'write "args.tags.*" for its elements'),
        (_is("args.force", "eq", "true"), "type_mismatch", "value", "compare it with a value of its type"),
        (
            _is("args.force", "gt", 1, **{"as": "number"}),
            "type_mismatch",
            "value",
            "compare it with a value of its type",
        ),
        (_is("args.side", "eq", "buy"), "value_not_allowed", "value", 'did you mean "Buy"?'),
        (_is("args.side", "neq", "x"), "value_not_allowed", "value", 'it allows "Buy", "Sell"'),
        (_is("args.mode", "eq", 2), "value_not_allowed", "value", 'it allows "Full"'),
        (_is("args.leverage", "gt", 100), "value_not_allowed", "value", ""),
        (_is("args.leverage", "in", [0, 101]), "value_not_allowed", "value", ""),
        (_is("args.ratio", "lte", 0, **{"as": "number"}), "value_not_allowed", "value", ""),
        (_is("args.side", "in", ["Buy", "sell"]), "value_not_allowed", "value/1", 'did you mean "Sell"?'),
    ],
)
def test_condition_that_the_schema_makes_impossible_is_told(
    condition: dict[str, Any], code: str, member: str, hint: str
) -> None:
    assert _denied(condition) == [(code, f"/tools/order/deny_if/0/{member}", hint)]


@pytest.mark.parametrize(
    "condition",
    [
        _is("args.qty", "gt", 1, **{"as": "number"}),
        _is("args.price", "gt", 1, **{"as": "number"}),
        _is("args.price", "gt", 1),
        _is("args.price", "in", ["1", 2]),
        _is("args.price", "in", []),
        _is("args.tags", "contains", 1),
        _is("args.tags.*", "eq", "x"),
        _is("args.qty", "contains", "1"),
        _is("args.side", "in", ["Buy"]),
        _is("args.side", "regex", "x"),
        _is("args.mode", "eq", 1.0),
        _is("args.mode", "eq", 7, **{"as": "number"}),
        _is("args.note", "gt", 1),
        _is("args.note.more", "gt", 1),
        _is("args.gone", "gt", 1),
        _is("args.force", "exists", False),
        _is("args.leverage", "gte", 100),
        _is("args.leverage", "exists", False),
        _is("args.leverage", "neq", 0),
        _is("args.ratio", "gt", 10),
        _is("args.either", "gt", 10),
    ],
)
def test_condition_that_the_schema_allows_or_is_vague_about_is_not_told(condition: dict[str, Any]) -> None:
    assert _denied(condition) == []


def test_argument_of_a_tool_without_arguments_is_told() -> None:
    told = [("unknown_path", "/tools/ping/deny_if/0/path", "it takes no arguments there")]
    assert _denied(_is("args.a", "eq", 1), tool="ping") == told


def test_string_path_and_amount_are_judged_at_their_own_place() -> None:
    limits = [
        {"counter": "a", "window": "day", "max": 1, "increment_from": path, **more}
        for path, more in (("args.qty", {}), ("args.qty", {"as": "number"}), ("args.price", {}), ("args.prize", {}))
    ]
    for number, limit in enumerate(limits):
        limit["counter"] = f"c{number}"
    assert [each[:2] for each in _seen({"tools": {"order": {"require": ["args.qyt"], "limits": limits}}})] == [
        ("unknown_path", "/tools/order/require/0"),
        ("type_mismatch", "/tools/order/limits/0/increment_from"),
        ("unknown_path", "/tools/order/limits/3/increment_from"),
    ]


def test_message_says_what_follows_in_each_list() -> None:
    wrong = _is("args.qty", "gt", 1)
    policy = {
        "version": "1",
        "default": "deny",
        "tools": {"order": {"require": [wrong], "deny_if": [wrong], "require_approval": [wrong]}},
    }
    tools = inventory.read(json.dumps([{"name": "order", "inputSchema": ORDER}]).encode())
    found = review(json.dumps(policy).encode(), inventory=tools).findings
    assert [each.message.split(", so ")[1] for each in found if each.code == "type_mismatch"] == [
        "every call is denied",
        "every call that has it is denied",
        "every call that has it waits for a person",
    ]


@pytest.mark.parametrize(
    ("policy", "codes"),
    [
        ({"default": "allow", "all_tools": {"require": ["args.qty"]}}, []),
        ({"default": "allow", "all_tools": {"require": ["args.none"]}}, ["unknown_path"]),
        ({"default": "allow", "all_tools": {"deny_if": [_is("args.qty", "gt", 1)]}}, ["type_mismatch"]),
        ({"default": "allow", "hide": ["order"], "all_tools": {"require": ["args.qty"]}}, ["unknown_path"]),
        ({"tools": {"ping": {}}, "all_tools": {"require": ["args.qty"]}}, ["unknown_path"]),
        ({"hide": ["*"], "all_tools": {"require": ["args.none"]}}, []),
        ({"all_tools": {"require": ["args.none"]}}, []),
    ],
)
def test_rule_of_all_tools_is_told_only_if_no_tool_it_is_about_could_match(
    policy: dict[str, Any], codes: list[str]
) -> None:
    assert [code for code, _, _ in _seen(policy)] == codes


def test_tool_that_is_unknown_or_has_no_schema_is_not_judged() -> None:
    rules = {"deny_if": [_is("args.a", "eq", 1)]}
    assert _seen({"tools": {"other": rules, "bare": rules}, "all_tools": rules}, {"bare": None, **SERVER}) == []


def test_looking_up_stops_at_its_bound_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STEPS", 1)
    policy = {"tools": {"order": {"require": ["args.qty", "args.qyt"]}}}
    assert _seen(policy) == [("not_examined", "/tools/order", "")]
