import pytest

from sidecar.core.record import AuditRecord
from sidecar.tally import LOT, Tally, Times, kind


def _record(outcome: str, rule: str = "", result: str = "") -> AuditRecord:
    return AuditRecord("", "s", "g", "tools/call", "t", (), "p", "r", outcome, rule, "", result)


@pytest.mark.parametrize(
    ("outcome", "rule", "expected"),
    [
        ("deny", "(hidden)", "hidden"),
        ("deny", "(default deny)", "default deny"),
        ("deny", "(unavailable)", "unavailable"),
        ("deny", "/tools/pay/deny_if/args.amount-gt", "deny_if"),
        ("deny", "/tools/a~1b/require/args.x-exists", "require"),
        ("deny", "/all_tools/limits/calls-per-minute", "limits"),
        ("approval_required", "/tools/pay/require_approval/always", "approval required"),
        ("deny", "/tools/pay", "unavailable"),
        ("deny", "", "unavailable"),
    ],
)
def test_kind_of_a_denial_comes_from_its_rule(outcome: str, rule: str, expected: str) -> None:
    assert kind(outcome, rule) == expected


def test_tally_counts_by_outcome_and_kind() -> None:
    tally = Tally()
    for record in (
        _record("allow", result="result"),
        _record("allow", result="unreachable"),
        _record("deny", "(hidden)"),
        _record("deny", "/tools/a/limits/x"),
        _record("deny", "/all_tools/limits/y"),
        _record("refused"),
    ):
        tally.count(record)
    tally.decisions.took(0.001)
    tally.decisions.took(0.003)
    assert tally.document() == {
        "allowed": 2,
        "denied": 3,
        "denied_by": {"hidden": 1, "limits": 2},
        "refused": 1,
        "upstream_failures": 1,
        "decisions": 2,
        "decision_ms": {"mean": 2.0, "max": 3.0},
    }


def test_tally_of_nothing_is_zeros() -> None:
    assert Tally().document()["decision_ms"] == {"mean": 0.0, "max": 0.0}


def test_times_fall_into_the_first_bound_that_is_no_less() -> None:
    times = Times((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.2, 5.0):
        times.took(seconds)
    times.add_up()
    times.add_up()
    assert times.counts == [2, 1, 1]
    assert times.sum_s == pytest.approx(5.35)
    assert times.slowest_s == 5.0


def test_tally_notes_how_long_each_server_took() -> None:
    tally = Tally()
    tally.answered("git")(0.2)
    tally.answered("git")(0.3)
    tally.answered("web")(0.1)
    tally.add_up()
    assert {server: sum(times.counts) for server, times in tally.upstream.items()} == {"git": 2, "web": 1}


def test_tally_is_added_up_lot_by_lot_without_being_asked() -> None:
    tally = Tally()
    for _ in range(LOT + 1):
        tally.decisions.took(0.001)
        tally.count(_record("allow", result="result"))
    assert tally.calls == {("s", "allow", ""): LOT}
    assert tally.results == {("s", "result"): LOT}
    assert sum(tally.decisions.counts) == LOT
    tally.add_up()
    assert tally.calls == {("s", "allow", ""): LOT + 1}
