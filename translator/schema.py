"""The JSON Schema of a policy, for editors: what each member means, and what shape it has. Judges no policy.

It refuses nothing that the readers accept; some of what they refuse (patterns, clashing counters) it lets pass.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from translator.limits import MAX_COUNTER_CHARS, MAX_WINDOW_S
from translator.model import WINDOW_SECONDS
from translator.paths import MAX_SEGMENTS, ROOT
from translator.program import Op

Schema: TypeAlias = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LISTS = (Op.IN, Op.NOT_IN)
_ORDER = (Op.LT, Op.LTE, Op.GT, Op.GTE)
_NUMERIC = (Op.EQ, Op.NEQ, *_LISTS, *_ORDER)


def schema() -> Schema:
    """The schema, draft 2020-12. Source: policy-semantics, sections 1, 5, 7, 8 and 9."""
    return {
        "$schema": DIALECT,
        "title": "Policy of regate",
        "description": "What the tools of one MCP server may be called for. The first denial wins.",
        **_object(_POLICY, required=("version", "default")),
        "$defs": {
            "rules": _object(_RULES),
            "tool": {**_object({**_RULES, **_SHORT}), "allOf": _TOOL_TERMS},
            "path": _PATH,
            "condition": {**_object(_CONDITION, required=("path", "op", "value")), "allOf": _VALUE_TERMS},
            "require": {"anyOf": [{"$ref": "#/$defs/path"}, *_items("on_deny", least=1)]},
            "deny_if": {"anyOf": _items("on_deny", least=0)},
            "require_approval": {"anyOf": _items("message", "ttl_seconds", least=None)},
            "limit": {**_object(_LIMIT, required=("counter", "window", "max")), "allOf": _LIMIT_TERMS},
        },
    }


def _object(members: Mapping[str, Schema], *, required: Iterable[str] = ()) -> Schema:
    closed = {"type": "object", "properties": dict(members), "additionalProperties": False}
    return {**closed, "required": list(required)} if required else closed


def _said(text: str, **shape: Any) -> Schema:
    return {"description": text, **shape}


def _list(text: str, of: str) -> Schema:
    return _said(text, type="array", items={"$ref": f"#/$defs/{of}"})


def _if(condition: Schema, then: Schema) -> Schema:
    return {"if": condition, "then": then}


def _one_of(name: str, values: Iterable[str]) -> Schema:
    return {"properties": {name: {"enum": list(values)}}, "required": [name]}


def _without(*names: str) -> Schema:
    return {"properties": dict.fromkeys(names, False)}


_PATH: Schema = _said(
    "The way to an argument: args.name, args.order.qty, args.orders.0.qty, or args.orders.*.qty for every element.",
    type="string",
    pattern=rf"^{ROOT}(\.[^.]+){{1,{MAX_SEGMENTS}}}$",
)

_POLICY: Mapping[str, Schema] = {
    "$schema": _said("Where an editor finds this schema. Ignored.", type="string"),
    "version": _said('The version of the language: always "1".', const="1"),
    "description": _said("What the policy is for. Ignored.", type="string"),
    "default": _said("The fate of a tool that is not listed under tools.", enum=["allow", "deny"]),
    "hide": _said(
        'Tools taken out of tools/list and denied when called, by exact name; "*" means all.',
        type="array",
        items={"type": "string", "minLength": 1},
        uniqueItems=True,
    ),
    "all_tools": _said("Rules for every call that got this far.", **{"$ref": "#/$defs/rules"}),
    "tools": _said(
        "Rules per tool, by exact name. {} means: listed, no rules.",
        type="object",
        propertyNames={"minLength": 1, "not": {"const": "*"}},
        additionalProperties={"$ref": "#/$defs/tool"},
    ),
}

_RULES: Mapping[str, Schema] = {
    "require": _list("What must hold. An item that is not surely true denies the call.", "require"),
    "deny_if": _list("What must not hold. An item denies the call if it is true, or cannot be judged.", "deny_if"),
    "require_approval": _list(
        "What a person must approve first, if the item is true or cannot be judged.", "require_approval"
    ),
    "limits": _list("How often, or how much, in a window of time.", "limit"),
}

_SHORT: Mapping[str, Schema] = {
    "action": _said("Short form: the fate of every call.", enum=["allow", "deny", "hide", "require_approval"]),
    "reason": _said("Short form: what the caller is told.", type="string"),
    "rate_limit": _said(
        "Short form: how many calls per session.",
        **_object(
            {
                "max": _said("The most calls in one window.", type="integer", minimum=0),
                "window": _said("The window in seconds.", type="integer", minimum=1, maximum=MAX_WINDOW_S),
            },
            required=("max", "window"),
        ),
    ),
}
_TOOL_TERMS = [
    _if(_one_of("action", ("deny", "hide")), _without(*_RULES, "rate_limit")),
    _if(_one_of("action", ("require_approval",)), _without("require_approval")),
    _if({"required": ["reason"]}, _one_of("action", ("deny", "hide", "require_approval"))),
]

_CONDITION: Mapping[str, Schema] = {
    "path": {"$ref": "#/$defs/path"},
    "op": _said("How the argument is compared. All but exists are false for an absent argument.", enum=list(Op)),
    "value": _said("What it is compared with; never null.", type=["boolean", "number", "string", "array", "object"]),
    "as": _said('"number": strings such as "0.5" are read as numbers.', const="number"),
}
_VALUE_TERMS = [
    _if(_one_of("op", _LISTS), {"properties": {"value": {"type": "array", "items": {"not": {"type": "null"}}}}}),
    _if(_one_of("op", _ORDER), {"properties": {"value": {"type": "number"}}}),
    _if(_one_of("op", (Op.EXISTS,)), {"properties": {"value": {"type": "boolean"}}}),
    _if(_one_of("op", (Op.REGEX,)), {"properties": {"value": {"type": "string"}}}),
    _if(
        {"required": ["as"]},
        {
            "properties": {
                "op": {"enum": list(_NUMERIC)},
                "value": {"type": ["number", "array"], "items": {"type": "number"}, "minItems": 1},
            }
        },
    ),
]

_ITEM: Mapping[str, Schema] = {
    "on_deny": _said("What the caller is told.", type="string"),
    "message": _said("What the caller is told while it waits for a person.", type="string"),
    "ttl_seconds": _said("How long an approval is good for.  Default: 300.", type="integer", minimum=1),
    "name": _said("A label for logs.", type="string"),
}


def _items(*texts: str, least: int | None) -> list[Schema]:
    """An item with a list of conditions (at least so many; None: it may be left out), and a bare condition."""
    more = {name: _ITEM[name] for name in (*texts, "name")}
    listed = _list("All of them together. An empty list is always true.", "condition")
    if least:
        listed = {**_list("All of them together.", "condition"), "minItems": least}
    full = _object({"conditions": listed, **more}, required=() if least is None else ("conditions",))
    bare = _object({**_CONDITION, **more}, required=("path", "op", "value"))
    return [full, {**bare, "allOf": _VALUE_TERMS}]


_LIMIT: Mapping[str, Schema] = {
    "counter": _said(
        "The name of what is counted. All limits that use it share it.",
        type="string",
        minLength=1,
        maxLength=MAX_COUNTER_CHARS,
    ),
    "window": _said(
        "minute, hour or day, or a number of seconds. Windows follow the UTC clock.",
        anyOf=[{"enum": list(WINDOW_SECONDS)}, {"type": "integer", "minimum": 1, "maximum": MAX_WINDOW_S}],
    ),
    "max": _said("The most that is counted in one window; 0 denies every call.", type="number", minimum=0),
    "scope": _said("Who shares the counter.  Default: grant.", enum=["grant", "session", "server"]),
    "increment_from": _said("The argument whose amount is counted instead of the call.", **{"$ref": "#/$defs/path"}),
    "increment": _said("What one call counts.  Default: 1.", type="number", exclusiveMinimum=0),
    "as": _said('"number": the amount may be a string such as "0.5".', const="number"),
    "on_deny": _ITEM["on_deny"],
    "name": _ITEM["name"],
}
_LIMIT_TERMS = [
    _if({"required": ["increment_from"]}, _without("increment")),
    {
        "if": {"required": ["increment_from"]},
        "then": True,
        "else": {"properties": {"max": {"type": "integer"}, "as": False}},
    },
]
