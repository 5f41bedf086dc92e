"""`python -m bench.reserve --redis URL`: a reservation in SQLite and in Redis, in turns. Prints a table."""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from time import perf_counter, process_time
from uuid import uuid4

from sidecar.core.limits import Claim
from sidecar.counters.redis import RedisCounters
from sidecar.counters.sqlite import SqliteCounters
from sidecar.database import open_database
from sidecar.ports import Counters
from sidecar.redis import Place, Redis

_WINDOW_S = 86400
_IN_FLIGHT = (1, 64)


async def _one_round(counters: Counters, in_flight: int, calls: int) -> tuple[float, float]:
    """Microseconds, of the clock and of this process's CPU, for each reservation."""
    claims = [Claim("bench", 0, _WINDOW_S, Decimal("0.01"), Decimal(10**9))]

    async def caller() -> None:
        for _ in range(calls // in_flight):
            await counters.reserve(claims)

    began, cpu = perf_counter(), process_time()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    count = calls // in_flight * in_flight
    return (perf_counter() - began) / count * 1e6, (process_time() - cpu) / count * 1e6


async def _measured(url: str, rounds: int, calls: int, folder: Path) -> None:
    database, redis = open_database(folder, "state"), Redis(Place(url, timeout_s=10))
    stores: Sequence[tuple[str, Counters]] = (
        ("SQLite", SqliteCounters(database)),
        ("Redis", RedisCounters(redis, f"bench:{uuid4()}:")),
    )
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for in_flight in _IN_FLIGHT:
            for name, counters in stores:
                found.setdefault((name, in_flight), []).append(await _one_round(counters, in_flight, calls))
    print("| store | in flight | µs each | CPU µs each |\n|---|--:|--:|--:|")
    for (name, in_flight), pairs in found.items():
        took, cpu = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"| {name} | {in_flight} | {took:,.0f} | {cpu:,.0f} |")
    await redis.close()
    await database.close()


def main() -> None:
    """Measures and prints. Wrong answers raise."""
    parser = argparse.ArgumentParser(prog="python -m bench.reserve", description=__doc__)
    parser.add_argument("--redis", required=True, help="a Redis that may be written to, as in the settings")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regate-bench-") as folder:
        asyncio.run(_measured(options.redis, options.rounds, options.calls, Path(folder)))


if __name__ == "__main__":
    import uvloop

    uvloop.install()
    main()
