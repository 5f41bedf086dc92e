"""A policy's canonical text: members in one order, two spaces of indent, numbers as written. Nothing is judged here.

The order of members means nothing in a policy; everything whose order does (rules, conditions, tools, `hide`) stays as
it is. Members that no policy knows follow the known ones, in their own order.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring

from translator.program import Json, Number
from translator.tree import Node, plain


@dataclass(frozen=True, slots=True)
class _Form:
    """How one kind of object is laid out: its members' order, and the form of what stands in them.

    `inside` goes by name; `each` is the form of every other member's value. An array's elements have its own form.
    """

    order: tuple[str, ...] = ()
    inside: "Mapping[str, _Form]" = field(default_factory=dict)
    each: "_Form | None" = None


_VALUE = _Form()
_CONDITION = _Form(("path", "op", "value", "as"), {"value": _VALUE})
_ITEM = _Form(
    ("name", "conditions", "path", "op", "value", "as", "on_deny", "message", "ttl_seconds"),
    {"conditions": _CONDITION, "value": _VALUE},
)
_LIMIT = _Form(("name", "counter", "window", "max", "scope", "increment", "increment_from", "as", "on_deny"))
_RATE_LIMIT = _Form(("max", "window"))
_RULES = _Form(
    ("action", "reason", "require", "deny_if", "require_approval", "limits", "rate_limit"),
    {"require": _ITEM, "deny_if": _ITEM, "require_approval": _ITEM, "limits": _LIMIT, "rate_limit": _RATE_LIMIT},
)
_POLICY = _Form(
    ("$schema", "version", "description", "default", "hide", "all_tools", "tools"),
    {"all_tools": _RULES, "tools": _Form(each=_RULES)},
)


def text(policy: "Node | Json") -> str:
    """The policy as JSON text that ends in a line break; the text of that text is the same.

    Shape: a tree from `source.read`, or its plain value. Characters that do not print are written as escapes.
    """
    pieces: list[str] = []
    _write(plain(policy) if isinstance(policy, Node) else policy, _POLICY, "\n", pieces.append)
    return "".join(pieces) + "\n"


def _write(value: Json, form: _Form, line: str, put: Callable[[str], object]) -> None:
    """Puts the text of one value, piece by piece; `line` starts a line at the value's own indent."""
    if isinstance(value, dict) and value:
        before = "{"
        for name, inner in _ordered(value, form):
            put(f"{before}{line}  {_string(name)}: ")
            _write(inner, form.inside.get(name, form.each or _VALUE), line + "  ", put)
            before = ","
        put(line + "}")
    elif isinstance(value, list) and value:
        before = "["
        for element in value:
            put(f"{before}{line}  ")
            _write(element, form, line + "  ", put)
            before = ","
        put(line + "]")
    else:
        put(_leaf(value))


def _ordered(held: Mapping[str, Json], form: _Form) -> Iterator[tuple[str, Json]]:
    for name in form.order:
        if name in held:
            yield name, held[name]
    for name, value in held.items():
        if name not in form.order:
            yield name, value


def _leaf(value: Json) -> str:
    if isinstance(value, Number):
        return value.text
    return _string(value) if isinstance(value, str) else json.dumps(value)


def _string(value: str) -> str:
    quoted = encode_basestring(value)
    if quoted.isprintable():
        return quoted
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in quoted)
