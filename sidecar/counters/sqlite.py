"""Counters in SQLite. The file is the truth: what is remembered between two transactions is held against it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from sidecar.core.limits import Claim, add, epoch_s, subtract
from sidecar.database import Cursor, Database, Reader
from sidecar.errors import StoreError
from sidecar.ports import Refused, Reservation

_Taken: TypeAlias = Reservation | Refused
_At: TypeAlias = tuple[str, int]
"""A counter in one window: its key, and the window's start in seconds since the Unix epoch."""

KEPT_S = 2 * 86400
PURGE_EVERY = 64
PURGE_ROWS = 200
SEEN = 1024

_ZERO = Decimal(0)
_NOTHING = Reservation(())
_READ = "SELECT value FROM counters WHERE key = ? AND window_start = ?"
_WRITE = """
INSERT INTO counters (key, window_start, window_end, value) VALUES (?, ?, ?, ?)
ON CONFLICT (key, window_start) DO UPDATE SET value = excluded.value
"""
_MOVE = "UPDATE counters SET value = ? WHERE key = ? AND window_start = ? AND value = ?"
_PURGE = """
DELETE FROM counters WHERE (key, window_start) IN
(SELECT key, window_start FROM counters WHERE window_end < ? LIMIT ?)
"""


class SqliteCounters:
    """The port `Counters` over one database.

    A counter met twice in one call is added to once; if the amounts differ, by the larger. Values are
    exact decimals: what cannot be kept exactly is an error, so the call is denied. A caller who is
    cancelled while the file is written may leave its reservation behind: counted, never forgotten.

    Who comes alone for a counter that still stands where it was last seen moves it by one statement. All others share
    a transaction, which reads.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._round: _Round | None = None
        self._seen: dict[_At, Decimal] = {}
        self._until_purge = PURGE_EVERY

    async def reserve(self, claims: Sequence[Claim]) -> Reservation | Refused:
        """All claims taken at once, or none. Raises: StoreError."""
        if not claims:
            return Reservation(())
        self._until_purge -= 1
        if self._until_purge <= 0:
            self._until_purge = PURGE_EVERY
            self._purge(max(claim.window_start for claim in claims) - KEPT_S)
        if len(claims) == 1 and (taken := self._moved(claims[0])) is not None:
            return taken
        asked: asyncio.Future[_Taken] = asyncio.get_running_loop().create_future()
        if self._round is not None and self._round.turn == self._database.turns:
            self._round.asked.append((claims, asked))
        else:
            if len(self._seen) > SEEN:
                self._seen.clear()
            self._round = _Round(self._database.turns, (claims, asked), self._seen)
            self._database.submit(self._round)
            if asked.done():
                self._round = None
        return await asked

    async def rollback(self, reservation: Reservation, now: datetime) -> None:
        """Gives a reservation back to windows that have not ended, never below zero. Raises: StoreError."""
        at = epoch_s(now)
        taken = [entry for entry in reservation.taken if at < entry[2]]
        if taken:
            await self._database.transact(lambda cursor: _give_back(cursor, taken))

    def _moved(self, claim: Claim) -> Reservation | None:
        """A claim granted by one statement, or None and nothing done: it is then for a transaction to say why."""
        at = (claim.key, claim.window_start)
        seen = self._seen.get(at)
        if seen is None:
            return None
        try:
            total = add(seen, claim.amount)
        except ArithmeticError:
            return None
        if total > claim.max or not self._database.change_now(_MOVE, (str(total), *at, str(seen))):
            return None
        self._seen[at] = total
        return Reservation(((*at, claim.window_end, str(claim.amount)),))

    def _purge(self, ended_before: int) -> None:
        """Removes a few windows that ended long ago. The time is the claims' own, so no clock is asked."""
        purged = self._database.transact(lambda cursor: cursor.execute(_PURGE, (ended_before, PURGE_ROWS)))
        purged.add_done_callback(lambda done: done.cancelled() or done.exception())


def standing(store: Reader, asked: Sequence[Claim]) -> list[Decimal]:
    """What the counters of these claims stand at in the claims' windows; nothing is taken. Raises: StoreError."""
    found = [store.read(_READ, (claim.key, claim.window_start)) for claim in asked]
    return [Decimal(rows[0][0]) if rows else _ZERO for rows in found]


class _Round:
    """What is asked for in one turn of the loop: each counter is read once and written once for all.

    `seen` is told where the counters stand that were met.
    """

    __slots__ = ("_seen", "_values", "asked", "turn")

    def __init__(
        self, turn: int, first: "tuple[Sequence[Claim], asyncio.Future[_Taken]]", seen: dict[_At, Decimal]
    ) -> None:
        self.turn = turn
        self.asked = [first]
        self._seen = seen
        self._values: dict[_At, Decimal] = {}

    def run(self, cursor: Cursor) -> "list[_Taken | StoreError]":
        """One answer for each who asked, in order, decided as if each came alone."""
        values = self._values = {}
        ends: dict[_At, int] = {}
        answers: list[_Taken | StoreError] = []
        for claims, asked in self.asked:
            if asked.done():
                answers.append(_NOTHING)
                continue
            try:
                answers.append(_take(cursor, claims, values, ends))
            except ArithmeticError as error:
                failure = StoreError("A counter cannot be kept exactly.")
                failure.__cause__ = error
                answers.append(failure)
        for at, end in ends.items():
            cursor.execute(_WRITE, (*at, end, str(values[at])))
        return answers

    def answer(self, result: "StoreError | list[_Taken | StoreError]") -> None:
        """Tells everyone who asked."""
        if isinstance(result, StoreError):
            answers: Sequence[_Taken | StoreError] = [result] * len(self.asked)
        else:
            answers = result
            self._seen.update(self._values)
        for (_, asked), answer in zip(self.asked, answers, strict=True):
            if asked.done():
                continue
            if isinstance(answer, StoreError):
                asked.set_exception(answer)
            else:
                asked.set_result(answer)

    def abandoned(self) -> bool:
        """True if everyone who asked was cancelled."""
        return all(asked.done() for _, asked in self.asked)


def _take(
    cursor: Cursor,
    claims: Sequence[Claim],
    values: dict[_At, Decimal],
    ends: dict[_At, int],
) -> Reservation | Refused:
    """Takes all claims out of `values`, reading what is not there yet; `ends` gathers what has changed."""
    taken: dict[_At, Claim] = {}
    for index, claim in enumerate(claims):
        at = (claim.key, claim.window_start)
        value = values.get(at)
        if value is None:
            found = cursor.execute(_READ, at).fetchone()
            value = values[at] = Decimal(found[0]) if found else _ZERO
        if add(value, claim.amount) > claim.max:
            return Refused(index)
        if at not in taken or claim.amount > taken[at].amount:
            taken[at] = claim
    sums = {at: add(values[at], claim.amount) for at, claim in taken.items()}
    values.update(sums)
    ends.update((at, claim.window_end) for at, claim in taken.items())
    return Reservation(tuple((*at, claim.window_end, str(claim.amount)) for at, claim in taken.items()))


def _give_back(cursor: Cursor, taken: Sequence[tuple[str, int, int, str]]) -> None:
    for key, start, end, amount in taken:
        found = cursor.execute(_READ, (key, start)).fetchone()
        if found:
            value = max(subtract(Decimal(found[0]), Decimal(amount)), _ZERO)
            cursor.execute(_WRITE, (key, start, end, str(value)))
