"""A SQLite file on the event loop: group commits, faults and their end, migrations."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar import database as module
from sidecar import schema
from sidecar.database import BATCH, Cursor, Database, Reader, open_database
from sidecar.errors import StoreError

LATEST = schema.migrations("state")[-1][0]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(tmp_path, "state", wait_s=0.05)
    yield opened
    await opened.close()


def add(key: str) -> "module.Operation[str]":
    def operation(cursor: Cursor) -> str:
        cursor.execute("INSERT INTO counters VALUES (?, 0, 60, '1')", (key,))
        return key

    return operation


def keys(database: Database) -> list[str]:
    return [key for (key,) in database.read("SELECT key FROM counters ORDER BY key")]


class Lock:
    """The file's write lock, held by another connection."""

    def __init__(self, folder: Path, kind: str = "state") -> None:
        self._connection = sqlite3.connect(folder / f"{kind}.sqlite", isolation_level=None, timeout=0)
        self._connection.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


def begun(database: Database) -> list[str]:
    """Gathers the transactions that begin from now on."""
    seen: list[str] = []
    database._connection.set_trace_callback(lambda text: seen.append(text) if text.startswith("BEGIN") else None)
    return seen


async def test_open_new_private_to_the_user(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    database = open_database(folder, "state")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {file.name for file in folder.iterdir()} == {"state.sqlite", "state.sqlite-wal", "state.sqlite-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    await database.close()
    assert {file.name for file in folder.iterdir()} == {"state.sqlite"}


def test_open_relative_path_survives_chdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = open_database(Path("odd ?#% name"), "audit")
    monkeypatch.chdir("/")
    assert database.read("SELECT count(*) FROM audit") == [(0,)]
    database.close_now()


def test_open_older_schema_brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = schema.migrations("state")[:1]
    with monkeypatch.context() as patch:
        patch.setattr(schema, "migrations", lambda kind: first)
        old = open_database(tmp_path, "state")
        old.transact_now(add("kept"))
        old.close_now()
    database = open_database(tmp_path, "state")
    assert database.read("PRAGMA user_version") == [(LATEST,)]
    assert keys(database) == ["kept"]
    assert database.read("SELECT count(*) FROM grants") == [(0,)]
    database.close_now()


def test_open_failing_migration_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_database(tmp_path, "state").close_now()
    broken = [*schema.migrations("state"), (LATEST + 1, ["CREATE TABLE fresh (a)", "CREATE TABLE counters (a)"])]
    with monkeypatch.context() as patch:
        patch.setattr(schema, "migrations", lambda kind: broken)
        with pytest.raises(StoreError):
            open_database(tmp_path, "state")
    database = open_database(tmp_path, "state")
    assert database.read("SELECT count(*) FROM sqlite_master WHERE name = 'fresh'") == [(0,)]
    database.close_now()


def test_open_newer_schema_store_error(tmp_path: Path) -> None:
    open_database(tmp_path, "state").close_now()
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer regate") as caught:
        open_database(tmp_path, "state")
    assert "Upgrade" in caught.value.hint


def test_open_no_sqlite_file_store_error(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreError, match="is no SQLite file"):
        open_database(tmp_path, "state")


def test_open_damaged_file_store_error(tmp_path: Path) -> None:
    database = open_database(tmp_path, "state")
    database.transact_now(add("a"))
    database.close_now()
    path = tmp_path / "state.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    with pytest.raises(StoreError, match="is damaged"):
        open_database(tmp_path, "state")


def test_open_folder_is_a_file_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="state directory cannot be used"):
        open_database(tmp_path / "file", "state")


def test_open_folder_in_place_of_the_file_store_error(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        open_database(tmp_path, "state")


def test_open_while_migration_locked_store_error(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").touch()
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    lock = Lock(tmp_path)
    with pytest.raises(StoreError, match="locked"):
        open_database(tmp_path, "state", wait_s=0.05)
    lock.release()
    connection.close()
    open_database(tmp_path, "state").close_now()


_OPENING = """
import sys
from pathlib import Path
from sidecar.database import open_database
sys.stdin.read(1)
database = open_database(Path(sys.argv[1]), "state", wait_s=20)
database.transact_now(lambda cursor: cursor.execute("INSERT INTO counters VALUES (?, 0, 60, '1')", (sys.argv[2],)))
database.close_now()
"""


def test_open_four_processes_at_once_all_work(tmp_path: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", _OPENING, str(tmp_path / "new"), str(number)], stdin=subprocess.PIPE)
        for number in range(4)
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"g")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=60)
    assert [process.returncode for process in running] == [0] * 4
    database = open_database(tmp_path / "new", "state")
    assert keys(database) == ["0", "1", "2", "3"]
    database.close_now()


async def test_transact_waiting_in_one_turn_share_a_transaction(database: Database) -> None:
    transactions = begun(database)
    assert await asyncio.gather(*(database.transact(add(str(n))) for n in range(50))) == [str(n) for n in range(50)]
    assert len(transactions) == 1


async def test_transact_more_than_a_batch_all_done(database: Database) -> None:
    transactions = begun(database)
    await asyncio.gather(*(database.transact(add(str(n))) for n in range(2 * BATCH + 1)))
    assert len(transactions) == 3
    assert len(keys(database)) == 2 * BATCH + 1


async def test_transact_one_fails_only_the_culprit(database: Database) -> None:
    def half(cursor: Cursor) -> None:
        add("half")(cursor)
        raise ValueError("sorry")

    results = await asyncio.gather(
        database.transact(add("a")), database.transact(half), database.transact(add("b")),
        database.transact(add("a")), return_exceptions=True,
    )  # fmt: skip
    assert [type(result) for result in results] == [str, StoreError, str, StoreError]
    assert isinstance(results[1], StoreError)
    assert isinstance(results[1].__cause__, ValueError)
    assert "sorry" not in str(results[1])
    assert keys(database) == ["a", "b"]


async def test_transact_own_store_error_kept(database: Database) -> None:
    def refuse(cursor: Cursor) -> None:
        raise StoreError("Not today.")

    with pytest.raises(StoreError, match="Not today"):
        await database.transact(refuse)


async def test_transact_cancelled_in_time_not_run(database: Database) -> None:
    first, second = database.transact(add("a")), database.transact(add("b"))
    first.cancel()
    await second
    assert keys(database) == ["b"]


async def test_transact_all_cancelled_no_transaction(database: Database) -> None:
    transactions = begun(database)
    database.transact(add("a")).cancel()
    await asyncio.sleep(0)
    await database.transact(add("b"))
    assert len(transactions) == 1


_MOVE = "UPDATE counters SET value = ? WHERE key = 'a' AND value = ?"


def value(database: Database) -> str:
    ((found,),) = database.read("SELECT value FROM counters WHERE key = 'a'")
    return str(found)


async def test_change_now_alone_is_done_at_once_by_one_statement(database: Database) -> None:
    await database.transact(add("a"))
    transactions = begun(database)
    assert database.change_now(_MOVE, ("2", "1"))
    assert (value(database), transactions) == ("2", [])


async def test_change_now_that_changes_no_row_says_so(database: Database) -> None:
    await database.transact(add("a"))
    assert not database.change_now(_MOVE, ("3", "2"))
    assert value(database) == "1"


async def test_change_now_in_a_crowd_is_not_tried(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await database.transact(add("a"))
    monkeypatch.setattr(module, "ALONE_S", 1e9)
    assert not database.change_now(_MOVE, ("2", "1"))
    assert value(database) == "1"


async def test_change_now_never_overtakes_what_waits(database: Database) -> None:
    await database.transact(add("a"))
    waiting = database.transact(lambda cursor: cursor.execute("UPDATE counters SET value = '5'").rowcount)
    assert not database.change_now(_MOVE, ("2", "1"))
    await waiting
    assert value(database) == "5"


async def test_change_now_of_a_locked_file_is_not_done(tmp_path: Path, database: Database) -> None:
    await database.transact(add("a"))
    lock = Lock(tmp_path)
    assert not database.change_now(_MOVE, ("2", "1"))
    lock.release()
    assert value(database) == "1"


async def test_change_now_of_a_closed_or_removed_store_is_not_done(tmp_path: Path) -> None:
    database = open_database(tmp_path, "state", wait_s=0.05)
    await database.transact(add("a"))
    (tmp_path / "state.sqlite").unlink()
    assert not database.change_now(_MOVE, ("2", "1"))
    await database.close()
    assert not database.change_now(_MOVE, ("2", "1"))


async def test_transact_locked_store_error_then_service(tmp_path: Path, database: Database) -> None:
    lock = Lock(tmp_path)
    results = await asyncio.gather(*(database.transact(add(key)) for key in "ab"), return_exceptions=True)
    assert [str(result) for result in results] == ["state.sqlite is locked by another process."] * 2
    lock.release()
    assert await database.transact(add("c")) == "c"
    assert keys(database) == ["c"]


async def test_transact_lock_released_in_time_done(tmp_path: Path) -> None:
    database = open_database(tmp_path, "state", wait_s=30)
    lock = Lock(tmp_path)
    waiting = database.transact(add("a"))
    asyncio.get_running_loop().call_later(0.03, lock.release)
    assert await waiting == "a"
    await database.close()


async def test_transact_no_space_store_error_then_service(database: Database) -> None:
    wide = "x" * 20_000
    await database.transact(lambda cursor: cursor.execute("PRAGMA max_page_count = 40").fetchall())
    results = await asyncio.gather(
        *(database.transact(add(wide + str(n))) for n in range(3)), database.transact(add("small")),
        return_exceptions=True,
    )  # fmt: skip
    assert [str(result) for result in results[1:3]] == ["state.sqlite has no space left."] * 2
    assert results[3] == "small"
    await database.transact(lambda cursor: cursor.execute("PRAGMA max_page_count = 4000").fetchall())
    assert await database.transact(add(wide + "1")) == wide + "1"


async def test_transact_read_only_store_error_then_service(database: Database) -> None:
    database.read("PRAGMA query_only = 1")
    with pytest.raises(StoreError, match="is read-only"):
        await database.transact(add("a"))
    with pytest.raises(StoreError, match="is read-only"):
        await database.probe()
    database.read("PRAGMA query_only = 0")
    await database.probe()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
async def test_transact_file_removed_store_error_until_back(tmp_path: Path, database: Database, suffix: str) -> None:
    await database.transact(add("a"))
    name, away = tmp_path / f"state.sqlite{suffix}", tmp_path / "away"
    name.rename(away)
    results = await asyncio.gather(*(database.transact(add(key)) for key in "bc"), return_exceptions=True)
    assert ["removed" in str(result) for result in results] == [True, True]
    with pytest.raises(StoreError, match="removed"):
        database.read("SELECT 1")
    with pytest.raises(StoreError, match="removed"):
        database.transact_now(add("b"))
    assert not name.exists()
    away.rename(name)
    await database.transact(add("d"))
    assert keys(database) == ["a", "d"]


def test_transact_now_locked_store_error_then_service(tmp_path: Path) -> None:
    database = open_database(tmp_path, "state", wait_s=0.05)
    lock = Lock(tmp_path)
    with pytest.raises(StoreError, match="locked"):
        database.transact_now(add("a"))
    lock.release()
    assert database.transact_now(add("b")) == "b"
    database.close_now()


async def test_probe_writes_a_page(tmp_path: Path, database: Database) -> None:
    before = (tmp_path / "state.sqlite-wal").stat().st_size
    await database.probe()
    assert (tmp_path / "state.sqlite-wal").stat().st_size > before


async def test_probe_locked_store_error(tmp_path: Path, database: Database) -> None:
    lock = Lock(tmp_path)
    with pytest.raises(StoreError, match="locked"):
        await database.probe()
    lock.release()


async def test_read_bad_statement_store_error(database: Database) -> None:
    with pytest.raises(StoreError, match="could not be used"):
        database.read("SELECT * FROM nothing")


async def test_close_waits_for_what_was_asked(tmp_path: Path) -> None:
    database = open_database(tmp_path, "state", wait_s=0.05)
    lock = Lock(tmp_path)
    waiting = database.transact(add("a"))
    asyncio.get_running_loop().call_later(0.02, lock.release)
    await database.close()
    assert waiting.result() == "a"
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        assert connection.execute("SELECT key FROM counters").fetchall() == [("a",)]
    connection.close()


async def test_closed_every_door_store_error(tmp_path: Path) -> None:
    database = open_database(tmp_path, "state")
    keeper = open_database(tmp_path, "state")
    await database.close()
    with pytest.raises(StoreError, match="closed"):
        await database.transact(add("a"))
    with pytest.raises(StoreError):
        database.transact_now(add("a"))
    with pytest.raises(StoreError):
        database.read("SELECT 1")
    keeper.close_now()


async def test_reader_sees_what_is_written_meanwhile(tmp_path: Path, database: Database) -> None:
    reader = Reader(tmp_path / "state.sqlite", "state")
    for number in range(3):
        await database.transact(add(str(number)))
        assert reader.read("SELECT count(*) FROM counters") == [(number + 1,)]
    with pytest.raises(StoreError, match="read-only"):
        reader.read("DELETE FROM counters")
    reader.close()


def test_reader_after_the_gateway_ended_reads(tmp_path: Path) -> None:
    database = open_database(tmp_path, "state")
    database.transact_now(add("a"))
    database.close_now()
    reader = Reader(tmp_path / "state.sqlite", "state")
    assert reader.read("SELECT key FROM counters") == [("a",)]
    reader.close()


def test_reader_missing_file_store_error_nothing_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Reader(tmp_path / "audit.sqlite", "audit")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("version", "said"), [(0, "needs"), (99, "newer regate")])
def test_reader_other_version_store_error(tmp_path: Path, version: int, said: str) -> None:
    with sqlite3.connect(tmp_path / "audit.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(StoreError, match=said):
        Reader(tmp_path / "audit.sqlite", "audit")


def test_reader_file_removed_store_error(tmp_path: Path) -> None:
    open_database(tmp_path, "audit").close_now()
    reader = Reader(tmp_path / "audit.sqlite", "audit")
    (tmp_path / "audit.sqlite").unlink()
    with pytest.raises(StoreError, match="removed"):
        reader.read("SELECT 1")
    reader.close()
