"""Approvals in SQLite: opened and used by a gateway, answered by people. Decides nothing about policy."""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from sidecar.database import Cursor, Database
from sidecar.errors import StoreError
from sidecar.ports import Answered, ApprovalRequest

MAX_PENDING = 1000
KEPT_MS = 86_400_000
PURGE_ROWS = 100

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_FIND = """
SELECT id, state, rule, revision, person FROM approvals
WHERE fingerprint = ? AND state <> 'used' AND expires_ms > ? ORDER BY requested_ms DESC, rowid DESC LIMIT 1
"""
_PENDING = "SELECT id FROM approvals WHERE fingerprint = ? AND state = 'pending' AND expires_ms > ?"
_COUNT = "SELECT count(*) FROM approvals WHERE grant_id = ? AND state = 'pending' AND expires_ms > ?"
_WAITING = "SELECT count(*) FROM approvals WHERE state = 'pending' AND expires_ms > ?"
_OPEN = """
INSERT INTO approvals (id, fingerprint, server, grant_id, tool, argument_keys, rule, message, policy, revision, ttl_s,
state, requested_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?)
"""
_LIST = """
SELECT id, state, server, grant_id, tool, argument_keys, rule, message, policy, revision,
requested_ms, expires_ms, answered_ms, answered_by, reason
FROM approvals WHERE ? OR (state = 'pending' AND expires_ms > ?) ORDER BY requested_ms, rowid
"""
_PURGE = "DELETE FROM approvals WHERE id IN (SELECT id FROM approvals WHERE expires_ms < ? LIMIT ?)"
_WAITS = "SELECT 1 FROM approvals WHERE id = ? AND state = 'pending' AND expires_ms > ?"
_TAKE = "UPDATE approvals SET state = 'used' WHERE id = ? AND state = 'approved' AND expires_ms > ?"
_GIVE_BACK = "UPDATE approvals SET state = 'approved' WHERE id = ? AND state = 'used'"
_ANSWER = """
UPDATE approvals SET state = ?, answered_ms = ?, expires_ms = ? + ttl_s * 1000, answered_by = ?, person = ?, reason = ?
WHERE id = ? AND state = 'pending' AND expires_ms > ?
"""

