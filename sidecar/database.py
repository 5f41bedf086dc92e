"""A SQLite file on the event loop: opened, migrated, and written in group commits.

Knows no table: the stores bring their own statements.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from sidecar import schema, writeahead
from sidecar.errors import StoreError
from sidecar.faults import is_busy, other_version, renamed
from sidecar.presence import Presence
from sidecar.schema import Kind
from sidecar.writeahead import WriteAheadLog

T = TypeVar("T")
Cursor: TypeAlias = sqlite3.Cursor
Operation: TypeAlias = Callable[[sqlite3.Cursor], T]

WAIT_S = 2.0
RETRY_S = 0.005
ALONE_S = 0.0002
BATCH = 256


def open_database(folder: Path, kind: Kind, *, wait_s: float = WAIT_S) -> "Database":
    """The database `<kind>.sqlite` in `folder`; both are made if missing, private to the user.

    `wait_s` is how long an operation waits for a locked file.
    Raises: StoreError (not ours, damaged, newer than this version, not writable, locked).
    """
    path = folder.absolute() / f"{kind}.sqlite"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(f"The state directory cannot be used: {error.strerror}.") from error
    try:
        connection = writeahead.connect(path, "rw")
        try:
            _patiently(lambda: writeahead.prepare(connection, path.name, kind), wait_s)
            return Database(path, connection, wait_s)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise renamed(error, path.name) from error


class Work(Protocol):
    """Something to be done in a transaction that others may share."""

    def run(self, cursor: sqlite3.Cursor) -> Any:
        """The result, if the transaction is committed; may be asked more than once."""
        ...

    def answer(self, result: Any) -> None:
        """Takes what `run` returned, now committed, or a StoreError. Must not raise."""
        ...

    def abandoned(self) -> bool:
        """True if nobody waits any longer."""
        ...


_Waiting: TypeAlias = tuple[Work, float]


class _Single:
    __slots__ = ("future", "run")

    def __init__(self, operation: Operation[Any]) -> None:
        self.run = operation
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def answer(self, result: Any) -> None:
        if isinstance(result, StoreError):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)

    def abandoned(self) -> bool:
        return self.future.done()


class Database:
    """One SQLite file, owned by one thread: the event loop's, or a command's.

    Nothing waits inside SQLite. A locked file is tried again by the loop until an operation's time
    is over. A file that was removed or replaced is an error until it is back: SQLite would write on into
    the nameless one, and an empty one would forget what was counted. `turns` counts the tries.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, wait_s: float) -> None:
        self.path = path
        self._connection = connection
        self._cursor = connection.cursor()
        self._wait_s = wait_s
        self._presence = Presence(path)
        self.turns = 0
        self._queue: list[_Waiting] = []
        self._drained: asyncio.Event | None = None
        self._scheduled = False
        self._asked_s = 0.0
        self._closed = False
        self._log = WriteAheadLog(path, self._presence)

    def transact(self, operation: Operation[T]) -> "asyncio.Future[T]":
        """What `operation` returns, once it is committed.

        What waits in one turn of the loop shares one transaction, in order of arrival. An operation may run
        more than once. One cancelled before its turn does not run; one cancelled later may be committed.
        Raises: StoreError (locked past the time allowed, full, gone, closed, or the operation failed).
        """
        single = _Single(operation)
        self.submit(single)
        return single.future

    def submit(self, work: Work) -> None:
        """`transact` for work that answers for itself, within the turn that commits it."""
        loop = asyncio.get_running_loop()
        if self._closed:
            work.answer(StoreError(f"{self.path.name} is closed."))
            return
        self._queue.append((work, loop.time() + self._wait_s))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._turn, loop)

    def change_now(self, statement: str, values: Sequence[object]) -> bool:
        """Whether one statement, a transaction of its own, has changed one row. If not, nothing was done.

        It is not tried where work waits, or where it does not come alone, `ALONE_S` after the one before: a crowd is
        better gathered. What keeps it from its change, a whole transaction will wait for or tell.
        """
        before, self._asked_s = self._asked_s, time.perf_counter()
        if self._queue or self._closed or self._asked_s - before < ALONE_S:
            return False
        try:
            self._presence.check()
            changed = self._cursor.execute(statement, values).rowcount == 1
        except (sqlite3.Error, StoreError):
            return False
        self._log.grew(1)
        return changed

    def transact_now(self, operation: Operation[T]) -> T:
        """`transact` for a command without an event loop: waits in place. Raises: StoreError."""
        try:
            return _patiently(lambda: self._commit([operation]), self._wait_s)[0]  # type: ignore[no-any-return]
        except sqlite3.Error as error:
            raise renamed(error, self.path.name) from error

    def read(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows of one query, outside any transaction; never waits. Raises: StoreError."""
        self._presence.check()
        try:
            return self._cursor.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise renamed(error, self.path.name) from error

    async def probe(self) -> None:
        """Writes one page as it is, which shows that the store can be written. Raises: StoreError."""
        await self.transact(schema.rewrite_version)

    async def close(self) -> None:
        """Ends what waits, moves the write-ahead log into the file, and closes it."""
        self._closed = True
        if self._queue:
            self._drained = asyncio.Event()
            await self._drained.wait()
        await self._log.end()
        self._connection.close()

    def close_now(self) -> None:
        """`close` for a command without an event loop."""
        self._closed = True
        self._connection.close()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self.turns += 1
        batch = [waiting for waiting in self._queue[:BATCH] if not waiting[0].abandoned()]
        del self._queue[:BATCH]
        locked = self._answer(batch, loop.time()) if batch else []
        self._queue[:0] = locked
        self._scheduled = bool(self._queue)
        if locked:
            loop.call_later(RETRY_S, self._turn, loop)
        elif self._queue:
            loop.call_soon(self._turn, loop)
        elif self._drained is not None:
            self._drained.set()
        self._log.grew(len(batch))

    def _answer(self, batch: "list[_Waiting]", now: float) -> "list[_Waiting]":
        """Commits a batch and answers it, one by one if it fails; gives back those with time for another try."""
        try:
            results = self._commit([work.run for work, _ in batch])
        except Exception as error:
            failure = renamed(error, self.path.name)
            if not is_busy(error):
                if len(batch) > 1:
                    return [left for waiting in batch for left in self._answer([waiting], now)]
                batch[0][0].answer(failure)
                return []
            for work, deadline in batch:
                if now >= deadline:
                    work.answer(failure)
            return [waiting for waiting in batch if now < waiting[1]]
        for (work, _), result in zip(batch, results, strict=True):
            work.answer(result)
        return []

    def _commit(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        self._presence.check()
        cursor = self._cursor
        cursor.execute("BEGIN IMMEDIATE")
        try:
            results = [operation(cursor) for operation in operations]
            cursor.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
            raise
        return results


class Reader:
    """A file that another process may be writing, read-only. Raises: StoreError (missing, of another version)."""

    def __init__(self, path: Path, kind: Kind) -> None:
        self.path = path.absolute()
        try:
            self._connection = writeahead.connect(self.path, "ro", WAIT_S)
            self._presence = Presence(self.path, suffixes=("",))
            version, ours = schema.version(self._connection), schema.latest(kind)
        except sqlite3.Error as error:
            raise renamed(error, path.name) from error
        if version != ours:
            self._connection.close()
            raise other_version(path.name, version, ours)

    def read(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows of one query. Raises: StoreError."""
        self._presence.check()
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise renamed(error, self.path.name) from error

    def close(self) -> None:
        """Frees the file."""
        self._connection.close()


def _patiently(attempt: Callable[[], T], wait_s: float) -> T:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return attempt()
        except sqlite3.Error as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
        time.sleep(RETRY_S)
