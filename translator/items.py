"""Elements of `require`, `deny_if` and `require_approval`, and their conditions: tree → model. Not limits."""

from collections.abc import Collection, Mapping

from translator import paths
from translator.members import Members, array, members, word
from translator.model import Item, ListName
from translator.number import is_whole
from translator.pattern import Patterns
from translator.program import Condition, Number, Op
from translator.report import Report, quote, shorten
from translator.tree import Fault, Node, plain

_CONDITION = ("path", "op", "value", "as")
_DENIAL = ("conditions", "on_deny", "name")
_ITEM: Mapping[str, tuple[str, ...]] = {
    "require": _DENIAL,
    "deny_if": _DENIAL,
    "require_approval": ("conditions", "message", "ttl_seconds", "name"),
}
_TEXT_HINTS: Mapping[str, Mapping[str, str]] = {
    "require": {"message": "the text is called on_deny here"},
    "deny_if": {"message": "the text is called on_deny here"},
    "require_approval": {"on_deny": "the text is called message here"},
}
_LISTS = (Op.IN, Op.NOT_IN)
_ORDER = (Op.LT, Op.LTE, Op.GT, Op.GTE)
_NUMERIC = (Op.EQ, Op.NEQ, *_LISTS, *_ORDER)
_LONGEST_TTL_S = 100 * 365 * 86400
"""An approval that outlives everybody; longer ones would only overflow clocks."""


def items(owner: Members, name: ListName, patterns: Patterns, report: Report) -> tuple[Item, ...]:
    """The items of the list called `name`; faulty ones are left out.

    Source: policy-semantics, sections 1, 8 and 15.3.
    """
    return tuple(item for node in owner.array(name) if (item := _item(node, name, patterns, report)))


def as_number(owner: Members, report: Report) -> bool:
    """Does the object say `as: "number"`? Any other value is a fault."""
    node = owner.find("as")
    if node is None:
        return False
    if node.value == "number":
        return True
    report.not_one_of(node, ("number",))
    return False


def _item(node: Node, name: ListName, patterns: Patterns, report: Report) -> Item | None:
    if name == "require" and isinstance(node.value, str):
        segments = paths.path(node, report)
        return Item(node, (Condition(segments, Op.EXISTS, True),))
    known = _ITEM[name]
    bare = isinstance(node.value, dict) and _is_bare(node.value)
    if bare:
        known = (*_CONDITION, *(each for each in known if each != "conditions"))
    wanted = "an object or a path" if name == "require" else "an object"
    found = members(node, known, report, _TEXT_HINTS[name], wanted)
    if found is None:
        return None
    conditions = _bare(found, patterns, report) if bare else _conditions(found, name, patterns, report)
    text = found.text("message" if name == "require_approval" else "on_deny")
    return Item(node, conditions, text, found.text("name"), _ttl(found, report))


def _is_bare(held: Collection[str]) -> bool:
    return "conditions" not in held and any(name in held for name in _CONDITION)


def _bare(found: Members, patterns: Patterns, report: Report) -> tuple[Condition, ...]:
    condition = _condition(found, patterns, report)
    return (condition,) if condition else ()


def _conditions(found: Members, name: ListName, patterns: Patterns, report: Report) -> tuple[Condition, ...]:
    if name == "require_approval" and "conditions" not in found:
        return ()
    node = found.need("conditions")
    if node is None:
        return ()
    if name == "require" and node.value == []:
        report.add(node, "must not be empty", "without conditions it would always hold")
    made = []
    for element in array(node, report):
        inner = members(element, _CONDITION, report, {"on_deny": "on_deny stands beside conditions"})
        condition = _condition(inner, patterns, report) if inner else None
        if condition:
            made.append(condition)
    return tuple(made)


def _condition(found: Members, patterns: Patterns, report: Report) -> Condition | None:
    path_node, op_node, value_node = found.need("path"), found.need("op"), found.need("value")
    segments = paths.path(path_node, report) if path_node else ()
    op = word(op_node, Op, report) if op_node else None
    numeric = as_number(found, report)
    if numeric and op is not None and op not in _NUMERIC:
        node = found.find("as")
        assert node is not None
        report.add(node, f"has no meaning with the operator {quote(op)}", f"it serves {', '.join(_NUMERIC)}")
        numeric = False
    if value_node is None:
        return None
    if value_node.value is None:
        report.add(value_node, "must not be null", 'write op "exists" with value false for an absent argument')
    elif op is not None:
        _check_value(value_node, op, numeric, patterns, report)
    return Condition(segments, op, plain(value_node), numeric) if op and segments else None


def _check_value(node: Node, op: Op, numeric: bool, patterns: Patterns, report: Report) -> None:
    value = node.value
    if isinstance(value, Fault):
        return
    if op in _LISTS:
        _check_list(node, numeric, report)
    elif (numeric or op in _ORDER) and not isinstance(value, Number):
        report.wrong_type(node, "a number" + (' beside as "number"' if numeric else f" for {quote(op)}"))
    elif op is Op.EXISTS and not isinstance(value, bool):
        report.wrong_type(node, f"true or false for {quote(op)}")
    elif op is Op.REGEX:
        _check_pattern(node, patterns, report)


def _check_list(node: Node, numeric: bool, report: Report) -> None:
    elements = node.value
    if not isinstance(elements, list):
        report.wrong_type(node, "an array of values to choose from")
        return
    for element in elements:
        if element.value is None:
            report.add(element, "must not be null", "null counts as absent; leave it out")
    judged = [element for element in elements if not isinstance(element.value, Fault | None)]
    if numeric and (not elements or not all(isinstance(element.value, Number) for element in judged)):
        report.add(node, 'must be a list of numbers beside as "number"')


def _check_pattern(node: Node, patterns: Patterns, report: Report) -> None:
    if not isinstance(node.value, str):
        report.wrong_type(node, "a pattern (string)")
        return
    fault = patterns.fault(node.value)
    if fault:
        hint = "RE2 syntax: no look-around, no back-references"
        report.add(node, f"the pattern does not compile: {shorten(fault)}", hint)


def _ttl(found: Members, report: Report) -> int | None:
    node = found.find("ttl_seconds")
    if node is None:
        return None
    value = node.value
    if not isinstance(value, Number):
        report.wrong_type(node, "a whole number of seconds")
    elif not is_whole(value) or value.value <= 0:
        report.add(node, "must be a whole number of seconds above 0")
    else:
        return min(int(value.value), _LONGEST_TTL_S)
    return None