State: TypeAlias = Literal["pending", "approved", "refused", "used", "expired"]
Verdict: TypeAlias = Literal["done", "unknown", "answered", "expired"]
"""How answering went: done, no such id, somebody was first, or too late."""


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval as an operator sees it. `expires_at` is when the call, or its answer, lapses."""

    id: str
    state: State
    server: str
    grant: str
    tool: str
    argument_keys: tuple[str, ...]
    rule: str
    message: str
    policy: str
    revision: str
    requested_at: datetime
    expires_at: datetime
    answered_at: datetime | None
    answered_by: str | None
    reason: str | None


class SqliteApprovals:
    """The port `Approvals` over one database, and the verbs of `regate approvals`, which wait in place.

    The rule's `ttl_s` runs twice: from the call, in which a person may answer; and anew from the
    answer, in which an identical call may use it, or is told of the refusal. A grant may have
    `max_pending` calls waiting; past that, further ones are an error until some are answered or
    lapse, so that no flood of calls can push out what a person already sees. What lapsed a day ago
    is removed, a few rows each time a call is added.
    """

    def __init__(self, database: Database, *, max_pending: int = MAX_PENDING) -> None:
        self._database = database
        self._max_pending = max_pending

    async def find(self, fingerprint: str, now: datetime) -> Answered | None:
        """The newest unexpired, unused approval for this fingerprint. Raises: StoreError."""
        at = ms(now)
        row = await self._database.transact(lambda cursor: cursor.execute(_FIND, (fingerprint, at)).fetchone())
        if row is None:
            return None
        return Answered(*row)

    async def open(self, request: ApprovalRequest, now: datetime) -> str:
        """The id of a pending approval for this call; the one already pending, if there is one.

        Raises: StoreError (also when too many calls of this grant wait).
        """
        at = ms(now)
        opened = await self._database.transact(lambda cursor: self._open(cursor, request, at))
        if opened is None:
            raise StoreError(
                f"{self._max_pending} calls of this grant wait for approval already.",
                hint="Answer some of them (`regate approvals list`), or wait until they lapse.",
            )
        return opened

    async def waits(self, approval_id: str, now: datetime) -> bool:
        """Whether one is pending still: neither answered nor lapsed. Raises: StoreError."""
        return bool(self._database.read(_WAITS, (approval_id, ms(now))))

    async def answer(self, approval_id: str, granted: bool, by: str, now: datetime) -> bool:
        """The answer of the client's own user; False if somebody was first, or it lapsed. Raises: StoreError."""
        state: State = "approved" if granted else "refused"
        write = _answering(approval_id, state, by, "user", None, now)
        return await self._database.transact(write) == "done"

    async def take(self, approval_id: str, now: datetime) -> bool:
        """Uses an approved one up; True for exactly one caller. Raises: StoreError."""
        at = ms(now)
        return await self._database.transact(lambda cursor: cursor.execute(_TAKE, (approval_id, at)).rowcount == 1)

    async def give_back(self, approval_id: str) -> None:
        """Makes a taken one usable again until it lapses. Raises: StoreError."""
        await self._database.transact(lambda cursor: cursor.execute(_GIVE_BACK, (approval_id,)))

    def list(self, now: datetime, *, pending_only: bool = True) -> Sequence[Approval]:
        """What waits for an answer, or everything kept, oldest first. Raises: StoreError."""
        at = ms(now)
        return [approval(row, at) for row in self._database.read(_LIST, (not pending_only, at))]

    def pending(self, now: datetime) -> int:
        """How many calls wait for an answer. Raises: StoreError."""
        ((count,),) = self._database.read(_WAITING, (ms(now),))
        return int(count)

    def approve(self, approval_id: str, by: str, now: datetime) -> Verdict:
        """Lets one identical call through. Raises: StoreError."""
        return self._database.transact_now(_answering(approval_id, "approved", by, "operator", None, now))

    def refuse(self, approval_id: str, by: str, now: datetime, reason: str | None = None) -> Verdict:
        """Has identical calls told that they were refused, until that lapses. Raises: StoreError."""
        return self._database.transact_now(_answering(approval_id, "refused", by, "operator", reason, now))

    def _open(self, cursor: Cursor, request: ApprovalRequest, at: int) -> str | None:
        pending = cursor.execute(_PENDING, (request.fingerprint, at)).fetchone()
        if pending is not None:
            return str(pending[0])
        cursor.execute(_PURGE, (at - KEPT_MS, PURGE_ROWS))
        ((waiting,),) = cursor.execute(_COUNT, (request.grant, at)).fetchall()
        if waiting >= self._max_pending:
            return None
        opened = new_id()
        keys = json.dumps(request.argument_keys)
        asked = (request.rule, request.message, request.policy, request.revision, request.ttl_s)
        whose = (request.fingerprint, request.server, request.grant, request.tool, keys)
        cursor.execute(_OPEN, (opened, *whose, *asked, at, at + request.ttl_s * 1000))
        return opened


def new_id() -> str:
    """An id that is easy to read out, and cannot be guessed."""
    return "apr_" + "".join(secrets.choice(_ALPHABET) for _ in range(12))


def _answering(
    approval_id: str, state: State, by: str, person: str, reason: str | None, now: datetime
) -> Callable[[Cursor], Verdict]:
    """What writes one answer; the first counts."""
    at = ms(now)

    def write(cursor: Cursor) -> Verdict:
        if cursor.execute(_ANSWER, (state, at, at, by, person, reason, approval_id, at)).rowcount == 1:
            return "done"
        row = cursor.execute("SELECT state FROM approvals WHERE id = ?", (approval_id,)).fetchone()
        if row is None:
            return "unknown"
        return "expired" if row[0] == "pending" else "answered"

    return write


def approval(row: Sequence[Any], at: int) -> Approval:
    """One approval as an operator sees it at that time. Shape: the columns of `_LIST`, in order."""
    approval_id, state, server, grant, tool, keys, rule, message, policy, revision = row[:10]
    requested, expires, answered, by, reason = row[10:]
    return Approval(
        id=approval_id,
        state="expired" if state in ("pending", "approved") and expires <= at else state,
        server=server,
        grant=grant,
        tool=tool,
        argument_keys=tuple(json.loads(keys)),
        rule=rule,
        message=message,
        policy=policy,
        revision=revision,
        requested_at=_instant(requested),
        expires_at=_instant(expires),
        answered_at=None if answered is None else _instant(answered),
        answered_by=by,
        reason=reason,
    )


def ms(instant: datetime) -> int:
    """Milliseconds since the Unix epoch."""
    return int(instant.timestamp() * 1000)


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
