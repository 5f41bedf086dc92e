"""The audit log in SQLite: written in batches by a gateway, read by commands. Judges nothing."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import astuple

from sidecar.core.record import AuditRecord, Entry
from sidecar.database import Cursor, Database, Reader

MAX_QUEUED = 10_000
FLUSH_S = 0.01
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 1.0
BATCH = 1000
PURGE_EVERY = 256
PURGE_ROWS = 500
PAGE_ROWS = 500

_INSERT = """
INSERT INTO audit (at, server, grant_id, method, tool, argument_keys, policy, revision, outcome, rule, message,
result, cause, approval, session, duration_ms, person) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_PURGE = """
DELETE FROM audit WHERE seq IN
(SELECT seq FROM (SELECT seq, at FROM audit ORDER BY seq LIMIT ?) WHERE at < ?)
"""
_NEWEST = "SELECT coalesce(max(seq), 0) FROM audit"
_LAST = """
SELECT seq, at, server, grant_id, method, tool, argument_keys, policy, revision, outcome, rule, message,
result, cause, approval, session, duration_ms, person
FROM audit WHERE seq <= ? AND (? IS NULL OR grant_id = ?) AND (? IS NULL OR outcome = ?) ORDER BY seq DESC LIMIT ?
"""
_NEXT = """
SELECT seq, at, server, grant_id, method, tool, argument_keys, policy, revision, outcome, rule, message,
result, cause, approval, session, duration_ms, person
FROM audit WHERE seq > ? AND (? IS NULL OR grant_id = ?) AND (? IS NULL OR outcome = ?) ORDER BY seq LIMIT ?
"""

_Row: TypeAlias = tuple[Any, ...]
_encode = msgspec.json.Encoder().encode


class SqliteAudit:
    """The port `AuditLog` over one database, which it closes.

    A record is on disk about 10 ms after the call ended; what a SIGKILL leaves unwritten is lost.
    While writing fails it is tried again until it succeeds, and `healthy` is false. Past
    `max_queued` a record is not queued but handed to `dropped`, which should log it; so is what
    cannot be written at the end. `told` hears of every entry first. `keep_days` removes older rows a few
    at a time, by the time of the records that come in.
    """

    def __init__(
        self,
        database: Database,
        dropped: Callable[[AuditRecord], None],
        *,
        told: Callable[[Entry], None] = lambda _: None,
        keep_days: int | None = None,
        max_queued: int = MAX_QUEUED,
    ) -> None:
        self._database = database
        self._dropped = dropped
        self._told = told
        self._keep = None if keep_days is None else timedelta(days=keep_days)
        self._max_queued = max_queued
        self._queue: deque[Entry] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._retry_s = 0.0
        self._until_purge = PURGE_EVERY
        self._closed = False

    def append(self, entry: Entry) -> None:
        """Queues an entry; never blocks, never raises."""
        self._told(entry)
        if self._closed or len(self._queue) >= self._max_queued:
            self._dropped(entry.record())
            return
        self._queue.append(entry)
        if self._timer is None and self._writing is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    @property
    def healthy(self) -> bool:
        """False while records cannot be written, or too many wait."""
        return not self._retry_s and not self._closed and len(self._queue) < self._max_queued

    @property
    def queued(self) -> int:
        """How many records are not written yet."""
        return len(self._queue)

    async def close(self) -> None:
        """Writes what is queued, hands over what cannot be written, and closes the database."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await asyncio.wait([self._writing])
        self._retry_s = 0.0
        while self._queue and not self._retry_s:
            await asyncio.wait([self._flush()])
        while self._queue:
            self._dropped(self._queue.popleft().record())
        await self._database.close()

    def _flush(self) -> "asyncio.Future[None]":
        self._timer = None
        rows = [_row(entry.record()) for entry in islice(self._queue, BATCH)]
        cutoff = self._cutoff(rows)

        def write(cursor: Cursor) -> None:
            cursor.executemany(_INSERT, rows)
            if cutoff:
                cursor.execute(_PURGE, (PURGE_ROWS, cutoff))

        self._writing = self._database.transact(write)
        self._writing.add_done_callback(lambda done: self._written(len(rows), done))
        return self._writing

    def _written(self, count: int, done: "asyncio.Future[None]") -> None:
        self._writing = None
        if done.exception() is None:
            for _ in range(count):
                self._queue.popleft()
            self._retry_s = 0.0
            delay_s = FLUSH_S
        else:
            delay_s = self._retry_s = min(max(2 * self._retry_s, FIRST_RETRY_S), LAST_RETRY_S)
        if self._queue and not self._closed:
            self._timer = done.get_loop().call_later(delay_s, self._flush)

    def _cutoff(self, rows: list[_Row]) -> str | None:
        """The time before which rows may go, now and then; the newest record says what time it is."""
        self._until_purge -= len(rows)
        if self._keep is None or self._until_purge > 0:
            return None
        self._until_purge = PURGE_EVERY
        try:
            return (datetime.fromisoformat(rows[-1][0]) - self._keep).strftime("%Y-%m-%dT%H:%M:%S")
        except (ValueError, OverflowError):
            return None


def tail(
    path: Path,
    limit: int,
    *,
    follow: bool = False,
    grant: str | None = None,
    outcome: str | None = None,
    poll_s: float = 0.2,
) -> Iterator[AuditRecord]:
    """The last `limit` records, oldest first; with `follow`, then each new one as it is written, without end.

    A gateway may be writing at the same time. Raises: StoreError (missing, removed, of another version).
    """
    reader = Reader(path, "audit")
    wanted = (grant, grant, outcome, outcome)
    try:
        ((newest,),) = reader.read(_NEWEST)
        for row in reversed(reader.read(_LAST, (newest, *wanted, limit))):
            yield _record(row)
        while follow:
            ((upto,),) = reader.read(_NEWEST)
            rows = reader.read(_NEXT, (newest, *wanted, PAGE_ROWS))
            newest = rows[-1][0] if len(rows) == PAGE_ROWS else max([upto, *(row[0] for row in rows)])
            for row in rows:
                yield _record(row)
            if not rows:
                time.sleep(poll_s)
    finally:
        reader.close()


def _row(record: AuditRecord) -> _Row:
    """The record's fields, which are the columns of `_INSERT`. The sixth is argument_keys; the last two are ours."""
    fields = astuple(record)
    texts = (*fields[:5], _keys(record.argument_keys), *fields[6:-2])
    if not "".join(texts).isascii():
        texts = tuple(text.encode("utf-8", "backslashreplace").decode() for text in texts)
    return (*texts, *fields[-2:])


def _keys(names: tuple[str, ...]) -> str:
    try:
        return _encode(names).decode()
    except UnicodeEncodeError:
        return json.dumps(names)


def _record(row: _Row) -> AuditRecord:
    _, at, server, grant, method, tool, keys, *rest = row
    return AuditRecord(at, server, grant, method, tool, tuple(json.loads(keys)), *rest)
