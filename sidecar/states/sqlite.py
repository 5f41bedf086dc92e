"""Which sealed states were used, in SQLite: each is good for one request, whichever gateway gets it."""

from datetime import datetime

from sidecar.database import Cursor, Database

PURGE_ROWS = 100

_PURGE = "DELETE FROM used_states WHERE nonce IN (SELECT nonce FROM used_states WHERE expires_ms < ? LIMIT ?)"
_USE = "INSERT INTO used_states (nonce, expires_ms) VALUES (?, ?) ON CONFLICT DO NOTHING"
_GIVE_BACK = "DELETE FROM used_states WHERE nonce = ?"


class SqliteStates:
    """The port `States` over one database. What has expired is removed, a few rows each time a state is used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def use(self, nonce: bytes, expires_ms: int, now: datetime) -> bool:
        """True for exactly one caller. Raises: StoreError."""
        at = int(now.timestamp() * 1000)

        def write(cursor: Cursor) -> bool:
            cursor.execute(_PURGE, (at, PURGE_ROWS))
            return cursor.execute(_USE, (nonce, expires_ms)).rowcount == 1

        return await self._database.transact(write)

    async def give_back(self, nonce: bytes) -> None:
        """Makes a used one usable again. Raises: StoreError."""
        await self._database.transact(lambda cursor: cursor.execute(_GIVE_BACK, (nonce,)))
