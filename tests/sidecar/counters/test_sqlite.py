"""Counters in SQLite: the contract, and what only a file can do wrong."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.counters.sqlite import SqliteCounters, standing
from sidecar.database import Database, Reader, open_database
from sidecar.errors import StoreError
from sidecar.ports import Refused, Reservation
from tests.contract.counters import ENDED, INSIDE, SUITE, WINDOW, Check, claim, stands_at
from tests.fakes import FakeCounters

DAY = 86400


@pytest.fixture
async def counters(tmp_path: Path) -> AsyncIterator[SqliteCounters]:
    database = open_database(tmp_path, "state", wait_s=0.05)
    yield SqliteCounters(database)
    await database.close()


def stored(folder: Path) -> dict[tuple[str, int], str]:
    with sqlite3.connect(folder / "state.sqlite") as connection:
        rows = connection.execute("SELECT key, window_start, value FROM counters").fetchall()
    connection.close()
    return {(key, start): value for key, start, value in rows}


@pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
async def test_counters_contract_kept(check: Check, counters: SqliteCounters) -> None:
    await check(counters)


async def test_reserve_reopened_store_goes_on(tmp_path: Path) -> None:
    for expected in ("1", "2"):
        database = open_database(tmp_path, "state")
        counters = SqliteCounters(database)
        await counters.reserve([claim()])
        assert await stands_at(counters, expected)
        await database.close()


async def test_reserve_one_by_one_as_exactly_as_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.database.ALONE_S", 0)
    database = open_database(tmp_path, "state")
    counters = SqliteCounters(database)
    answers = [await counters.reserve([claim(amount="0.1", most="0.35")]) for _ in range(4)]
    assert [type(answer) for answer in answers] == [Reservation, Reservation, Reservation, Refused]
    assert answers[0] == Reservation((("k", WINDOW, WINDOW + 60, "0.1"),))
    assert stored(tmp_path) == {("k", WINDOW): "0.3"}
    assert isinstance(await counters.reserve([claim("new", "2", "1")]), Refused)
    assert set(stored(tmp_path)) == {("k", WINDOW)}
    await database.close()


async def test_reserve_alone_sum_that_cannot_be_exact_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.database.ALONE_S", 0)
    database = open_database(tmp_path, "state")
    counters = SqliteCounters(database)
    await counters.reserve([claim(amount="1e1000", most="1e1001")])
    with pytest.raises(StoreError, match="exactly"):
        await counters.reserve([claim(amount="1e-4000", most="1e1001")])
    assert Decimal(stored(tmp_path)["k", WINDOW]) == Decimal("1e1000")
    await database.close()


async def test_reserve_two_gateways_share_every_count(tmp_path: Path) -> None:
    databases = [open_database(tmp_path, "state") for _ in range(2)]
    stores = [SqliteCounters(database) for database in databases]
    answers = await asyncio.gather(*(stores[n % 2].reserve([claim(most="30")]) for n in range(100)))
    assert sum(isinstance(answer, Reservation) for answer in answers) == 30
    assert await stands_at(stores[0], "30")
    for database in databases:
        await database.close()


async def test_reserve_in_a_closed_store_is_an_error_each_time(tmp_path: Path) -> None:
    database = open_database(tmp_path, "state")
    counters = SqliteCounters(database)
    await counters.reserve([claim()])
    await database.close()
    for _ in range(3):
        async with asyncio.timeout(5):
            with pytest.raises(StoreError, match="closed"):
                await counters.reserve([claim()])


async def test_reserve_one_by_one_of_two_gateways_counts_what_the_other_took_and_gave_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.database.ALONE_S", 0)
    databases = [open_database(tmp_path, "state") for _ in range(2)]
    one, other = (SqliteCounters(database) for database in databases)
    first = await one.reserve([claim(most="4")])
    for store in (one, other, one):
        assert isinstance(await store.reserve([claim(most="4")]), Reservation)
    assert isinstance(await other.reserve([claim(most="4")]), Refused)
    assert isinstance(first, Reservation)
    await other.rollback(first, INSIDE)
    assert isinstance(await one.reserve([claim(most="4")]), Reservation)
    assert isinstance(await one.reserve([claim(most="4")]), Refused)
    assert stored(tmp_path) == {("k", WINDOW): "4"}
    for database in databases:
        await database.close()


async def test_reserve_remembers_only_so_many_counters_and_counts_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.database.ALONE_S", 0)
    monkeypatch.setattr("sidecar.counters.sqlite.SEEN", 3)
    database = open_database(tmp_path, "state")
    counters = SqliteCounters(database)
    for key in "abcdef" * 2:
        await counters.reserve([claim(key)])
    assert len(counters._seen) <= 4
    assert set(stored(tmp_path).values()) == {"2"}
    await database.close()


_KILLED = """
import asyncio, os, signal, sys
from decimal import Decimal
from pathlib import Path
from sidecar.core.limits import Claim
from sidecar.counters.sqlite import SqliteCounters, standing
from sidecar.database import Database, Reader, open_database

