"""Counts of what happened to calls since the gateway started, and how long it took. No argument value is given to it.

Counting is on the path of every call, so it is a few additions here, and `metrics` makes what others read of them.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sidecar.core.decision import UNAVAILABLE
from sidecar.core.record import AuditRecord
from sidecar.ports import AuditLog

QUICK_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
SLOW_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Bounds for what is done on this machine, and for what a server does."""

_FAILURES = frozenset({"unreachable", "unknown", "http_error"})


class Times:
    """How often something took how long: `counts[i]` times no longer than `bounds_s[i]`, the last one longer."""

    __slots__ = ("bounds_s", "counts", "slowest_s", "sum_s")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self.bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0
        self.slowest_s = 0.0

    def took(self, seconds: float) -> None:
        """Adds one."""
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        self.sum_s += seconds
        if seconds > self.slowest_s:
            self.slowest_s = seconds


class Tally:
    """What happened since the gateway started. Forgotten at its end; the audit log is not.

    `calls` has server, outcome and kind of rule for its keys, `results` server and how an allowed call ended.
    """

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self.results: Counter[tuple[str, str]] = Counter()
        self.decisions = Times(QUICK_S)
        self.reservations = Times(QUICK_S)
        self.upstream: dict[str, Times] = {}

    def count(self, record: AuditRecord) -> None:
        """Adds one audited call."""
        outcome = record.outcome
        if outcome == "allow":
            self.calls[record.server, "allow", ""] += 1
            self.results[record.server, record.result] += 1
        elif outcome == "refused":
            self.calls[record.server, "refused", ""] += 1
        else:
            self.calls[record.server, outcome, kind(outcome, record.rule)] += 1

    def answered(self, server: str) -> Callable[[float], None]:
        """Where it is noted how long a server took for a call."""
        return self.upstream.setdefault(server, Times(SLOW_S)).took

    def document(self) -> dict[str, Any]:
        """The counts as a JSON document. Units: decision times in milliseconds."""
        outcomes: Counter[str] = Counter()
        denied: Counter[str] = Counter()
        for (_, outcome, stopped_by), count in self.calls.items():
            outcomes[outcome] += count
            if stopped_by:
                denied[stopped_by] += count
        decisions = sum(self.decisions.counts)
        mean_s = self.decisions.sum_s / decisions if decisions else 0.0
        return {
            "allowed": outcomes["allow"],
            "denied": denied.total(),
            "denied_by": dict(sorted(denied.items())),
            "refused": outcomes["refused"],
            "upstream_failures": sum(count for (_, how), count in self.results.items() if how in _FAILURES),
            "decisions": decisions,
            "decision_ms": {"mean": round(mean_s * 1000, 3), "max": round(self.decisions.slowest_s * 1000, 3)},
        }


class TalliedAudit:
    """An audit log that counts what passes."""

    def __init__(self, log: AuditLog, tally: Tally) -> None:
        self._log = log
        self._tally = tally

    def append(self, record: AuditRecord) -> None:
        self._tally.count(record)
        self._log.append(record)

    @property
    def healthy(self) -> bool:
        return self._log.healthy

    async def close(self) -> None:
        await self._log.close()


def kind(outcome: str, rule: str) -> str:
    """What stopped a call, in a word: `hidden`, `default deny`, `unavailable`, `require`, `limits`, and so on.

    Shape: rule is a rule id of policy-semantics, section 3: `(hidden)`, `/tools/<tool>/<list>/<name>` or
    `/all_tools/<list>/<name>`.
    """
    if outcome == "approval_required":
        return "approval required"
    if rule.startswith("("):
        return rule.strip("()")
    parts = rule.split("/")
    place = {"tools": 3, "all_tools": 2}.get(parts[1] if len(parts) > 1 else "", 0)
    return parts[place] if 0 < place < len(parts) else UNAVAILABLE.strip("()")
