from dataclasses import replace

import pytest

from bench import report
from bench.measure import Figures, Memory, Results

CHEAP = Figures(calls_per_s=1000, p50_us=100, p99_us=200, cpu_us=50, opa_us=0)


def results(**gateway: float) -> Results:
    figures = {}
    for work, number in (("tools/call", 1), ("tools/call", 8), ("tools/call", 64), ("tools/list", 1)):
        for name in report.TARGETS:
            figures[work, number, name] = replace(CHEAP, calls_per_s=1000.0 * number)
        figures[work, number, "gateway"] = replace(figures[work, number, "gateway"], **gateway)
    return Results(figures, Memory(30, 60, 50), 1.5)


def met(found: Results) -> dict[str, str]:
    return {row[0]: row[3] for row in report.goals(found)}


def test_report_has_a_row_for_each_way_and_a_line_for_each_goal() -> None:
    text = report.markdown(results(opa_us=100.0))
    assert len(report.rows(results())) == 12
    assert all(goal.text in text for goal in report.GOALS)
    assert "1.50 s" in text
    assert len({len(line) for line in text.split("\n\n")[0].splitlines()}) == 1


@pytest.mark.parametrize(
    ("gateway", "goal", "outcome"),
    [
        ({"cpu_us": 125.0}, "gateway CPU : forwarder CPU, 64 in flight", "met"),
        ({"cpu_us": 126.0}, "gateway CPU : forwarder CPU, 64 in flight", "missed"),
        ({"cpu_us": 150.0}, "gateway CPU : forwarder CPU, 1 in flight", "met"),
        ({"cpu_us": 151.0}, "gateway CPU : forwarder CPU, 1 in flight", "missed"),
        ({"opa_us": 100.0}, "OPA CPU per decision, 64 in flight : 1", "missed"),
        ({"calls_per_s": 1000.0}, "gateway calls/s, 64 in flight : 1", "missed"),
        ({}, "gateway calls/s, 64 in flight : 1", "met"),
        ({"p50_us": 400.0}, "p50 gateway : forwarder, 1 in flight", "met"),
        ({"p50_us": 401.0}, "p50 gateway : forwarder, 1 in flight", "missed"),
        ({"cpu_us": 50.0, "opa_us": 25.0}, "tools/list of 382, CPU gateway + OPA : forwarder", "met"),
        ({"cpu_us": 50.0, "opa_us": 26.0}, "tools/list of 382, CPU gateway + OPA : forwarder", "missed"),
        ({"cpu_us": 150.0, "opa_us": 101.0}, "gateway + OPA CPU per call, 64 in flight (µs)", "missed"),
    ],
)
def test_goal_at_its_bound_is_met_and_past_it_missed(gateway: dict[str, float], goal: str, outcome: str) -> None:
    assert met(results(**gateway))[goal] == outcome


def test_goal_without_a_figure_to_compare_with_is_missed() -> None:
    assert met(results())["OPA CPU per decision, 64 in flight : 1"] == "missed"