async def main():
    counters = SqliteCounters(open_database(Path(sys.argv[1]), "state"))
    for _ in range(7):
        await counters.reserve([Claim("k", 0, 60, Decimal(1), Decimal(10))])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_reserve_then_sigkill_still_counted(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], capture_output=True, timeout=60, check=False)
    assert done.returncode == -9, done.stderr
    assert stored(tmp_path) == {("k", 0): "7"}


_SHARING = """
import asyncio, sys
from decimal import Decimal
from pathlib import Path
from sidecar.core.limits import Claim
from sidecar.counters.sqlite import SqliteCounters
from sidecar.database import Database, open_database
from sidecar.ports import Refused, Reservation

async def one(counters, times):
    claims = [Claim("k", 0, 60, Decimal(1), Decimal(500))]
    return sum([isinstance(await counters.reserve(claims), Reservation) for _ in range(times)])

async def main():
    database = open_database(Path(sys.argv[1]), "state", wait_s=20)
    counters = SqliteCounters(database)
    print(sum(await asyncio.gather(*(one(counters, 100) for _ in range(4)))))
    await database.close()

asyncio.run(main())
"""


def test_reserve_two_processes_exactly_max(tmp_path: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", _SHARING, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    granted = [int(process.communicate(timeout=60)[0]) for process in running]
    assert sum(granted) == 500
    assert stored(tmp_path) == {("k", 0): "500"}


_ONE_BY_ONE = """
import asyncio, sys
from decimal import Decimal
from pathlib import Path
from sidecar.core.limits import Claim
from sidecar.counters.sqlite import SqliteCounters
from sidecar.database import Database, open_database
from sidecar.ports import Reservation

at_once = 0
change_now = Database.change_now

def noted(self, *asked):
    global at_once
    changed = change_now(self, *asked)
    at_once += changed
    return changed

async def main():
    counters = SqliteCounters(open_database(Path(sys.argv[1]), "state", wait_s=20))
    claims = [Claim("k", 0, 60, Decimal("0.1"), Decimal(sys.argv[2]))]
    granted = 0
    while isinstance(await counters.reserve(claims), Reservation):
        granted += 1
        print(granted, at_once, flush=True)
        await asyncio.sleep(0.0003 if granted % 5 else 0.004)

Database.change_now = noted
asyncio.run(main())
"""


def test_reserve_processes_one_by_one_under_contention_one_killed_exactly_max(tmp_path: Path) -> None:
    open_database(tmp_path, "state").close_now()
    running = [
        subprocess.Popen([sys.executable, "-c", _ONE_BY_ONE, str(tmp_path), "150"], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    killed = running[0]
    assert killed.stdout is not None
    told = [killed.stdout.readline() for _ in range(20)]
    killed.kill()
    told += killed.communicate(timeout=60)[0].splitlines(keepends=True)
    seen = [line.split() for line in told if line.endswith("\n")]
    seen_by_others = [process.communicate(timeout=60)[0].splitlines()[-1].split() for process in running[1:]]
    assert [process.returncode for process in running] == [-9, 0, 0, 0]
    assert stored(tmp_path) == {("k", 0): "150.0"}
    granted = int(seen[-1][0]) + sum(int(count) for count, _ in seen_by_others)
    assert granted in (1499, 1500), "what the killed one took last it may not have told"
    assert any(int(at_once) for _, at_once in seen_by_others), "nobody took by one statement"


@pytest.mark.parametrize("value", ["damaged", "NaN"])
async def test_reserve_damaged_value_store_error(value: str, tmp_path: Path, counters: SqliteCounters) -> None:
    await counters.reserve([claim()])
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        connection.execute("UPDATE counters SET value = ?", (value,))
    connection.close()
    with pytest.raises(StoreError, match="exact"):
        await counters.reserve([claim()])


async def test_reserve_locked_store_error_then_service(tmp_path: Path, counters: SqliteCounters) -> None:
    other = sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answers = await asyncio.gather(*(counters.reserve([claim()]) for _ in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["state.sqlite is locked by another process."] * 3
    other.execute("ROLLBACK")
    other.close()
    assert isinstance(await counters.reserve([claim()]), Reservation)
    assert await stands_at(counters, "1")


async def test_reserve_cancelled_before_its_turn_not_counted(
    counters: SqliteCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.database.ALONE_S", 1e9)
    tasks = [asyncio.ensure_future(counters.reserve([claim()])) for _ in range(3)]
    alone = asyncio.ensure_future(counters.reserve([claim("alone")]))
    asyncio.get_running_loop().call_soon(tasks[1].cancel)
    answers = await asyncio.gather(*tasks, alone, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert await stands_at(counters, "2")


async def test_reserve_all_cancelled_nothing_written(counters: SqliteCounters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.database.ALONE_S", 1e9)
    task = asyncio.ensure_future(counters.reserve([claim()]))
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stands_at(counters, "0")


async def test_reserve_while_locked_joins_no_older_deadline(tmp_path: Path) -> None:
    database = open_database(tmp_path, "state", wait_s=0.3)
    counters = SqliteCounters(database)
    other = sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    first = asyncio.ensure_future(counters.reserve([claim()]))
    await asyncio.sleep(0.2)
    second = asyncio.ensure_future(counters.reserve([claim()]))
    with pytest.raises(StoreError):
        await first
    assert not second.done()
    other.execute("ROLLBACK")
    other.close()
    assert isinstance(await second, Reservation)
    await database.close()


async def test_purge_only_long_ended_windows_removed(tmp_path: Path, counters: SqliteCounters) -> None:
    now = WINDOW
    old = [claim(f"old{n}", start=now - 2 * DAY - 60 - n * 60) for n in range(1, 250)]
    kept = [claim("edge", start=now - 2 * DAY), claim("new", start=now - DAY)]
    await counters.reserve(old + kept)
    for _ in range(200):
        await counters.reserve([claim(most="1000")])
    await asyncio.sleep(0)
    assert {key for key, _ in stored(tmp_path)} == {"edge", "new", "k"}


@dataclass(frozen=True)
class Step:
    """Reserves `claims` (key, amount, max, window) or, without any, rolls back what was held `back` ago."""

    claims: tuple[tuple[str, str, str, int], ...]
    back: int
    now: datetime


_CLAIM = st.tuples(
    st.sampled_from("ab"),
    st.sampled_from(["0", "1", "2.50", "0.1"]),
    st.sampled_from(["0", "3", "5"]),
    st.sampled_from([WINDOW, WINDOW + 60]),
)
_STEP = st.builds(Step, st.lists(_CLAIM, max_size=3).map(tuple), st.integers(0, 20), st.sampled_from([INSIDE, ENDED]))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = open_database(tmp_path_factory.mktemp("model"), "state")
    yield database
    database.close_now()


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(_STEP, max_size=25), together=st.integers(1, 4))
def test_reserve_and_rollback_any_order_equal_model(shared: Database, steps: list[Step], together: int) -> None:
    name, model = str(uuid4()), FakeCounters()
    asyncio.run(_follow(steps, together, name, SqliteCounters(shared), model))
    rows = shared.read("SELECT key, window_start, value FROM counters WHERE key LIKE ?", (f"{name}%",))
    assert {(key, start): Decimal(value) for key, start, value in rows} == model.values


async def _follow(steps: list[Step], together: int, name: str, counters: SqliteCounters, model: FakeCounters) -> None:
    held: list[Reservation] = []
    for step in steps:
        if step.claims:
            claims = [claim(name + key, amount, most, start) for key, amount, most, start in step.claims]
            expected = [await model.reserve(claims) for _ in range(together)]
            assert await asyncio.gather(*(counters.reserve(claims) for _ in range(together))) == expected
            held += [answer for answer in expected if isinstance(answer, Reservation)]
        elif held:
            await model.rollback(held[step.back % len(held)], step.now)
            await counters.rollback(held[step.back % len(held)], step.now)


async def test_standing_reads_what_was_taken_and_takes_nothing(counters: SqliteCounters, tmp_path: Path) -> None:
    taken, other = claim("a", "3"), claim("b")
    await counters.reserve([taken])
    reader = Reader(tmp_path / "state.sqlite", "state")
    try:
        assert standing(reader, [taken, other, taken]) == [Decimal(3), Decimal(0), Decimal(3)]
    finally:
        reader.close()
    assert await counters.reserve([taken]) == Reservation(((taken.key, taken.window_start, taken.window_end, "3"),))
