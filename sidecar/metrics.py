"""What the gateway counts, as Prometheus reads it. Pure but for the process's own figures; nothing is asked here.

Labels are names of the operator's own and words of ours: no client can add to them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sidecar.health import Health
from sidecar.tally import Tally, Times

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_KINDS = frozenset(
    {"hidden", "default deny", "no policy", "invalid arguments", "unavailable", "closed", "approval required"}
    | {"require", "deny_if", "limits", "require_approval"}
)
_RESULTS = frozenset({"result", "error", "http_error", "unreachable", "unknown"})


@dataclass(frozen=True, slots=True)
class Gauges:
    """How things stand at one moment. What cannot be known is None, and is left out.

    `in_flight` and `sessions` are by server: calls and other requests that wait for its answer, and conversations
    that the gateway itself has open with it (a process, or a stream, each).
    """

    version: str
    health: Health
    in_flight: Mapping[str, int]
    sessions: Mapping[str, int]
    connections: int
    approvals_pending: int | None
    audit_queued: int
    opa_restarts: int
    policies_loaded_at: datetime | None
    certificate_expires_at: datetime | None


def exposition(tally: Tally, gauges: Gauges) -> bytes:
    """The text that a scrape gets."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(tally, gauges))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, tally: Tally, gauges: Gauges) -> None:
        self._tally = tally
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        self._tally.add_up()
        yield from _counted(self._tally)
        yield from _standing(self._gauges)


def _counted(tally: Tally) -> Iterator[Metric]:
    calls = CounterMetricFamily("regate_calls", "Messages judged or refused.", labels=["server", "outcome", "rule"])
    for labels, count in _bounded(tally.calls).items():
        calls.add_metric(labels, count)
    yield calls
    results = CounterMetricFamily("regate_results", "How allowed calls ended.", labels=["server", "result"])
    ends: Counter[tuple[str, str]] = Counter()
    for (server, how), count in sorted(tally.results.items()):
        ends[server, how if how in _RESULTS else "other"] += count
    for ended, count in ends.items():
        results.add_metric(ended, count)
    yield results
    yield _histogram("regate_decision_seconds", "How long OPA took for a decision.", {(): tally.decisions})
    yield _histogram("regate_reservation_seconds", "How long the counters took for a call.", {(): tally.reservations})
    upstream: dict[tuple[str, ...], Times] = {(server,): times for server, times in sorted(tally.upstream.items())}
    yield _histogram("regate_upstream_seconds", "How long a server took for an allowed call.", upstream, ["server"])


def _bounded(calls: Mapping[tuple[str, str, str], int]) -> Mapping[tuple[str, str, str], int]:
    found: Counter[tuple[str, str, str]] = Counter()
    for (server, outcome, stopped_by), count in sorted(calls.items()):
        known = stopped_by.replace(" ", "_") if stopped_by in _KINDS or not stopped_by else "other"
        found[server, outcome, known] += count
    return found


def _histogram(
    name: str, help_: str, times: Mapping[tuple[str, ...], Times], labels: Iterable[str] = ()
) -> HistogramMetricFamily:
    made = HistogramMetricFamily(name, help_, labels=list(labels))
    for values, each in times.items():
        buckets, total = [], 0
        for bound, count in zip((*map(str, each.bounds_s), "+Inf"), each.counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        made.add_metric(list(values), buckets, each.sum_s)
    return made


def _standing(now: Gauges) -> Iterator[Metric]:
    health = now.health
    yield InfoMetricFamily("regate_build", "The version that runs.", value={"version": now.version})
    yield _gauge("regate_ready", "Whether calls can be judged, counted and recorded.", health.ready)
    yield _by_server("regate_in_flight", "Requests that wait for a server's answer.", now.in_flight)
    yield _by_server("regate_sessions", "Processes or streams that the gateway holds open to a server.", now.sessions)
    yield _gauge("regate_connections", "Connections of clients.", now.connections)
    if now.approvals_pending is not None:
        yield _gauge("regate_approvals_pending", "Calls that wait for a person.", now.approvals_pending)
    yield _gauge("regate_opa_up", "Whether OPA answers.", health.opa is not None)
    yield CounterMetricFamily("regate_opa_restarts", "How often OPA was started again.", value=now.opa_restarts)
    yield _gauge("regate_store_writable", "Whether the store can be written.", not health.store_problem)
    yield _gauge("regate_audit_healthy", "Whether the audit log can be written.", health.audit_healthy)
    yield _gauge("regate_audit_queued", "Audit records that are not written yet.", now.audit_queued)
    info = InfoMetricFamily("regate_policy", "The revision that was made of a policy's file.", labels=["policy"])
    in_force = GaugeMetricFamily(
        "regate_policy_in_force", "Whether OPA holds that revision, and the file is as it was.", labels=["policy"]
    )
    used = health.source is None or not health.source.stale
    for policy in health.policies:
        held = (health.opa or {}).get(policy.id) == policy.revision is not None
        info.add_metric([policy.id], {"revision": policy.revision or ""})
        in_force.add_metric([policy.id], float(used and held and not policy.problem))
    yield info
    yield in_force
    if health.source is not None:
        yield _gauge("regate_bundle_in_force", "Whether calls are decided by the bundle.", not health.source.stale)
        if health.source.age_s is not None:
            yield _gauge("regate_bundle_age_seconds", "Since the bundle's source confirmed it.", health.source.age_s)
    for name, help_, at in (
        ("regate_policies_loaded_timestamp_seconds", "When the policies were loaded last.", now.policies_loaded_at),
        ("regate_certificate_expiry_timestamp_seconds", "When TLS's certificate ends.", now.certificate_expires_at),
    ):
        if at is not None:
            yield _gauge(name, help_, at.timestamp())


def _gauge(name: str, help_: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_, value=float(value))


def _by_server(name: str, help_: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    made = GaugeMetricFamily(name, help_, labels=["server"])
    for server, value in sorted(values.items()):
        made.add_metric([server], value)
    return made
