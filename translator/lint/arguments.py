"""Lints that hold paths and values against the input schemas of a server's tools. Silent where a schema is vague."""

from collections.abc import Iterator
from dataclasses import dataclass

from translator.kinds import Kind, key, kind_of
from translator.lint.codes import TOO_MUCH, TYPE_MISMATCH, UNKNOWN_PATH, VALUE_NOT_ALLOWED
from translator.lint.numbers import meet
from translator.lint.schema import Found, Schema
from translator.lint.subject import Section, Subject, member, tell
from translator.lint.values import true_of
from translator.model import ListName
from translator.nearest import Nearest
from translator.paths import written
from translator.program import Condition, Json, Op
from translator.report import Report, quote
from translator.tree import Node, plain

MAX_STEPS = 100_000
"""Paths looked up in schemas, for one policy."""
_SHOWN = 5
_ORDER = (Op.LT, Op.LTE, Op.GT, Op.GTE)
_LISTS = (Op.IN, Op.NOT_IN)
_EQUAL = (Op.EQ, Op.NEQ, *_LISTS)
_ARTICLE: dict[Kind, str] = {
    "boolean": "true or false",
    "number": "a number",
    "string": "a string",
    "array": "an array",
    "object": "an object",
}
_PLURAL: dict[Kind, str] = {
    "boolean": "true and false",
    "number": "numbers",
    "string": "strings",
    "array": "arrays",
    "object": "objects",
}
_EFFECT: dict[ListName, str] = {
    "require": "so every call is denied",
    "deny_if": "so every call that has it is denied",
    "require_approval": "so every call that has it waits for a person",
    "limits": "so every call is denied",
}


@dataclass(frozen=True, slots=True)
class _Use:
    """One path in use: where, in which list, and with which condition (None: the amount of a limit)."""

    list: ListName
    path: tuple[str, ...]
    node: Node
    condition: Condition | None
    as_number: bool


def lint(subject: Subject, report: Report) -> None:
    """Tells which paths the tools do not have, and which comparisons their types make impossible."""
    if subject.inventory is None:
        return
    left = MAX_STEPS
    schemas = {name: Schema(tool.schema) for name, tool in subject.inventory.tools.items() if tool.schema is not None}
    every = _every(subject)
    for section in subject.sections:
        tools = every if section.tool is None else [section.tool]
        judged = [schemas[tool] for tool in tools if tool in schemas]
        if len(judged) < len(tools) or not judged:
            continue
        for use in _uses(section):
            left -= len(judged)
            if left < 0:
                tell(report, TOO_MUCH, section.at, "there are too many paths here to look them all up in the schemas")
                return
            _judge(use, [schema.at(use.path) for schema in judged], section.tool, report)


def _every(subject: Subject) -> list[str]:
    """The tools that the rules for all tools are about."""
    assert subject.inventory is not None
    policy = subject.policy
    hidden = frozenset(policy.hide)
    if "*" in hidden:
        return []
    listed = [name for name in subject.inventory.tools if policy.default == "allow" or name in policy.tools]
    return [name for name in listed if name not in hidden]


def _uses(section: Section) -> Iterator[_Use]:
    for rule in section.rules:
        for condition, node in rule.conditions:
            yield _Use(rule.list, condition.path, node, condition, condition.as_number)
    for cap in section.caps:
        limit = cap.limit
        if limit.amount_path is not None:
            yield _Use("limits", limit.amount_path, limit.at, None, limit.as_number)


def _judge(use: _Use, found: list[Found], tool: str | None, report: Report) -> None:
    if all(each.absent for each in found):
        _unknown_path(use, found[0], tool, report)
        return
    there = [each for each in found if not each.absent]
    kinds = [each.kinds for each in there]
    if None in kinds or not any(kinds):
        return
    possible = frozenset(kind for some in kinds for kind in some or ())
    if _mismatch(use, possible, report) or use.condition is None:
        return
    if possible == {"number"} and _out_of_bounds(use, use.condition, there, report):
        return
    if use.condition.op not in _EQUAL or use.as_number:
        return
    lists = [each.values for each in there]
    if None not in lists:
        _not_allowed(use, use.condition, [value for some in lists for value in some or ()], report)


def _unknown_path(use: _Use, found: Found, tool: str | None, report: Report) -> None:
    path = quote(written(use.path))
    who = "no tool that this is about has" if tool is None else "its input schema has no"
    message = f"{who} {path}" if tool is not None else f"{who} {path} in its input schema"
    tell(report, UNKNOWN_PATH, _place(use, "path"), message, _path_hint(use, found) if tool is not None else "")


