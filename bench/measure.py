"""Rounds of load, interleaved over the targets, and the medians of what they cost."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import meter
from bench.stage import CALL, LIST, Stage, Target, Work, send

IN_FLIGHT = (1, 8, 64)
LIST_IN_FLIGHT = 1


@dataclass(frozen=True, slots=True)
class Figures:
    """One target under one kind of load. CPU is per call, of the target's process and of its OPA (0: none)."""

    calls_per_s: float
    p50_us: float
    p99_us: float
    cpu_us: float
    opa_us: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory after the load."""

    forwarder_mb: float
    gateway_mb: float
    opa_mb: float


@dataclass(frozen=True, slots=True)
class Results:
    """Everything one run found: figures by (work, in flight, target name)."""

    figures: dict[tuple[str, int, str], Figures]
    memory: Memory
    first_call_s: float


def measured(stage: Stage, rounds: int, seconds: float, folder: Path) -> Results:
    """The medians over `rounds` interleaved rounds of `seconds` each, after one round that warms up."""
    plan = [(CALL, number) for number in IN_FLIGHT] + [(LIST, LIST_IN_FLIGHT)]
    seen: dict[tuple[str, int, str], list[Figures]] = defaultdict(list)
    for number in range(rounds + 1):
        for work, in_flight in plan:
            for target in stage.targets():
                warming = number == 0
                figures = _one(target, work, in_flight, min(seconds, 0.5) if warming else seconds, folder)
                if not warming:
                    seen[work.name, in_flight, target.name].append(figures)
    memory = Memory(*(meter.usage(pid).rss_mb for pid in _pids(stage)))
    return Results({key: _median(found) for key, found in seen.items()}, memory, stage.first_call_s)


def _one(target: Target, work: Work, in_flight: int, seconds: float, folder: Path) -> Figures:
    before = _cpu(target.pid), _cpu(target.opa)
    loaded = send(target, work, in_flight, seconds, folder)
    cpu_us, opa_us = _cpu(target.pid) - before[0], _cpu(target.opa) - before[1]
    calls = loaded.calls
    return Figures(calls / loaded.seconds, loaded.p50_us, loaded.p99_us, cpu_us / calls, opa_us / calls)


def _cpu(pid: int | None) -> float:
    return 0.0 if pid is None else meter.usage(pid).cpu_us


def _pids(stage: Stage) -> list[int]:
    return [pid for pid in (stage.forwarder.pid, stage.gateway.pid, stage.gateway.opa) if pid is not None]


def _median(found: list[Figures]) -> Figures:
    return Figures(
        median(one.calls_per_s for one in found),
        median(one.p50_us for one in found),
        median(one.p99_us for one in found),
        median(one.cpu_us for one in found),
        median(one.opa_us for one in found),
    )
