"""The FAQ dialect: `action`, `reason` and `rate_limit` of a tool → items and limits of version "1".

Source: policy-semantics, sections 9 and 15.13.
"""

from dataclasses import dataclass
from enum import StrEnum

from translator.limits import MAX_COUNTER_CHARS, ONE, maximum, window_s
from translator.members import Members, members, word
from translator.model import WINDOW_SECONDS, Item, Limit, Window
from translator.report import Report, quote
from translator.tree import Node

MEMBERS = ("action", "reason", "rate_limit")
_RULES = ("require", "deny_if", "limits", "rate_limit", "require_approval")
_WORDS: dict[int, Window] = {60: "minute", 3600: "hour", 86400: "day"}


class Action(StrEnum):
    """What `action` may say."""

    ALLOW = "allow"
    DENY = "deny"
    HIDE = "hide"
    REQUIRE_APPROVAL = "require_approval"


_EXCLUDES: dict[Action, tuple[str, ...]] = {
    Action.ALLOW: (),
    Action.DENY: _RULES,
    Action.HIDE: _RULES,
    Action.REQUIRE_APPROVAL: ("require_approval",),
}


@dataclass(frozen=True, slots=True)
class Short:
    """What the short form of one tool stands for."""

    hide: bool = False
    deny_if: tuple[Item, ...] = ()
    require_approval: tuple[Item, ...] = ()
    limits: tuple[Limit, ...] = ()


def short(tool: str, found: Members, report: Report) -> Short:
    """The short form of the tool called `tool`; nothing where it has none."""
    node = found.find("action")
    reason = found.text("reason")
    limit = _rate_limit(tool, found.find("rate_limit"), report)
    limits = (limit,) if limit else ()
    if node is None:
        _refuse_reason(found, report)
        return Short(limits=limits)
    action = word(node, Action, report)
    if action is None:
        return Short(limits=limits)
    beside = [quote(name) for name in _EXCLUDES[action] if name in found]
    if beside:
        report.add(node, f"{quote(action)} excludes {', '.join(beside)}", "keep the action or the rules")
    if action is Action.ALLOW:
        _refuse_reason(found, report)
    item = (Item(node, (), reason),)
    return Short(
        hide=action is Action.HIDE,
        deny_if=item if action is Action.DENY else (),
        require_approval=item if action is Action.REQUIRE_APPROVAL else (),
        limits=limits,
    )


def _refuse_reason(found: Members, report: Report) -> None:
    node = found.find("reason")
    if node is not None and isinstance(node.value, str):
        report.add(node, "has no meaning without an action that stops calls", 'add "action": "deny"')


def _rate_limit(tool: str, node: Node | None, report: Report) -> Limit | None:
    found = members(node, ("max", "window"), report) if node else None
    if node is None or found is None:
        return None
    max_node, window_node = found.need("max"), found.need("window")
    most = maximum(max_node, True, report) if max_node else None
    span = window(window_node, report) if window_node else None
    counter = tool.lower() + "_rate"
    if len(counter) > MAX_COUNTER_CHARS:
        report.add(node, f"its counter would have more than {MAX_COUNTER_CHARS} characters", "write it as limits")
        return None
    if most is None or span is None:
        return None
    return Limit(node, counter, span, most, "session", ONE)


def window(node: Node, report: Report) -> Window | None:
    """The window that a count of seconds stands for; None, and a fault, for anything else."""
    if isinstance(node.value, str) and node.value in WINDOW_SECONDS:
        report.add(node, "must be a whole number of seconds", f"write {WINDOW_SECONDS[node.value]}")
        return None
    seconds = window_s(node, report)
    return None if seconds is None else _WORDS.get(seconds, seconds)
