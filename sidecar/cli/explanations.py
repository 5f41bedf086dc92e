"""An explanation, as lines for people and as a document for programs. Explains nothing itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from translator.emit import path_text
from translator.explain import condition as condition_text
from translator.literal import number, string
from translator.program import Condition, Guard, Step

if TYPE_CHECKING:
    from sidecar.proving.call import Call
    from sidecar.proving.explanation import Counter, Explanation
    from sidecar.proving.probes import Rule

_REQUIRES = (Step.TOOL_REQUIRE, Step.ALL_REQUIRE)
_APPROVALS = (Step.TOOL_APPROVAL, Step.ALL_APPROVAL)
_SHOWN = 80
_VALUES = 5
_OUTCOME = {"allow": "is allowed", "deny": "is denied", "approval_required": "waits for a person"}


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation with what it is about."""

    policy: str
    revision: str
    call: "Call"
    explanation: "Explanation"


def lines(about: Explained) -> Iterator[str]:
    """What to print for people."""
    found = about.explanation
    yield from _head(about)
    if found.rules:
        yield "rules, in order"
    for rule in found.rules:
        decides = "   <- decides" if rule.item.rule == found.verdict.decision.rule else ""
        yield f"  {_verdict(rule, found):<12} {rule.item.rule}{decides}"
        for entry in _conditions(rule, about.call):
            values = ", ".join(entry["found"]) or "nothing"
            yield f"               {entry['condition']}: {entry['result']}; found {values}"
    if found.counters:
        yield "counters"
    for counter in found.counters:
        yield f"  {_counter(counter)}"
    if found.verdict.decision.outcome != "allow":
        yield "would pass with" if found.nearest else "no change of the arguments was found that would pass"
    for passing in found.nearest:
        yield f"  {' and '.join(passing.words)}   {_cut(passing.arguments.decode())}"


def _head(about: Explained) -> Iterator[str]:
    verdict, approved = about.explanation.verdict, about.explanation.approved
    decision = verdict.decision
    yield f"{string(about.call.tool)} {_OUTCOME[decision.outcome]} under policy {about.policy} {about.revision}"
    if decision.rule:
        yield f"  rule     {decision.rule}"
        yield f"  message  {decision.message}"
    if verdict.retry_at:
        yield f"  retry    at {verdict.retry_at}"
    if approved is not None:
        why = f" by {approved.decision.rule}: {approved.decision.message}" if approved.decision.rule else ""
        yield f"  once approved it {_OUTCOME[approved.decision.outcome]}{why}"


def document(about: Explained) -> dict[str, Any]:
    """What to print for programs, for msgspec to encode: numbers are as exact as the policy's and the call's."""
    found = about.explanation
    decision = found.verdict.decision
    return {
        "policy": about.policy,
        "revision": about.revision,
        "tool": about.call.tool,
        "outcome": decision.outcome,
        "rule": decision.rule,
        "message": decision.message,
        "retry_at": found.verdict.retry_at,
        "approved": None if found.approved is None else _answer(found.approved.decision),
        "rules": [
            {
                "rule": rule.item.rule,
                "verdict": _verdict(rule, found),
                "decides": rule.item.rule == decision.rule,
                "conditions": list(_conditions(rule, about.call)),
            }
            for rule in found.rules
        ],
        "counters": [
            {
                "rule": counter.limit.rule,
                "counter": counter.limit.counter,
                "window": counter.limit.window,
                "scope": counter.limit.scope,
                "takes": None if counter.amount is None else _exact(counter.amount),
                "stands_at": _exact(counter.stands_at),
                "max": _exact(counter.limit.max.value),
                "window_end": _moment(counter.window_end),
            }
            for counter in found.counters
        ],
        "would_pass": [
            {"changes": list(passing.words), "arguments": msgspec.Raw(passing.arguments)} for passing in found.nearest
        ],
    }


def _answer(decision: Any) -> dict[str, str]:
    return {"outcome": decision.outcome, "rule": decision.rule, "message": decision.message}


def _verdict(rule: "Rule", found: "Explanation") -> str:
    if not isinstance(rule.item, Guard):
        if rule.stops:
            return "uncountable"
        return "fits" if any(each.limit is rule.item and each.fits for each in found.counters) else "full"
    if rule.item.step in _REQUIRES:
        return "fails" if rule.stops else "holds"
    if rule.item.step in _APPROVALS:
        return "asks" if rule.stops else "asks not"
    return "fires" if rule.stops else "passes"


def _conditions(rule: "Rule", call: "Call") -> Iterator[dict[str, Any]]:
    if isinstance(rule.item, Guard):
        for condition, truth in zip(rule.item.conditions, rule.conditions, strict=True):
            yield {"condition": condition_text(condition), "result": truth, "found": _found(condition, call)}


def _found(condition: Condition, call: "Call") -> list[str]:
    """The values at the condition's path, as JSON text, cut short: they are the caller's own."""
    from sidecar.proving.tree import found, read, written

    judged = call.judged()
    if judged.arguments_fault is not None:
        return []
    values = found(read(judged.arguments_raw), condition.path)
    texts = [_cut(written(node).decode()) for _, node in values[:_VALUES]]
    return [*texts, f"and {len(values) - _VALUES} more"] if len(values) > _VALUES else texts


def _counter(counter: "Counter") -> str:
    limit = counter.limit
    window = f"{limit.window} seconds" if isinstance(limit.window, int) else limit.window
    amount = f"{path_text(limit.amount_path)}, which cannot be counted" if limit.amount_path is not None else "nothing"
    takes = amount if counter.amount is None else number(counter.amount)
    stands = f"stands at {number(counter.stands_at)} of {number(limit.max.value)} until {_moment(counter.window_end)}"
    return f"{string(limit.counter)} per {window} and {limit.scope}: takes {takes}, {stands}"


def _exact(amount: Decimal) -> msgspec.Raw:
    return msgspec.Raw(number(amount).encode())


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
