"""What a lint looks at: a policy with its positions, the parts of it without problems, and a server's tools."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from translator import naming
from translator.inventory import Inventory
from translator.lint.codes import Lint
from translator.lower import REQUIRES_APPROVAL
from translator.model import Item, Limit, ListName, Policy, Rules
from translator.program import Condition
from translator.recommend import BLOCKED
from translator.report import Report
from translator.tree import Node

APPROVAL_TEXTS = (REQUIRES_APPROVAL, BLOCKED)
"""Texts of unconditional denials that a gateway may be told to take for approvals."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An item where it stands, with its id and the node of each of its conditions."""

    id: str
    list: ListName
    item: Item
    nodes: tuple[Node, ...]

    @property
    def conditions(self) -> Iterator[tuple[Condition, Node]]:
        """Each condition with its node."""
        return zip(self.item.conditions, self.nodes, strict=True)


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit where it stands, with its id. `tool` is None for all tools."""

    id: str
    tool: str | None
    limit: Limit


@dataclass(frozen=True, slots=True)
class Section:
    """The rules of one tool, or of all (None), in the order in which they are evaluated, approvals last."""

    tool: str | None
    at: Node
    rules: tuple[Rule, ...]
    caps: tuple[Cap, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """A policy to be looked at. Its `sections` are those without a problem; it is `whole` when there is none at all.

    `approval_map` lists the texts that are known to ask for an approval.
    """

    root: Node
    policy: Policy
    sections: tuple[Section, ...]
    whole: bool
    approval_map: tuple[str, ...] = ()
    inventory: Inventory | None = None

    def asks(self, rule: Rule) -> bool:
        """Does the rule surely ask for an approval?"""
        item = rule.item
        return rule.list == "require_approval" or (not item.conditions and item.text in filter(None, self.approval_map))

    def may_ask(self, rule: Rule) -> bool:
        """Might a gateway take the rule for an approval?"""
        return self.asks(rule) or (not rule.item.conditions and rule.item.text in APPROVAL_TEXTS)

    def member(self, name: str) -> Node | None:
        """The member of the policy's root."""
        return member(self.root, name)


def subject(
    root: Node, policy: Policy, report: Report, inventory: Inventory | None, approval_map: tuple[str, ...]
) -> Subject:
    """The subject; what `report` has problems with is left out of its sections."""
    faults = report.offsets()
    starts = _starts(root)
    places: list[tuple[str | None, Rules]] = [*policy.tools.items(), (None, policy.all_tools)]
    sections = tuple(
        _section(tool, rules, rules.at)
        for tool, rules in places
        if rules.at is not None and not _has_fault(rules.at, starts, faults)
    )
    return Subject(root, policy, sections, not faults, approval_map, inventory)


def member(node: Node, name: str) -> Node | None:
    """The member of the object at `node`; None when there is none."""
    return node.value.get(name) if isinstance(node.value, dict) else None


def tell(report: Report, lint: Lint, node: Node, message: str, hint: str = "", *, name: bool = False) -> None:
    """Puts one finding of a lint into the report; with `name` it is about the member's name."""
    report.advise(node, lint.code, lint.severity, message, hint, name=name)


def _starts(root: Node) -> list[int]:
    """Where the members of the root and the tools begin, in order."""
    tools = member(root, "tools")
    nodes = [
        each for parent in (root, tools) if parent and isinstance(parent.value, dict) for each in parent.value.values()
    ]
    return sorted(node.key_start for node in nodes)


def _has_fault(node: Node, starts: list[int], faults: list[int]) -> bool:
    """Is there a fault between the place where `node` begins and the next?"""
    after = bisect_left(starts, node.key_start + 1)
    end = starts[after] if after < len(starts) else None
    first = bisect_left(faults, node.key_start)
    return first < len(faults) and (end is None or faults[first] < end)


def _section(tool: str | None, rules: Rules, at: Node) -> Section:
    where = naming.place(tool)
    found: list[Rule] = []
    lists: tuple[ListName, ...] = ("require", "deny_if", "require_approval")
    for name in lists:
        items: tuple[Item, ...] = getattr(rules, name)
        ids = naming.rule_ids(where, rules, name)
        found += [Rule(id_, name, item, _nodes(item)) for id_, item in zip(ids, items, strict=True)]
    ids = naming.rule_ids(where, rules, "limits")
    caps = tuple(Cap(id_, tool, limit) for id_, limit in zip(ids, rules.limits, strict=True))
    return Section(tool, at, tuple(found), caps)


def _nodes(item: Item) -> tuple[Node, ...]:
    conditions = member(item.at, "conditions")
    if conditions is not None and isinstance(conditions.value, list):
        return tuple(conditions.value)
    return (item.at,) * len(item.conditions)