def _path_hint(use: _Use, found: Found) -> str:
    parent, rest = use.path[: found.parent], use.path[found.parent + 1 :]
    if parent and found.parent_kinds == frozenset({"array"}):
        return (
            f"{quote(written(parent))} is an array; write {quote(written((*parent, '*', *use.path[found.parent :])))}"
        )
    if parent and found.parent_kinds is not None and not found.parent_kinds & {"array", "object"}:
        return f"{quote(written(parent))} is {_kinds(found.parent_kinds)}; nothing lies below it"
    near = Nearest(found.siblings).to(use.path[found.parent])
    if near is not None:
        return f"did you mean {quote(written((*parent, near, *rest)))}?"
    if not found.siblings:
        return "it takes no arguments there"
    more = ", …" if len(found.siblings) > _SHOWN else ""
    return f"it has {', '.join(quote(name) for name in found.siblings[:_SHOWN])}{more}"


def _mismatch(use: _Use, possible: frozenset[Kind], report: Report) -> bool:
    judged = _judged(use)
    if judged is None or judged & possible:
        return False
    path = quote(written(use.path))
    what = "limit counts" if use.condition is None else f"{quote(use.condition.op)} compares"
    wanted = " and ".join(_PLURAL[kind] for kind in sorted(judged))
    message = f"{path} is {_kinds(possible)} by the input schema; this {what} {wanted} only, {_EFFECT[use.list]}"
    tell(report, TYPE_MISMATCH, _place(use, "value"), message, _type_hint(use, possible, judged))
    return True


def _judged(use: _Use) -> frozenset[Kind] | None:
    """The types that the use can judge; None for all."""
    if use.as_number:
        return frozenset({"number", "string"})
    condition = use.condition
    if condition is None or condition.op in _ORDER:
        return frozenset({"number"})
    match condition.op:
        case Op.REGEX:
            return frozenset({"string"})
        case Op.CONTAINS:
            return frozenset({"array", "string"} if isinstance(condition.value, str) else {"array"})
        case Op.EXISTS:
            return None
        case _:
            values = (
                condition.value if isinstance(condition.value, list) and condition.op in _LISTS else [condition.value]
            )
            return frozenset(kind for value in values if (kind := kind_of(value)) is not None) or None


def _type_hint(use: _Use, possible: frozenset[Kind], judged: frozenset[Kind]) -> str:
    if "string" in possible and judged == {"number"}:
        return 'add "as": "number" to read strings such as "0.5" as numbers'
    if "number" in possible and judged == {"string"} and use.condition is not None and use.condition.op in _EQUAL:
        return "write the number without quotes"
    if "array" in possible:
        return f"write {quote(written((*use.path, '*')))} for its elements"
    return "compare it with a value of its type"


def _out_of_bounds(use: _Use, condition: Condition, there: list[Found], report: Report) -> bool:
    """Is the comparison true for no number within the bounds of the schema?"""
    wanted = true_of(condition).kinds["number"].numeric
    if any(meet(wanted, each.numbers) for each in there):
        return False
    path = quote(written(use.path))
    message = f"no number within the bounds of the input schema makes this true of {path}"
    tell(report, VALUE_NOT_ALLOWED, _place(use, "value"), message)
    return True


def _not_allowed(use: _Use, condition: Condition, allowed: list[Node], report: Report) -> None:
    values = {key(plain(each)) for each in allowed}
    path = quote(written(use.path))
    for value, node in _compared(use, condition):
        if key(value) not in values:
            shown = quote(value) if isinstance(value, str) else "this value"
            message = f"{path} is never {shown} by the input schema"
            tell(report, VALUE_NOT_ALLOWED, node, message, _value_hint(value, allowed))


def _compared(use: _Use, condition: Condition) -> Iterator[tuple[Json, Node]]:
    """The values that are compared, each with its node."""
    place = _place(use, "value")
    if condition.op in _LISTS and isinstance(place.value, list):
        for node in place.value:
            yield plain(node), node
    else:
        yield condition.value, place


def _value_hint(value: Json, allowed: list[Node]) -> str:
    words = [each.value for each in allowed if isinstance(each.value, str)]
    near = Nearest(words).to(value) if isinstance(value, str) else None
    if near is not None:
        return f"did you mean {quote(near)}?"
    more = ", …" if len(words) > _SHOWN else ""
    return f"it allows {', '.join(map(quote, words[:_SHOWN]))}{more}" if words else ""


def _place(use: _Use, name: str) -> Node:
    """The member of the condition, or of the limit, that the finding is about."""
    if use.condition is None:
        name = "increment_from"
    return member(use.node, name) or use.node


def _kinds(kinds: frozenset[Kind]) -> str:
    return " or ".join(_ARTICLE[kind] for kind in sorted(kinds))
