"""The log of a store that is written without rest, through the store that keeps it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar import writeahead
from sidecar.database import BATCH, Cursor, Database, Operation, open_database
from sidecar.errors import StoreError


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(tmp_path, "state", wait_s=60)
    yield opened
    await opened.close()


def add(key: str) -> Operation[str]:
    def operation(cursor: Cursor) -> str:
        cursor.execute("INSERT INTO counters VALUES (?, 0, 60, '1')", (key,))
        return key

    return operation


def keys(database: Database) -> list[str]:
    return [key for (key,) in database.read("SELECT key FROM counters ORDER BY key")]


def test_open_without_write_ahead_log_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writeahead, "connect", lambda path, mode: sqlite3.connect(":memory:"))
    with pytest.raises(StoreError, match="cannot have a write-ahead log"):
        open_database(tmp_path, "state")


@pytest.fixture
async def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(writeahead, "CHECKPOINT_BYTES", 100_000)
    monkeypatch.setattr(writeahead, "CHECKPOINT_REST_S", 0.0)
    opened = open_database(tmp_path, "state", wait_s=60)
    yield opened
    await opened.close()


async def log_sizes(database: Database) -> list[int]:
    """The sizes of the write-ahead log after each of 20 batches, with a checkpoint after every one."""
    sizes = []
    for first in range(0, 20 * BATCH, BATCH):
        await asyncio.gather(*(database.transact(add(f"{n:0200}")) for n in range(first, first + BATCH)))
        sizes.append(database.path.with_name("state.sqlite-wal").stat().st_size)
        if database._log.moving is not None:
            await database._log.moving
    assert len(keys(database)) == 20 * BATCH
    return sizes


async def test_checkpoint_log_begun_anew(patient: Database) -> None:
    assert 100_000 < max(await log_sizes(patient)) < 1_000_000


async def test_checkpoint_very_long_log_cut(patient: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writeahead, "TRUNCATE_BYTES", 1)
    await log_sizes(patient)
    assert patient.path.with_name("state.sqlite-wal").stat().st_size == 0


async def test_checkpoint_small_log_left_alone(database: Database) -> None:
    await asyncio.gather(*(database.transact(add(str(n))) for n in range(BATCH)))
    assert database._log.moving is None


async def test_checkpoint_with_a_reader_open_writers_go_on(patient: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writeahead, "TRUNCATE_BYTES", 1)
    reader = sqlite3.connect(patient.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM counters").fetchone()
    assert min((await log_sizes(patient))[1:]) > 0
    reader.close()


async def test_checkpoint_file_gone_writers_told_nothing_else(patient: Database, tmp_path: Path) -> None:
    await patient.transact(add("a"))
    patient.path.rename(tmp_path / "away")
    writeahead.move(patient.path)
    assert not patient.path.exists()
    (tmp_path / "away").rename(patient.path)
    assert keys(patient) == ["a"]
