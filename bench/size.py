"""What many policies cost: to build their bundle, to have OPA load it, to keep it, and to decide one call.

The OPAs of all sizes run side by side and are asked in turns, so that a busy machine touches them alike.
"""

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from bench.meter import usage
from bench.report import table
from sidecar.core.query import Asker
from sidecar.http1 import Origin
from sidecar.opa import binary
from sidecar.opa.bundles import Publisher
from sidecar.opa.client import OpaClient
from sidecar.opa.process import OpaProcess, Pace, runtime_directory
from translator import Bundle

FLAT = 1.5
"""How much longer a decision may take with 200 policies than with one."""
_ASKED = 200
_WARM = 300
_PACE = Pace(start_s=300.0)
_HEAD = ("policies × tools", "build s", "build MB", "bundle kB", "OPA start s", "OPA MB", "p50 µs", "p50 : 1 × 20")


@dataclass(frozen=True, slots=True)
class Size:
    """How many policies, of how many tools each."""

    policies: int
    tools: int

    @property
    def name(self) -> str:
        """As the table prints it."""
        return f"{self.policies} × {self.tools}"


SIZES = (Size(1, 20), Size(20, 20), Size(200, 20), Size(1, 382))


@dataclass(frozen=True, slots=True)
class Found:
    """The figures of one size. Units: MB are 10^6 bytes of resident memory, the most (build) and in the end (OPA)."""

    size: Size
    build_s: float
    build_mb: float
    bundle_kb: float
    start_s: float
    opa_mb: float
    p50_us: float


@dataclass(frozen=True, slots=True)
class _Built:
    took_s: float
    most_mb: float
    data: bytes


@dataclass(frozen=True, slots=True)
class _Started:
    took_s: float
    process: OpaProcess
    client: OpaClient


def policy(tools: int, number: int) -> dict[str, Any]:
    """A policy with five conditions for each tool, and a limit; no two numbers give the same."""
    return {
        "version": "1",
        "default": "deny",
        "all_tools": {"limits": [{"counter": "calls", "window": "minute", "max": 600}]},
        "tools": {
            f"tool_{index:03}": {
                "require": ["args.account", {"path": "args.currency", "op": "in", "value": ["eur", "usd"]}],
                "deny_if": [
                    {"path": "args.amount", "op": "gt", "value": 1000 + 10 * number + index, "on_deny": "Too much."},
                    {"path": "args.note", "op": "regex", "value": f"(?i)team{number}-secret"},
                    {"path": "args.force", "op": "eq", "value": True},
                ],
                "limits": [{"counter": f"tool_{index:03}_rate", "window": "minute", "max": 30}],
            }
            for index in range(tools)
        },
    }


async def measured(sizes: Sequence[Size], rounds: int, folder: Path) -> list[Found]:
    """The figures of each size. Raises: RuntimeError (an answer that is no allow)."""
    opa = binary.find()
    if opa is None:
        raise RuntimeError("There is no OPA here; run `make setup`.")
    async with AsyncExitStack() as stack:
        built = [(size, await _built(size, folder)) for size in sizes]
        started = [await _started(each.data, opa, stack) for _, each in built]
        asked = [(_query(size), each.client) for size, each in zip(sizes, started, strict=True)]
        times = await _in_turns(asked, rounds)
        return [
            Found(
                size,
                made.took_s,
                made.most_mb,
                len(made.data) / 1000,
                running.took_s,
                usage(running.process.pid or 0).rss_mb,
                median(mine),
            )
            for (size, made), running, mine in zip(built, started, times, strict=True)
        ]


def markdown(found: Sequence[Found]) -> str:
    """The figures as a table, and whether decisions stay flat."""
    base = found[0].p50_us
    rows = [
        (
            each.size.name,
            f"{each.build_s:.2f}",
            f"{each.build_mb:.0f}",
            f"{each.bundle_kb:.0f}",
            f"{each.start_s:.2f}",
            f"{each.opa_mb:.0f}",
            f"{each.p50_us:.0f}",
            f"{each.p50_us / base:.2f}",
        )
        for each in found
    ]
    worst = max(each.p50_us / base for each in found if each.size.tools == found[0].size.tools)
    goal = ("p50, most policies : one", f"≤ {FLAT}", f"{worst:.2f}", "met" if worst <= FLAT else "missed")
    return f"{table(_HEAD, rows, left=(0,))}\n\n{table(('wanted of', 'bound', 'found', ''), [goal], left=(0, 3))}"


async def _built(size: Size, folder: Path) -> _Built:
    """Time and memory of `regate build`, a process of its own, and what it wrote."""
    policies = folder / "policies"
    policies.mkdir()
    for number in range(size.policies):
        text = json.dumps(policy(size.tools, number))
        (policies / f"team-{number:03}.json").write_text(text, encoding="utf-8")
    output = folder / "bundle.tar.gz"
    began = perf_counter()
    building = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.built", policies, output, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await building.communicate()
    took = perf_counter() - began
    if building.returncode != 0:
        raise RuntimeError("the bundle was not built")
    shutil.rmtree(policies)
    return _Built(took, int(said.split()[-1]) / 1e6, output.read_bytes())


async def _started(data: bytes, opa: Path, stack: AsyncExitStack) -> _Started:
    """How long OPA takes from its start to its first answer with this bundle."""
    directory = runtime_directory()
    process = OpaProcess(opa, directory, pace=_PACE)
    client = OpaClient(Origin(socket_path=str(process.socket_path)), timeout_s=60.0)
    Publisher(directory, client.ask).place(Bundle(data, "", {}))
    stack.push_async_callback(process.stop)
    stack.push_async_callback(client.close)
    began = perf_counter()
    await process.start()
    return _Started(perf_counter() - began, process, client)


def _query(size: Size) -> bytes:
    """A call that meets every condition of a tool in the middle of a policy in the middle."""
    asker = Asker(policy=f"team-{size.policies // 2:03}", server="s", grant="g")
    return asker.call(
        f"tool_{size.tools // 2:03}", b'{"account":"a","currency":"eur","amount":5,"note":"n","force":false}'
    )


async def _in_turns(asked: Sequence[tuple[bytes, OpaClient]], rounds: int) -> list[list[float]]:
    """Units: µs per decision, one question at a time."""
    times: list[list[float]] = [[] for _ in asked]
    for query, client in asked:
        for _ in range(_WARM):
            if (await client.decide(query)).outcome != "allow":
                raise RuntimeError("a decision was no allow")
    for _ in range(rounds):
        for (query, client), mine in zip(asked, times, strict=True):
            for _ in range(_ASKED):
                began = perf_counter()
                await client.decide(query)
                mine.append((perf_counter() - began) * 1e6)
    return times


def run(rounds: int, folder: Path) -> str:
    """Everything measured, as Markdown."""
    return markdown(asyncio.run(measured(SIZES, rounds, folder)))
