"""Program → Rego text that reads as if written by hand, and that `opa fmt` leaves alone. Knows no JSON positions.

Text of a policy goes through `literal` only. What the functions called here mean stands in `rego/mcp`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from translator import literal
from translator.program import Condition, Guard, Limit, Op, Program, Section, Step

_FUNCTION = {
    Op.EQ: "equals",
    Op.NEQ: "differs",
    Op.IN: "among",
    Op.NOT_IN: "outside",
    Op.LT: "below",
    Op.LTE: "at_most",
    Op.GT: "above",
    Op.GTE: "at_least",
    Op.REGEX: "matches",
    Op.CONTAINS: "includes",
    Op.EXISTS: "present",
}
_REQUIRES = (Step.TOOL_REQUIRE, Step.ALL_REQUIRE)
_APPROVALS = (Step.TOOL_APPROVAL, Step.ALL_APPROVAL)
INDEX = re.compile("0|[1-9][0-9]{0,15}")
"""A segment that picks an element of an array."""


def module(program: Program, policy_id: str, revision: str) -> str:
    """The policy as one Rego module, for the gate to look up under its id.

    Shape: `revision`, `fallback`, `hide` and `tools` are constants; `stop` and `limits` are sets whose elements
    begin with their place in the order of evaluation.
    """
    blocks = [
        "# METADATA\n"
        f"# title: {literal.note(policy_id)}\n"
        "# description: Made by regate from the policy of this name. Edit that policy, not this file.\n"
        f"package mcp.policies{literal.step(policy_id)}",
        *_imports(program),
        f"revision := {literal.string(revision)}",
        f"fallback := {literal.string(program.fallback)}",
        f"hide := {_names(program.hide)}",
        f"tools := {_names(program.tools)}",
        *_rules(program),
    ]
    return "\n\n".join(blocks) + "\n"


def path_text(path: Iterable[str]) -> str:
    """The path as a policy writes it: `args.items.*.price`."""
    return ".".join(("args", *path))


def _imports(program: Program) -> Iterator[str]:
    sections = (*program.tools.values(), program.all_tools)
    conditions = [found for section in sections for guard in section.guards for found in guard.conditions]
    spends = [limit for section in sections for limit in section.limits if limit.amount_path is not None]
    paths = [condition.path for condition in conditions] + [limit.amount_path or () for limit in spends]
    used = {
        "amount": bool(spends),
        "args": any(_plain(path) < len(path) for path in paths),
        "condition": bool(conditions),
        "number": any(item.as_number for item in conditions) or any(limit.as_number for limit in spends),
    }
    if any(used.values()):
        yield "\n".join(f"import data.mcp.{name}" for name, needed in used.items() if needed)


def _rules(program: Program) -> Iterator[str]:
    for tool, section in program.tools.items():
        if section.guards or section.limits:
            yield f"# Tool {literal.note(tool)}"
            yield from _section(section, (f"input.tool == {literal.string(tool)}",))
    if program.all_tools.guards or program.all_tools.limits:
        yield "# Every tool"
        yield from _section(program.all_tools, ())


def _section(section: Section, scope: tuple[str, ...]) -> Iterator[str]:
    for index, guard in enumerate(section.guards):
        yield from _guard(guard, index, scope)
    for index, limit in enumerate(section.limits):
        yield from _limit(limit, index, scope)


def _guard(guard: Guard, index: int, scope: tuple[str, ...]) -> Iterator[str]:
    outcome = "approval_required" if guard.step in _APPROVALS else "deny"
    head = _label(guard.name) + _stop(guard.step, index, outcome, guard.rule, guard.message, guard.ttl_s)
    if guard.step in _REQUIRES:
        for condition in guard.conditions:
            yield _rule(head, (*scope, _judged(condition, "!= true")))
    else:
        yield _rule(head, (*scope, *(_judged(condition, "!= false") for condition in guard.conditions)))


def _limit(limit: Limit, index: int, scope: tuple[str, ...]) -> Iterator[str]:
    if limit.amount_path is None:
        amounts = literal.value([limit.increment])
    else:
        amount, elements = _found(limit.amount_path, limit.as_number)
        message = f"Cannot count this call: {path_text(limit.amount_path)} is missing or not a non-negative number."
        uncountable = _quantified(f"amount.countable({amount})", elements, "!= true")
        yield _rule(_stop(limit.step, index, "deny", limit.rule, message), (*scope, uncountable))
        amounts = f"[{amount} | {elements}]" if elements else f"[{amount}]"
    members = {
        "rule": literal.string(limit.rule),
        "message": literal.string(limit.message),
        "counter": literal.string(limit.counter),
        "window": literal.string(limit.window) if isinstance(limit.window, str) else str(limit.window),
        "max": literal.value(limit.max),
        "scope": literal.string(limit.scope),
        "amounts": amounts,
    }
    lines = "".join(f'\t"{name}": {text},\n' for name, text in members.items())
    yield _rule(f"{_label(limit.name)}limits contains [{limit.step:d}, {index}, {{\n{lines}}}]", scope)


def _stop(step: Step, index: int, outcome: str, rule: str, message: str, ttl_s: int | None = None) -> str:
    words = ", ".join(map(literal.string, (outcome, rule, message)))
    ttl = "" if ttl_s is None else f", {ttl_s}"
    return f"stop contains [{step:d}, {index}, {words}{ttl}]"


def _label(name: str) -> str:
    """The author's own name for a rule, as a comment above it."""
    return f"# {literal.note(name)}\n" if name else ""


def _rule(head: str, body: Sequence[str]) -> str:
    if not body:
        return head
    return head + " if {\n" + "".join(f"\t{expression}\n" for expression in body) + "}"


def _judged(condition: Condition, against: str) -> str:
    """The condition as one expression that is total, so that nothing can make its rule undefined."""
    found, elements = _found(condition.path, condition.as_number)
    judgement = f"condition.{_FUNCTION[condition.op]}({found}, {literal.value(condition.value)})"
    return _quantified(judgement, elements, against)


def _quantified(judgement: str, elements: str, against: str) -> str:
    """`against` asked of the one value found, or of all found at once.

    The answers on several values are a set: it differs from {true} when one of them is not true.
    """
    if not elements:
        return f"{judgement} {against}"
    relation, answer = against.split()
    return f"{{{judgement} | {elements}}} {relation} {{{answer}}}"


def _found(path: tuple[str, ...], as_number: bool) -> tuple[str, str]:
    """The term for the value at a path, and what binds its variables where `*` walks arrays."""
    plain = _plain(path)
    first = literal.value(list(path[:plain]) if plain > 1 else path[0])
    term = f"object.get(input.args, {first}, null)"
    elements: list[str] = []
    for segment in path[plain:]:
        if segment == "*":
            name = f"item{len(elements) + 1}" if elements else "item"
            elements.append(f"some {name} in args.each({term})")
            term = name
        else:
            term = f"args.member({term}, {literal.string(segment)})"
    return f"number.read({term})" if as_number else term, "; ".join(elements)


def _plain(path: tuple[str, ...]) -> int:
    """How many leading steps can only be members of objects. The first always is: arguments are an object."""
    steps = (at for at, segment in enumerate(path) if at and (segment == "*" or INDEX.fullmatch(segment)))
    return next(steps, len(path))


def _names(names: Iterable[str]) -> str:
    listed = [f"{literal.string(name)}: true" for name in names]
    if len(listed) < 2:
        return "{" + "".join(listed) + "}"
    return "{\n" + "".join(f"\t{name},\n" for name in listed) + "}"
