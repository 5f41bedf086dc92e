"""Grants in SQLite: looked up by a gateway, made and revoked by commands. Keeps no token."""

import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import astuple

from sidecar.database import Cursor, Database, Reader
from sidecar.errors import StoreError
from sidecar.grants import token as tokens
from sidecar.ports import Grant

FRESH_S = 0.02

_VALID = """
SELECT token_hash, id, server, policy, list, policed_methods, hidden_calls, approval
FROM grants WHERE revoked_at IS NULL
"""
_LISTED = """
SELECT id, server, policy, created_at, revoked_at, list, policed_methods, hidden_calls, approval
FROM grants ORDER BY id
"""
_PUT = """
INSERT INTO grants (id, server, policy, list, policed_methods, hidden_calls, approval, token_hash, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ'))
ON CONFLICT (id) DO UPDATE SET server = excluded.server, policy = excluded.policy,
list = excluded.list, policed_methods = excluded.policed_methods, hidden_calls = excluded.hidden_calls,
approval = excluded.approval,
token_hash = excluded.token_hash, created_at = excluded.created_at, revoked_at = NULL
"""
_REVOKE = "UPDATE grants SET revoked_at = strftime('%Y-%m-%dT%H:%M:%SZ') WHERE id = ? AND revoked_at IS NULL"


@dataclass(frozen=True, slots=True)
class Issued:
    """One grant as an operator sees it. Units: instants are RFC 3339 with Z."""

    id: str
    server: str
    policy: str | None
    created_at: str
    revoked_at: str | None
    list: str = "hidden"
    policed_methods: str = "tools"
    hidden_calls: str = "denied"
    approval: str = "later"


def issued(store: Database | Reader) -> list[Issued]:
    """All grants in the store, revoked ones included, by id. Raises: StoreError."""
    return [Issued(*row) for row in store.read(_LISTED)]


class SqliteGrants:
    """The port `Grants` over one database, and the verbs of `regate grants`, which wait in place.

    Valid grants are held in memory. Whether any process has changed them is asked before a token is
    resolved, unless it was asked within the last 20 milliseconds: so long may a revocation take to count. One of
    these per `Database`: SQLite does not tell a connection of its own changes.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_hash: dict[bytes, tuple[bytes, Grant]] = {}
        self._asked_s = -FRESH_S
        self._data_version: int | None = None
        self._edition: int | None = None
        self._changes = 0

    def resolve(self, token: bytes) -> Grant | None:
        """The grant of a token, or None. Raises: StoreError."""
        self.edition()
        presented = tokens.digest(token)
        stored, grant = self._by_hash.get(presented, (b"", None))
        return grant if hmac.compare_digest(stored, presented) else None

    def edition(self) -> int:
        """How often the grants held were found to have changed, asking first if need be. Raises: StoreError."""
        now_s = time.monotonic()
        if now_s - self._asked_s >= FRESH_S:
            self._refresh()
            self._asked_s = now_s
        return self._changes

    def create(self, grant: Grant) -> str:
        """The token of a new grant; it cannot be shown again.

        The id of a revoked grant may be used anew; its counters go on.
        Raises: StoreError (a grant of this id is valid, or the store fails).
        """
        token = tokens.mint()
        row = (*astuple(grant), tokens.digest(token.encode()))

        def write(cursor: Cursor) -> bool:
            if cursor.execute("SELECT 1 FROM grants WHERE id = ? AND revoked_at IS NULL", (grant.id,)).fetchone():
                return False
            cursor.execute(_PUT, row)
            return True

        if not self._change(write):
            raise StoreError(f'There is a grant "{grant.id}" already.', hint="Choose another id, or revoke it first.")
        return token

    def put(self, grant: Grant, token: bytes) -> None:
        """Makes `token` the one token of a grant, new or not. Raises: StoreError."""
        row = (*astuple(grant), tokens.digest(token))
        self._change(lambda cursor: bool(cursor.execute(_PUT, row).rowcount))

    def revoke(self, grant_id: str) -> bool:
        """True if a valid grant of this id was there; its token is worthless from now on. Raises: StoreError."""
        return self._change(lambda cursor: cursor.execute(_REVOKE, (grant_id,)).rowcount > 0)

    def list(self) -> Sequence[Issued]:
        """All grants, revoked ones included, by id. Raises: StoreError."""
        return issued(self._database)

    def _change(self, write: Callable[[Cursor], bool]) -> bool:
        def change(cursor: Cursor) -> bool:
            changed = write(cursor)
            cursor.execute("UPDATE grants_edition SET edition = edition + 1")
            return changed

        self._data_version, self._asked_s = None, -FRESH_S
        return self._database.transact_now(change)

    def _refresh(self) -> None:
        """Reads the grants again if they may have changed.

        `data_version` tells of changes by other connections only, but of any table; the edition tells
        of grants. It is read before the grants, so that a change in between is seen next time.
        """
        ((data_version,),) = self._database.read("PRAGMA data_version")
        if data_version == self._data_version:
            return
        ((edition,),) = self._database.read("SELECT edition FROM grants_edition")
        if edition != self._edition:
            rows = self._database.read(_VALID)
            self._by_hash = {row[0]: (row[0], Grant(*row[1:])) for row in rows}
            self._edition = edition
            self._changes += 1
        self._data_version = data_version
