"""The lint about a policy that lets nothing pass, and the count of the tools that may be called at all."""

from collections.abc import Set as AbstractSet

from translator.lint.codes import PERMITS_NOTHING
from translator.lint.subject import Subject, tell
from translator.model import Limit
from translator.report import Report


def lint(subject: Subject, denied: AbstractSet[str | None], report: Report) -> int | None:
    """How many of the server's tools the policy may let pass, an approval included; None when there is no inventory.

    `denied` are the tools (None: all) that their own rules deny always. Tells when nothing may pass.
    """
    if not subject.whole:
        return None
    policy, inventory = subject.policy, subject.inventory
    empty = {section.tool for section in subject.sections if any(_is_zero(cap.limit) for cap in section.caps)}
    shut = denied | empty
    none = None in shut or "*" in policy.hide
    hidden = frozenset(policy.hide)

    def passes(tool: str) -> bool:
        return (
            not none and tool not in hidden and tool not in shut and (policy.default == "allow" or tool in policy.tools)
        )

    known = list(policy.tools) if inventory is None else list(inventory.tools)
    count = sum(map(passes, known))
    if inventory is None:
        if none or (count == 0 and policy.default == "deny"):
            tell(report, PERMITS_NOTHING, subject.root, "this policy permits no call of any tool", _hint(none))
        return None
    if count == 0 and known:
        tell(report, PERMITS_NOTHING, subject.root, f"this policy permits 0 of {len(known)} tools", _hint(none))
    return count


def _is_zero(limit: Limit) -> bool:
    """Does the limit leave no room for a single call?"""
    return limit.amount_path is None and limit.increment.value > limit.max.value


def _hint(everywhere: bool) -> str:
    return "look at hide and all_tools" if everywhere else "list the tools that are to pass under tools"
