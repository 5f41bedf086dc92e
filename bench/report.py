"""The figures as tables, and what was wanted of them, met or missed. Pure: results in, text out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.measure import IN_FLIGHT, LIST_IN_FLIGHT, Figures, Results

TARGETS = ("direct", "forwarder", "gateway")
_HEAD = (
    "work",
    "in flight",
    "way",
    "calls/s",
    "p50 µs",
    "p99 µs",
    "CPU µs",
    "OPA µs",
    "p50 : direct",
    "calls/s : direct",
)


@dataclass(frozen=True, slots=True)
class Goal:
    """One ratio or figure that was wanted, and the bound on it."""

    text: str
    bound: float
    at_least: bool
    value: Callable[[Results], float]

    def met(self, results: Results) -> bool:
        """Whether the figure keeps to the bound."""
        value = self.value(results)
        return value >= self.bound if self.at_least else value <= self.bound


def _call(results: Results, in_flight: int, target: str) -> Figures:
    return results.figures["tools/call", in_flight, target]


def _list_us(results: Results, target: str) -> float:
    figures = results.figures["tools/list", LIST_IN_FLIGHT, target]
    return figures.cpu_us + figures.opa_us


def _cpu_ratio(in_flight: int) -> Callable[[Results], float]:
    return lambda found: _ratio(_call(found, in_flight, "gateway").cpu_us, _call(found, in_flight, "forwarder").cpu_us)


GOALS = (
    Goal("gateway CPU : forwarder CPU, 64 in flight", 2.5, False, _cpu_ratio(64)),
    Goal("gateway CPU : forwarder CPU, 1 in flight", 3.0, False, _cpu_ratio(1)),
    Goal(
        "OPA CPU per decision, 64 in flight : 1",
        0.4,
        False,
        lambda found: _ratio(_call(found, 64, "gateway").opa_us, _call(found, 1, "gateway").opa_us),
    ),
    Goal(
        "gateway calls/s, 64 in flight : 1",
        4.0,
        True,
        lambda found: _ratio(_call(found, 64, "gateway").calls_per_s, _call(found, 1, "gateway").calls_per_s),
    ),
    Goal(
        "p50 gateway : forwarder, 1 in flight",
        4.0,
        False,
        lambda found: _ratio(_call(found, 1, "gateway").p50_us, _call(found, 1, "forwarder").p50_us),
    ),
    Goal(
        "tools/list of 382, CPU gateway + OPA : forwarder",
        1.5,
        False,
        lambda found: _ratio(_list_us(found, "gateway"), _list_us(found, "forwarder")),
    ),
    Goal(
        "gateway + OPA CPU per call, 64 in flight (µs)",
        250.0,
        False,
        lambda found: _call(found, 64, "gateway").cpu_us + _call(found, 64, "gateway").opa_us,
    ),
)


def rows(results: Results) -> list[tuple[str, ...]]:
    """One row per kind of work, number in flight and way to the upstream."""
    kinds = [("tools/call", number) for number in IN_FLIGHT] + [("tools/list", LIST_IN_FLIGHT)]
    return [_row(results, work, number, target) for work, number in kinds for target in TARGETS]


def _row(results: Results, work: str, in_flight: int, target: str) -> tuple[str, ...]:
    figures = results.figures[work, in_flight, target]
    direct = results.figures[work, in_flight, "direct"]
    return (
        work,
        str(in_flight),
        target,
        f"{figures.calls_per_s:,.0f}",
        f"{figures.p50_us:,.0f}",
        f"{figures.p99_us:,.0f}",
        f"{figures.cpu_us:,.0f}" if target != "direct" else "-",
        f"{figures.opa_us:,.0f}" if target == "gateway" else "-",
        f"{_ratio(figures.p50_us, direct.p50_us):.2f}",
        f"{_ratio(figures.calls_per_s, direct.calls_per_s):.2f}",
    )


def goals(results: Results) -> list[tuple[str, ...]]:
    """One row per goal: what, wanted, found, met or missed."""
    return [
        (
            goal.text,
            f"{'≥' if goal.at_least else '≤'} {goal.bound:g}",
            f"{goal.value(results):.2f}",
            "met" if goal.met(results) else "missed",
        )
        for goal in GOALS
    ]


def others(results: Results) -> list[tuple[str, ...]]:
    """Start-up and memory."""
    memory = results.memory
    return [
        ("start of the gateway to the answer of its first call", f"{results.first_call_s:.2f} s"),
        ("resident memory of the gateway after the load", f"{memory.gateway_mb:.0f} MB"),
        ("resident memory of OPA after the load", f"{memory.opa_mb:.0f} MB"),
        ("resident memory of the forwarder after the load", f"{memory.forwarder_mb:.0f} MB"),
    ]


def markdown(results: Results) -> str:
    """All of it as Markdown tables, aligned so that they read well in a terminal too."""
    tables = (
        table(_HEAD, rows(results), left=(0, 2)),
        table(("wanted of", "bound", "found", ""), goals(results), left=(0, 3)),
        table(("also", "found"), others(results), left=(0,)),
    )
    return "\n\n".join(tables) + "\n"


def table(head: Sequence[str], body: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if column in left else "-" * (width + 1) + ":" for column, width in enumerate(widths)
    )
    return "\n".join([line(head), rule + "|", *(line(cells) for cells in body)])


def _ratio(one: float, other: float) -> float:
    return one / other if other else float("nan")
