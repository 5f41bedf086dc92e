"""SQLite files with a write-ahead log: opened so, and the log moved into the file before it grows long.

Knows no table and runs no statement of a store's.
"""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Literal

from sidecar import schema
from sidecar.errors import StoreError
from sidecar.presence import Presence
from sidecar.schema import Kind

CHECKPOINT_WORKS = 256
CHECKPOINT_BYTES = 4 << 20
CHECKPOINT_REST_S = 0.5
TRUNCATE_BYTES = 64 << 20
PAGE_BYTES: dict[Kind, int] = {"state": 1024, "audit": 4096}
"""A commit writes whole pages: small ones for single counters, large ones for runs of records."""


class WriteAheadLog:
    """The log of an open file, moved in the background by a thread with a connection of its own."""

    def __init__(self, path: Path, presence: Presence) -> None:
        self._path = path
        self._presence = presence
        self._unmoved = 0
        self._not_before_s = 0.0
        self.moving: asyncio.Future[None] | None = None

    def grew(self, works: int) -> None:
        """So many pieces of work were committed; from time to time the log's size is looked at."""
        self._unmoved += works
        if self._unmoved >= CHECKPOINT_WORKS:
            self._unmoved = 0
            loop = asyncio.get_running_loop()
            if loop.time() >= self._not_before_s and self._presence.log_bytes() >= CHECKPOINT_BYTES:
                self._not_before_s = loop.time() + CHECKPOINT_REST_S
                if self.moving is None or self.moving.done():
                    self.moving = loop.run_in_executor(None, move, self._path)

    async def end(self) -> None:
        """Moves what is left."""
        if self.moving is not None:
            await self.moving
        await asyncio.to_thread(move, self._path)


def connect(path: Path, mode: Literal["ro", "rw"], timeout_s: float = 0) -> sqlite3.Connection:
    """A connection to a file that exists. Raises: sqlite3.Error."""
    uri, one_thread = f"{path.as_uri()}?mode={mode}", mode == "rw"
    return sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=one_thread)


def prepare(connection: sqlite3.Connection, name: str, kind: Kind) -> None:
    """Has a file keep a log, and brings its tables up to date. Raises: StoreError, sqlite3.Error."""
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES[kind]}")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"{name} cannot have a write-ahead log.", hint="Keep the state directory on a local disk.")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {CHECKPOINT_BYTES // 2}")
    schema.bring_up(connection, name, kind)


def move(path: Path) -> None:
    """Moves the log into the file beside the writers, the next of whom begins it anew unless one came in between.

    A very long one is cut, with the writers held up as long as the disk takes. A fault is left for next time.
    """
    with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(connect(path, "rw", 0.02)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if Path(f"{path}-wal").stat().st_size > TRUNCATE_BYTES:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
