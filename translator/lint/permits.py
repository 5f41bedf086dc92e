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
    if not subject.whole or subject.inventory is None:
        return None
    policy, known = subject.policy, subject.inventory.tools
    empty = {section.tool for section in subject.sections if any(_is_zero(cap.limit) for cap in section.caps)}
    shut = denied | empty
    nothing = None in shut or "*" in policy.hide
    hidden = frozenset(policy.hide)
    open_ = [name for name in known if policy.default == "allow" or name in policy.tools]
    count = 0 if nothing else sum(name not in hidden and name not in shut for name in open_)
    if count == 0 and known:
        hint = "look at hide and all_tools" if nothing else "list the tools that are to pass under tools"
        tell(report, PERMITS_NOTHING, subject.root, f"this policy permits 0 of {len(known)} tools", hint)
    return count


def _is_zero(limit: Limit) -> bool:
    """Does the limit leave no room for a single call?"""
    return limit.amount_path is None and limit.increment.value > limit.max.value
