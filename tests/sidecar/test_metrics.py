from dataclasses import replace
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from sidecar.core.record import AuditRecord
from sidecar.health import Health, PolicyState, SourceState
from sidecar.metrics import Gauges, exposition
from sidecar.tally import Tally

AT = datetime(2026, 1, 1, tzinfo=UTC)
HELD = Health([PolicyState("p", "f", "sha256:1")], {"p": "sha256:1"})
GAUGES = Gauges(
    version="0.1.0",
    health=HELD,
    in_flight={"git": 3},
    sessions={"git": 2},
    connections=5,
    approvals_pending=1,
    audit_queued=4,
    opa_restarts=6,
    policies_loaded_at=AT,
    certificate_expires_at=AT,
)


def samples(tally: Tally, gauges: Gauges = GAUGES) -> dict[str, float]:
    """What Prometheus's own parser makes of the text: `name{label=value,…}` to the value."""
    found = {}
    for family in text_string_to_metric_families(exposition(tally, gauges).decode()):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def record(outcome: str, rule: str = "", result: str = "", tool: str = "t") -> AuditRecord:
    return AuditRecord("", "git", "g", "tools/call", tool, ("secret",), "p", "r", outcome, rule, "no", result)


def test_calls_are_counted_by_server_outcome_and_kind_of_rule() -> None:
    tally = Tally()
    for each in (record("allow", result="result"), record("deny", "(default deny)"), record("refused")):
        tally.count(each)
    tally.count(record("deny", "/tools/pay/deny_if/args.amount-gt"))
    found = samples(tally)
    assert found["regate_calls_total{outcome=allow,rule=,server=git}"] == 1
    assert found["regate_calls_total{outcome=deny,rule=default_deny,server=git}"] == 1
    assert found["regate_calls_total{outcome=deny,rule=deny_if,server=git}"] == 1
    assert found["regate_calls_total{outcome=refused,rule=,server=git}"] == 1
    assert found["regate_results_total{result=result,server=git}"] == 1


def test_what_clients_and_policies_write_makes_no_further_series() -> None:
    tally = Tally()
    tally.count(record("deny", "(hidden)"))
    tally.count(record("allow", result="result"))
    few = samples(tally)
    for number in range(100):
        tally.count(record("deny", "(hidden)", tool=f"tool{number}"))
        tally.count(record("allow", result="result", tool=f"tool{number}"))
        tally.count(record("deny", f"/tools/x/{number}/y", tool=f"tool{number}"))
        tally.count(record("allow", result=f"result{number}"))
    many = samples(tally)
    assert set(many) - set(few) == {
        "regate_calls_total{outcome=deny,rule=other,server=git}",
        "regate_results_total{result=other,server=git}",
    }
    assert many["regate_calls_total{outcome=deny,rule=other,server=git}"] == 100
    assert many["regate_results_total{result=other,server=git}"] == 100
    assert "secret" not in exposition(tally, GAUGES).decode()


def test_times_are_cumulative_histograms() -> None:
    tally = Tally()
    for seconds in (0.0001, 0.003, 9.0):
        tally.decisions.took(seconds)
    tally.answered("git")(0.2)
    found = samples(tally)
    assert found["regate_decision_seconds_bucket{le=0.0005}"] == 1
    assert found["regate_decision_seconds_bucket{le=0.005}"] == 2
    assert found["regate_decision_seconds_bucket{le=2.0}"] == 2
    assert found["regate_decision_seconds_bucket{le=+Inf}"] == found["regate_decision_seconds_count"] == 3
    assert found["regate_decision_seconds_sum"] == 9.0031
    assert found["regate_upstream_seconds_count{server=git}"] == 1
    assert found["regate_reservation_seconds_count"] == 0


def test_gauges_say_how_things_stand() -> None:
    found = samples(Tally())
    assert found["regate_build_info{version=0.1.0}"] == 1
    assert found["regate_policy_info{policy=p,revision=sha256:1}"] == 1
    assert {name: value for name, value in found.items() if not name.startswith("process_") and value > 1} == {
        "regate_in_flight{server=git}": 3,
        "regate_sessions{server=git}": 2,
        "regate_connections": 5,
        "regate_audit_queued": 4,
        "regate_opa_restarts_total": 6,
        "regate_policies_loaded_timestamp_seconds": AT.timestamp(),
        "regate_certificate_expiry_timestamp_seconds": AT.timestamp(),
    }
    for name in ("ready", "opa_up", "store_writable", "audit_healthy", "policy_in_force{policy=p}"):
        assert found[f"regate_{name}"] == 1
    assert found["process_resident_memory_bytes"] > 0


def test_gauges_say_what_is_wrong() -> None:
    ill = Health([PolicyState("p", "f", "sha256:1"), PolicyState("q", "f", None)], None, "full", False)
    found = samples(Tally(), replace(GAUGES, health=ill))
    for name in ("ready", "opa_up", "store_writable", "audit_healthy"):
        assert found[f"regate_{name}"] == 0
    assert found["regate_policy_in_force{policy=p}"] == found["regate_policy_in_force{policy=q}"] == 0
    spoiled = replace(HELD, policies=[PolicyState("p", "f", "sha256:1", "line 3 is wrong")])
    assert samples(Tally(), replace(GAUGES, health=spoiled))["regate_policy_in_force{policy=p}"] == 0


def test_what_cannot_be_known_is_left_out() -> None:
    blind = replace(GAUGES, approvals_pending=None, policies_loaded_at=None, certificate_expires_at=None)
    assert set(samples(Tally())) - set(samples(Tally(), blind)) == {
        "regate_approvals_pending",
        "regate_policies_loaded_timestamp_seconds",
        "regate_certificate_expiry_timestamp_seconds",
    }


def test_gauges_of_a_bundle_say_its_age() -> None:
    fresh = replace(HELD, source=SourceState("https://h/b", "r", age_s=12.5))
    found = samples(Tally(), replace(GAUGES, health=fresh))
    assert (found["regate_bundle_in_force"], found["regate_bundle_age_seconds"]) == (1, 12.5)
    assert found["regate_policy_in_force{policy=p}"] == 1
    none = replace(HELD, source=SourceState("https://h/b", None, stale="There is none."))
    found = samples(Tally(), replace(GAUGES, health=none))
    assert (found["regate_bundle_in_force"], found["regate_policy_in_force{policy=p}"]) == (0, 0)
    assert "regate_bundle_age_seconds" not in found
