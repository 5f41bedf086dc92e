"""What no place shows by itself: counters that clash, and rule ids past all measure. Reads the model only."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from translator import naming
from translator.model import Limit, Policy, Rules
from translator.report import Report, quote

MAX_RULE_ID_CHARS = 16_000_000
"""Ids repeat the name of their tool; together they must not outgrow the document by orders."""
MAX_RULES = 20_000
"""Rules and conditions of one policy, ten times what the largest server known asks for. OPA takes 20 kB for each."""
_Counter: TypeAlias = tuple[str, str, int]
_Increment: TypeAlias = "tuple[tuple[str, ...] | None, object]"


@dataclass(frozen=True, slots=True)
class _Use:
    """One limit where it stands. `tool` is None for all tools."""

    tool: str | None
    rule: str
    limit: Limit

    @property
    def increment(self) -> _Increment:
        limit = self.limit
        return limit.amount_path, limit.increment.value if limit.amount_path is None else limit.as_number


@dataclass(slots=True)
class _Seen:
    """The earlier uses of one counter."""

    first: _Use
    everywhere: set[_Increment] = field(default_factory=set)
    by_tool: dict[str | None, set[_Increment]] = field(default_factory=dict)

    def differs(self, use: _Use) -> bool:
        """Does an earlier use that meets `use` on a tool count otherwise?"""
        met = self.everywhere if use.tool is None else self.by_tool.get(use.tool, set()) | self.by_tool.get(None, set())
        return bool(met - {use.increment})

    def add(self, use: _Use) -> None:
        """Takes `use` up."""
        self.everywhere.add(use.increment)
        self.by_tool.setdefault(use.tool, set()).add(use.increment)


def check(policy: Policy, report: Report) -> None:
    """Reports what is wrong between the rules of the policy. Source: policy-semantics, sections 7 and 15.11."""
    if _is_bounded(policy, report):
        _clashes(policy, report)


def _places(policy: Policy) -> Iterator[tuple[str | None, Rules]]:
    yield from policy.tools.items()
    yield None, policy.all_tools


def _is_bounded(policy: Policy, report: Report) -> bool:
    left, rules_left = MAX_RULE_ID_CHARS, MAX_RULES
    for tool, rules in _places(policy):
        items = (*rules.require, *rules.deny_if, *rules.require_approval)
        rules_left -= len(rules.limits) + sum(max(1, len(item.conditions)) for item in items)
        left -= (len(items) + len(rules.limits)) * len(naming.place(tool))
        if rules.at is None or min(left, rules_left) >= 0:
            continue
        if rules_left < 0:
            message = f"with it the policy has more than {MAX_RULES} rules and conditions"
            report.add(rules.at, message, "split the policy, or write rules of many tools once, in all_tools")
        else:
            report.add(rules.at, "its name is too long for so many rules", "shorten the name or merge rules")
        return False
    return True


def _clashes(policy: Policy, report: Report) -> None:
    seen: dict[_Counter, _Seen] = {}
    for use in sorted(_uses(policy), key=lambda each: each.limit.at.start):
        limit = use.limit
        counter = (limit.scope, limit.counter, limit.window_s)
        earlier = seen.setdefault(counter, _Seen(use))
        other = earlier.first.limit
        named = f"the counter {quote(limit.counter)}"
        if (limit.amount_path is None) != (other.amount_path is None):
            message = f"{named} is used both for counts and for spend"
        elif earlier.differs(use):
            message = f"{named} meets another increment of itself on one tool"
        else:
            earlier.add(use)
            continue
        report.add(limit.at, message, "give one of them a counter of its own", rule=use.rule)


def _uses(policy: Policy) -> Iterator[_Use]:
    for tool, rules in _places(policy):
        ids = naming.rule_ids(naming.place(tool), rules, "limits")
        for rule, limit in zip(ids, rules.limits, strict=True):
            yield _Use(tool, rule, limit)
