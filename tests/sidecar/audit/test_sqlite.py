"""The audit log in SQLite: the contract, faults and their end, reading while it is written."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from sidecar.audit import sqlite as module
from sidecar.audit.sqlite import SqliteAudit, tail
from sidecar.core.record import AuditRecord
from sidecar.database import open_database
from sidecar.errors import StoreError
from tests.contract.audit import SUITE, Check, record


@pytest.fixture
def dropped() -> list[AuditRecord]:
    return []


@pytest.fixture
async def audit(tmp_path: Path, dropped: list[AuditRecord]) -> AsyncIterator[SqliteAudit]:
    log = SqliteAudit(open_database(tmp_path, "audit", wait_s=0.02), dropped.append)
    yield log
    await log.close()


def written(folder: Path) -> list[AuditRecord]:
    return list(tail(folder / "audit.sqlite", 1_000_000))


def lock(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "audit.sqlite", isolation_level=None, timeout=0)
    connection.execute("BEGIN IMMEDIATE")
    return connection


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - another process's view of a file has no event
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
async def test_audit_contract_kept(check: Check, tmp_path: Path, dropped: list[AuditRecord]) -> None:
    log = SqliteAudit(open_database(tmp_path, "audit"), dropped.append)
    await check(log, lambda: written(tmp_path))
    assert dropped == []


async def test_append_on_disk_soon(tmp_path: Path, audit: SqliteAudit) -> None:
    for number in range(3):
        audit.append(record(number))
    await until(lambda: len(written(tmp_path)) == 3)
    audit.append(record(3))
    await until(lambda: len(written(tmp_path)) == 4)
    assert audit.healthy


async def test_append_unpaired_surrogate_written_escaped(tmp_path: Path, audit: SqliteAudit) -> None:
    audit.append(replace(record(), tool="a\ud800b", argument_keys=("\udfff",)))
    await until(lambda: len(written(tmp_path)) == 1)
    assert written(tmp_path)[0].tool == "a\\ud800b"
    assert written(tmp_path)[0].argument_keys == ("\udfff",)


async def test_append_locked_unhealthy_then_all_written(
    tmp_path: Path, audit: SqliteAudit, dropped: list[AuditRecord]
) -> None:
    held = lock(tmp_path)
    audit.append(record(0))
    await until(lambda: not audit.healthy)
    audit.append(record(1))
    assert audit.queued == 2
    held.close()
    await until(lambda: audit.healthy)
    await until(lambda: len(written(tmp_path)) == 2)
    await until(lambda: audit.queued == 0)
    assert written(tmp_path) == [record(0), record(1)]
    assert dropped == []


async def test_append_past_the_bound_dropped_and_unhealthy(
    tmp_path: Path, dropped: list[AuditRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = SqliteAudit(open_database(tmp_path, "audit"), dropped.append, max_queued=3)
    for number in range(5):
        audit.append(record(number))
    assert not audit.healthy
    assert dropped == [record(3), record(4)]
    await until(lambda: audit.healthy)
    audit.append(record(5))
    await audit.close()
    assert written(tmp_path) == [record(0), record(1), record(2), record(5)]


async def test_retry_waits_longer_each_time_up_to_a_second(
    tmp_path: Path, audit: SqliteAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def call_later(delay: float, callback: Callable[..., object], *rest: object) -> asyncio.TimerHandle:
        if callback == audit._flush:
            waits.append(delay)
            delay = 0.0
        return later(delay, callback, *rest)

    monkeypatch.setattr(loop, "call_later", call_later)
    held = lock(tmp_path)
    audit.append(record())
    await until(lambda: len(waits) >= 7)
    held.close()
    await until(lambda: audit.healthy)
    assert waits[:7] == [0.01, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


async def test_close_cannot_write_everything_handed_over(tmp_path: Path, dropped: list[AuditRecord]) -> None:
    audit = SqliteAudit(open_database(tmp_path, "audit", wait_s=0.02), dropped.append)
    held = lock(tmp_path)
    records = [record(number) for number in range(module.BATCH + 5)]
    for one in records:
        audit.append(one)
    await audit.close()
    held.close()
    assert dropped == records
    assert written(tmp_path) == []


async def test_close_while_writing_written_once(tmp_path: Path, dropped: list[AuditRecord]) -> None:
    audit = SqliteAudit(open_database(tmp_path, "audit", wait_s=10), dropped.append)
    held = lock(tmp_path)
    audit.append(record(0))
    await until(lambda: audit._writing is not None)
    audit.append(record(1))
    asyncio.get_running_loop().call_later(0.02, held.close)
    await audit.close()
    assert written(tmp_path) == [record(0), record(1)]


async def test_append_after_close_dropped_and_unhealthy(tmp_path: Path, dropped: list[AuditRecord]) -> None:
    audit = SqliteAudit(open_database(tmp_path, "audit"), dropped.append)
    await audit.close()
    audit.append(record())
    assert dropped == [record()]
    assert not audit.healthy


async def test_append_file_removed_unhealthy_until_back(tmp_path: Path, audit: SqliteAudit) -> None:
    (tmp_path / "audit.sqlite").rename(tmp_path / "away")
    audit.append(record())
    await until(lambda: not audit.healthy)
    (tmp_path / "away").rename(tmp_path / "audit.sqlite")
    await until(lambda: audit.healthy)
    assert written(tmp_path) == [record()]


async def test_keep_days_older_records_removed(tmp_path: Path, dropped: list[AuditRecord]) -> None:
    audit = SqliteAudit(open_database(tmp_path, "audit"), dropped.append, keep_days=7)
    for at in ("2026-03-01T12:00:00.000Z", "2026-03-02T11:59:59.999Z", "2026-03-02T12:00:00.000Z"):
        audit.append(record(1, at=at))
    for number in range(module.PURGE_EVERY):
        audit.append(record(number, at="2026-03-09T12:00:00.000Z"))
    await audit.close()
    times = [one.at for one in written(tmp_path)]
    assert times == ["2026-03-02T12:00:00.000Z"] + ["2026-03-09T12:00:00.000Z"] * module.PURGE_EVERY


@pytest.mark.parametrize(("days", "at"), [(7, "not a time"), (999_999_999, "2026-03-09T12:00:00.000Z"), (None, "x")])
async def test_keep_days_cannot_tell_nothing_removed(
    tmp_path: Path, dropped: list[AuditRecord], days: int | None, at: str
) -> None:
    audit = SqliteAudit(open_database(tmp_path, "audit"), dropped.append, keep_days=days)
    for number in range(module.PURGE_EVERY + 1):
        audit.append(record(number, at=at))
    await audit.close()
    assert len(written(tmp_path)) == module.PURGE_EVERY + 1


async def filled(folder: Path) -> list[AuditRecord]:
    audit = SqliteAudit(open_database(folder, "audit"), lambda record: None)
    records = [record(n, grant=f"g{n % 2}", outcome="deny" if n % 3 == 0 else "allow") for n in range(12)]
    for one in records:
        audit.append(one)
    await audit.close()
    return records


@pytest.mark.parametrize(
    ("limit", "wanted", "expected"),
    [
        (3, {}, [9, 10, 11]),
        (0, {}, []),
        (100, {"grant": "g1"}, [1, 3, 5, 7, 9, 11]),
        (2, {"grant": "g0"}, [8, 10]),
        (100, {"outcome": "deny"}, [0, 3, 6, 9]),
        (100, {"grant": "g1", "outcome": "deny"}, [3, 9]),
        (100, {"grant": "nobody"}, []),
    ],
)
async def test_tail_last_matching_oldest_first(
    tmp_path: Path, limit: int, wanted: dict[str, str], expected: list[int]
) -> None:
    records = await filled(tmp_path)
    assert list(tail(tmp_path / "audit.sqlite", limit, **wanted)) == [records[n] for n in expected]  # type: ignore[arg-type]


async def test_tail_missing_file_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        next(tail(tmp_path / "audit.sqlite", 10))


async def test_tail_follow_new_records_as_they_come(
    tmp_path: Path, audit: SqliteAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 2)
    audit.append(record(0))
    await until(lambda: len(written(tmp_path)) == 1)
    following = tail(tmp_path / "audit.sqlite", 10, follow=True, grant="g1", poll_s=0.001)
    assert next(following) == record(0)
    waiting = asyncio.create_task(asyncio.to_thread(next, following))
    await asyncio.sleep(0)
    for number in range(1, 6):
        audit.append(record(number, grant="g1" if number != 2 else "other"))
    seen = [await waiting]
    seen += [next(following) for _ in range(3)]
    assert seen == [record(1), record(3), record(4), record(5)]
    following.close()  # type: ignore[attr-defined]
