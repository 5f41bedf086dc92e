"""Counts of what happened to calls since the gateway started, and how long it took. No argument value is given to it.

What is on the path of every call is kept short: all is counted in lots, at the latest before anybody reads.
`metrics` makes what others read of them.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Any

from sidecar.core.decision import UNAVAILABLE
from sidecar.core.record import Entry

QUICK_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
SLOW_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Bounds for what is done on this machine, and for what a server does."""

LOT = 256
_told = attrgetter("server", "outcome", "rule", "result")
_FAILURES = frozenset({"unreachable", "unknown", "http_error"})


class Times:
    """How often something took how long: `counts[i]` times no longer than `bounds_s[i]`, the last one longer.

    `took` adds one, in seconds; `add_up` sorts what it was told.
    """

    __slots__ = ("_fresh", "bounds_s", "counts", "slowest_s", "sum_s", "took")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self.bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0
        self.slowest_s = 0.0
        self._fresh: list[float] = []
        self.took = self._fresh.append

    def add_up(self) -> None:
        """Counts what was told since the last time."""
        fresh = sorted(self._fresh)
        self._fresh.clear()
        if fresh:
            ends = [bisect_right(fresh, bound) for bound in self.bounds_s]
            for index, (begin, end) in enumerate(pairwise([0, *ends, len(fresh)])):
                self.counts[index] += end - begin
            self.sum_s += sum(fresh)
            self.slowest_s = max(self.slowest_s, fresh[-1])


class Tally:
    """What happened since the gateway started. Forgotten at its end; the audit log is not.

    `add_up` first, then `calls` has the counts by server, outcome and kind of rule, `results` those by server and how
    an allowed call ended.
    """

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self.results: Counter[tuple[str, str]] = Counter()
        self.decisions = Times(QUICK_S)
        self.reservations = Times(QUICK_S)
        self.upstream: dict[str, Times] = {}
        self._fresh: list[Entry] = []

    def count(self, entry: Entry) -> None:
        """Adds one audited call."""
        self._fresh.append(entry)
        if len(self._fresh) >= LOT:
            self.add_up()

    def add_up(self) -> None:
        """Counts what was added since the last time."""
        fresh = Counter(map(_told, [entry.record() for entry in self._fresh]))
        self._fresh.clear()
        for (server, outcome, rule, result), count in fresh.items():
            stopped_by = "" if outcome in ("allow", "refused") else kind(outcome, rule)
            self.calls[server, outcome, stopped_by] += count
            if outcome == "allow":
                self.results[server, result] += count
        for times in (self.decisions, self.reservations, *self.upstream.values()):
            times.add_up()

    def answered(self, server: str) -> Callable[[float], None]:
        """Where it is noted how long a server took for a call."""
        return self.upstream.setdefault(server, Times(SLOW_S)).took

    def document(self) -> dict[str, Any]:
        """The counts as a JSON document. Units: decision times in milliseconds."""
        self.add_up()
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
