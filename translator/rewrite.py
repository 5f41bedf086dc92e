"""What both YAML dialects share: rules become lists, standing where the rules stood. Knows no dialect's rules.

Because each node stands where the text stands that it was made from, whatever reads the rewritten tree tells its faults
by the pointers, lines and columns of the document as written.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from translator.members import array, members
from translator.model import WINDOW_SECONDS
from translator.number import OUT_OF_RANGE, number
from translator.report import Report, quote
from translator.tree import Node, Value

ALL_TOOLS = "*"
_ROOT = ("version", "description", "default", "hide", "tools")
_PER_WINDOW = re.compile(r"([0-9]++)/(minute|hour|day)")


@dataclass(slots=True)
class Draft:
    """The rules of one tool, or of all, while they are made. `scope` begins the names of its counters."""

    tool: str
    report: Report
    remarks: Report
    require: list[Node] = field(default_factory=list)
    deny_if: list[Node] = field(default_factory=list)
    require_approval: list[Node] = field(default_factory=list)
    limits: list[Node] = field(default_factory=list)

    @property
    def scope(self) -> str:
        return "_global" if self.tool == ALL_TOOLS else self.tool

    def node(self, at: Node) -> Node:
        """The object with the lists that are not empty."""
        names = ("require", "deny_if", "require_approval", "limits")
        return standing(at, {name: standing(at, held) for name in names if (held := getattr(self, name))})


Rules: TypeAlias = Callable[[Sequence[Node], Draft], None]
"""Puts the rules of one tool into its draft."""


def standing(at: Node, value: Value) -> Node:
    """A value that stands where `at` does."""
    return Node(value, at.start, at.key, at.key_start, at.parent)


def given(at: Node, held: "Mapping[str, Node | None]") -> Node:
    """An object of the members that are given."""
    return standing(at, {name: node for name, node in held.items() if node is not None})


def policy(root: Node, rules: Rules, report: Report, remarks: Report) -> Node:
    """The tree of a policy, made of a YAML document. `rules` knows the dialect.

    Source: policy-semantics, section 10.
    """
    found = members(root, _ROOT, report)
    if found is None:
        return root
    made = {name: found.find(name) for name in _ROOT}
    made["default"] = made["default"] or standing(root, "allow")
    tools = made["tools"]
    if tools is not None and isinstance(tools.value, dict):
        drafts = {name: _tool(name, node, rules, report, remarks) for name, node in tools.value.items()}
        made["all_tools"] = drafts.pop(ALL_TOOLS, None)
        made["tools"] = standing(tools, drafts)
    return given(root, made)


def _tool(name: str, node: Node, rules: Rules, report: Report, remarks: Report) -> Node:
    draft = Draft(name, report, remarks)
    found = members(node, ("rules",), report)
    listed = found.find("rules") if found else None
    if listed is not None:
        rules(array(listed, report), draft)
    return draft.node(node)


def per_window(node: Node, draft: Draft) -> "dict[str, Node] | None":
    """The members of a limit that `N/window` stands for; None, and a fault, when the text is none."""
    text = node.value
    if not isinstance(text, str):
        draft.report.wrong_type(node, "a limit such as 10/minute")
        return None
    match = _PER_WINDOW.fullmatch(text)
    if match is None:
        hint = f"write a count, a slash and one of {', '.join(WINDOW_SECONDS)}: 10/minute"
        draft.report.add(node, f"{quote(text)} is no limit", hint)
        return None
    most = number(match[1].lstrip("0") or "0")
    if most is None:
        draft.report.fault(node, *OUT_OF_RANGE)
    elif not most.value:
        draft.report.add(node, "must allow at least 1 call", "to allow none, deny the tool")
    else:
        counter = f"{draft.scope}._rate_{match[2]}"
        values: dict[str, Value] = {"counter": counter, "window": match[2], "max": most, "scope": "grant"}
        return {name: standing(node, value) for name, value in values.items()}
    return None


def once(counters: "dict[object, Node]", counter: object, name: str, rule: Node, draft: Draft) -> None:
    """Reports the rule when an earlier one of the tool has this counter."""
    first = counters.setdefault(counter, rule)
    if first is not rule:
        message = f"the counter {quote(name)} is already that of rule {first.key}"
        draft.report.add(rule, message, "merge the two rules")
