"""Lints about names of tools: unknown ones, patterns that are none, tools that are hidden or listed in vain."""

from collections.abc import Collection, Iterator

from translator.lint.codes import EMPTY_UNDER_ALLOW, GLOB_NAME, HIDDEN_TOOL, REDUNDANT_HIDE, UNKNOWN_TOOL
from translator.lint.subject import Subject, tell
from translator.nearest import Nearest
from translator.report import Report, quote
from translator.tree import Node

_SHOWN = 3
_GLOB_STEPS = 1_000_000


def lint(subject: Subject, report: Report) -> None:
    """Tells what the names of the policy's tools give away."""
    _unknown(subject, report)
    _hidden(subject, report)
    _empty(subject, report)


def _hide(subject: Subject) -> dict[str, Node]:
    node = subject.member("hide")
    elements = node.value if node is not None and isinstance(node.value, list) else []
    return {each.value: each for each in elements if isinstance(each.value, str)}


def _tools(subject: Subject) -> dict[str, Node]:
    node = subject.member("tools")
    return node.value if node is not None and isinstance(node.value, dict) else {}


def _unknown(subject: Subject, report: Report) -> None:
    known = subject.inventory.tools if subject.inventory is not None else None
    nearest = Nearest(known or ())
    globs = _Globs(known or ())
    for named, is_key in ((_hide(subject), False), (_tools(subject), True)):
        for name, node in named.items():
            if name == "*" or (known is not None and name in known):
                continue
            if "*" in name:
                message = f"{quote(name)} is one literal name, not a pattern"
                tell(report, GLOB_NAME, node, message, globs.hint(name), name=is_key)
            elif known is not None:
                near = nearest.to(name)
                hint = "names are compared exactly, upper and lower case too"
                hint = hint if near is None else f"did you mean {quote(near)}?"
                tell(report, UNKNOWN_TOOL, node, f"the server has no tool {quote(name)}", hint, name=is_key)


class _Globs:
    """Which known names a pattern would have meant."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._left = _GLOB_STEPS

    def hint(self, name: str) -> str:
        """What to write instead."""
        self._left -= len(self._known) * len(name)
        meant = [each for each in self._known if _matches(name, each)] if self._left > 0 else []
        if not meant:
            return "write every name out"
        more = f" and {len(meant) - _SHOWN} more" if len(meant) > _SHOWN else ""
        return f"write every name out: {', '.join(map(quote, meant[:_SHOWN]))}{more}"


def _matches(glob: str, name: str) -> bool:
    first, *middle, last = glob.split("*")
    at = len(first)
    if not name.startswith(first):
        return False
    for part in middle:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return name.endswith(last) and len(name) - len(last) >= at


def _hidden(subject: Subject, report: Report) -> None:
    hide, tools = _hide(subject), _tools(subject)
    star = hide.get("*")
    if star is None:
        for name in hide.keys() & tools.keys():
            message = f"{quote(name)} is hidden, so what stands here has no effect"
            tell(report, HIDDEN_TOOL, tools[name], message, "take it out of hide, or out of tools", name=True)
        return
    if tools:
        message = f'"*" hides every tool, so the entries of tools ({len(tools)}) have no effect'
        tell(report, HIDDEN_TOOL, star, message, 'hide by name, or leave it to "default": "deny"')
    for node in _others(hide, star):
        tell(report, REDUNDANT_HIDE, node, '"*" beside it hides every tool already', "remove one of them")


def _others(hide: dict[str, Node], star: Node) -> Iterator[Node]:
    return (node for node in hide.values() if node is not star)


def _empty(subject: Subject, report: Report) -> None:
    if subject.policy.default == "deny" or "*" in subject.policy.hide:
        return
    for section in subject.sections:
        name = section.tool
        if name is not None and name not in subject.policy.hide and not section.rules and not section.caps:
            message = f'{quote(name)} has no rules, and "default": "allow" lets every tool pass that is not listed'
            hint = 'if only listed tools are to pass, write "default": "deny"; else remove the entry'
            tell(report, EMPTY_UNDER_ALLOW, section.at, message, hint, name=True)
