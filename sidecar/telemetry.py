"""The operator's log, on stderr, and the tally of calls. No secret and no argument value is given to either."""

import logging
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, TextIO

from sidecar.core.decision import UNAVAILABLE
from sidecar.core.record import AuditRecord

Level = Literal["debug", "info", "warning", "error"]


def configure(level: Level = "info", stream: TextIO | None = None) -> None:
    """Sends what is logged from `level` up to `stream` (stderr): as text on a terminal, else as JSON lines."""
    with _without_rich():
        import structlog

    out = stream if stream is not None else sys.stderr
    pretty = out.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty),
            _one_line,
            structlog.dev.ConsoleRenderer(colors=pretty) if pretty else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=_Lines(out),
        cache_logger_on_first_use=True,
    )


class _Lines:
    """Writes a line at a time. Its reader may leave: a line that nobody can read ends no call."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, *_names: object) -> "_Lines":
        return self

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = info = warning = error = critical = write


@contextmanager
def _without_rich() -> Iterator[None]:
    """structlog takes 0.25 s to load rich, which only draws tracebacks; we print none."""
    if "structlog" in sys.modules or "rich" in sys.modules:
        yield
        return
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["rich"]


def _one_line(_logger: Any, _method: str, event: Any) -> Any:
    """An exception becomes its kind; its text and its stack may hold values."""
    error = event.pop("exc_info", None)
    if error:
        found = error if isinstance(error, BaseException) else sys.exc_info()[1]
        event["error"] = type(found).__name__
    return event


class Tally:
    """Counts of what happened to calls since the gateway started. Forgotten at its end; the audit log is not."""

    def __init__(self) -> None:
        self.allowed = 0
        self.refused = 0
        self.upstream_failures = 0
        self.denied: Counter[str] = Counter()
        self.decisions = 0
        self._decision_s = 0.0
        self._slowest_s = 0.0

    def count(self, record: AuditRecord) -> None:
        """Adds one audited call."""
        if record.outcome == "allow":
            self.allowed += 1
            self.upstream_failures += record.result in ("unreachable", "unknown", "http_error")
        elif record.outcome == "refused":
            self.refused += 1
        else:
            self.denied[kind(record.outcome, record.rule)] += 1

    def took(self, decision_s: float) -> None:
        """Adds the time that one decision took."""
        self.decisions += 1
        self._decision_s += decision_s
        self._slowest_s = max(self._slowest_s, decision_s)

    def document(self) -> dict[str, Any]:
        """The counts as a JSON document. Units: decision times in milliseconds."""
        mean_s = self._decision_s / self.decisions if self.decisions else 0.0
        return {
            "allowed": self.allowed,
            "denied": sum(self.denied.values()),
            "denied_by": dict(sorted(self.denied.items())),
            "refused": self.refused,
            "upstream_failures": self.upstream_failures,
            "decisions": self.decisions,
            "decision_ms": {"mean": round(mean_s * 1000, 3), "max": round(self._slowest_s * 1000, 3)},
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
