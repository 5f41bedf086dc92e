"""One Redis: its connections, whether it can be trusted with what it keeps, and scripts run on it. Knows no counter.

Imported only where the settings name a Redis: the package behind it takes a third of a second to load.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.asyncio.connection import AbstractConnection, BlockingConnectionPool
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TimedOut

from sidecar.errors import StoreError, StoreSilent, StoreUnfit

LEAST_VERSION = 7

MOST_CONNECTIONS = 32
"""Who finds them all in use waits for one, no longer than for an answer."""

_HINT = "Look at Redis and at /readyz; what needs it is denied until it answers."
_UNFIT = "Correct the setup of Redis, or name another one."
_WORDS = {
    "OOM": "its memory is full (maxmemory)",
    "READONLY": "it is a read-only replica",
    "WRONGTYPE": "there is something else under a key of ours",
    "LOADING": "it is still loading its data",
    "BUSY": "it is busy with a script that does not end",
    "MISCONF": "it cannot write to its disk",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "NOREPLICAS": "it has fewer replicas than min-replicas-to-write asks for",
    "NOPERM": "its ACL does not let this user do that",
    "MOVED": "it has become part of a cluster",
    "CLUSTERDOWN": "it has become part of a cluster",
}
_REFUSALS = (AuthenticationError, AuthorizationError, BusyLoadingError)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Redis is and who asks it. The password is in no text made of this."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    timeout_s: float = 1

    def options(self) -> dict[str, Any]:
        """What the client is told."""
        given: dict[str, Any] = {"username": self.username, "password": self.password}
        if self.url.startswith("rediss:"):
            given["ssl_ca_certs"] = None if self.ca_file is None else str(self.ca_file)
            given |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
        return given


class Script:
    """A Lua script, known to Redis by its SHA-1."""

    def __init__(self, *parts: str) -> None:
        self.text = "\n".join(("#!lua", *parts))
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Redis:
    """A Redis and the connections to it. Each new connection is looked at before it is used: a failover may have led
    to another Redis, which forgets counters, or is a replica.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._timeout_s = place.timeout_s
        self.keeps_file = True
        self._pool = BlockingConnectionPool.from_url(
            place.url,
            **place.options(),
            protocol=2,
            driver_info=None,
            socket_timeout=None,
            socket_connect_timeout=place.timeout_s,
            redis_connect_func=self._greeted,
            max_connections=MOST_CONNECTIONS,
            timeout=None,
        )

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """The answer of a script that may safely be run twice: it is, if the connection breaks.

        Raises: StoreSilent (it may have run), StoreError (it has not), StoreUnfit (likewise).
        """
        return await self._answered("EVALSHA", script.sha, len(keys), *keys, *arguments, script=script)

    def run_now(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """As `run`, waiting in place, over a connection of its own. Raises: StoreError."""
        with ThreadPoolExecutor(1) as aside:
            return aside.submit(asyncio.run, _once(self._place, script, keys, arguments)).result()

    async def probe(self) -> None:
        """Returns if Redis answers and can be trusted. Raises: StoreError."""
        await self._answered("PING")

    async def close(self) -> None:
        """Closes every connection."""
        await self._pool.aclose()

    async def _answered(self, *command: str | int, script: Script | None = None) -> Any:
        attempt = _Attempt()
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    return await self._asked(attempt, command, script)
                except (Disconnected, OSError) as error:
                    if isinstance(_inner(error), _REFUSALS):
                        raise
                    return await self._asked(attempt, command, script)
        except (RedisError, OSError, ValueError) as error:
            raise _renamed(_inner(error), attempt) from error

    async def _asked(self, attempt: "_Attempt", command: Sequence[str | int], script: Script | None) -> Any:
        connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            try:
                return await _said(connection, *command)
            except NoScriptError:
                if script is None:
                    raise
                await _said(connection, "SCRIPT", "LOAD", script.text)
                return await _said(connection, *command)
        except ResponseError:
            raise
        except BaseException:
            attempt.lost = True
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)

    async def _greeted(self, connection: AbstractConnection) -> None:
        """Makes the acquaintance of what answers at the other end, or hangs up: the pool takes for known what is open.

        Raises: StoreError, StoreUnfit.
        """
        try:
            await self._make_acquaintance(connection)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    async def _make_acquaintance(self, connection: AbstractConnection) -> None:
        await connection.on_connect()
        try:
            answer = await _said(connection, "INFO")
        except ResponseError as error:
            raise StoreUnfit("Redis does not let this user run INFO.", hint="Its ACL must grant +info.") from error
        about = dict(line.split(":", 1) for line in answer.decode("utf-8", "replace").splitlines() if ":" in line)
        _require_trust(about)
        self.keeps_file = about.get("aof_enabled") == "1"


@dataclass(slots=True)
class _Attempt:
    """Whether a command may have come to Redis whose answer did not come to us."""

    lost: bool = False


async def _once(place: Place, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
    redis = Redis(place)
    try:
        return await redis.run(script, keys, arguments)
    finally:
        await redis.close()


async def _said(connection: AbstractConnection, *command: str | int) -> Any:
    await connection.send_command(*command)
    return await connection.read_response()


def _require_trust(about: dict[str, str]) -> None:
    version = about.get("redis_version", "")
    if not version.split(".")[0].isdigit() or int(version.split(".")[0]) < LEAST_VERSION:
        raise StoreUnfit(f"Redis is of version {version[:20] or 'unknown'}; {LEAST_VERSION} or later is needed.")
    if about.get("cluster_enabled") != "0":
        raise StoreUnfit(
            "Redis runs as a cluster, where no script can take several counters at once.",
            hint="Use one Redis, with replicas and a stable address if it must survive a machine.",
        )
    if about.get("maxmemory_policy") != "noeviction":
        raise StoreUnfit(
            f"Redis drops keys when its memory is full (maxmemory-policy {about.get('maxmemory_policy')}), "
            "and a dropped counter is a forgotten limit.",
            hint="Set maxmemory-policy noeviction, or name a Redis that has it.",
        )
    if about.get("role") != "master":
        raise StoreError("Redis is a read-only replica.", hint="Name the primary; after a failover it is found again.")


def _inner(error: Exception) -> Exception:
    """What the client wraps when it happens while a connection is made."""
    cause = error.__cause__
    return _inner(cause) if type(error) is Disconnected and isinstance(cause, RedisError) else error


def _renamed(error: Exception, attempt: _Attempt) -> StoreError:
    """Our word for what went wrong; the client's own may hold addresses and arguments."""
    if isinstance(error, _REFUSALS) and not isinstance(error, BusyLoadingError):
        return StoreUnfit(
            "Redis does not accept this user name and password.", hint="Look at redis.username and redis.password."
        )
    if isinstance(error, TimeoutError | TimedOut):
        message = "Redis did not answer in time."
    elif isinstance(error, ResponseError | BusyLoadingError):
        message = f"Redis refuses: {_reason(error)}."
    elif isinstance(error, Disconnected | OSError):
        message = "Redis cannot be reached."
    else:
        message = "Redis answered what cannot be read."
    return (StoreSilent if attempt.lost else StoreError)(message, hint=_HINT)


def _reason(error: Exception) -> str:
    if isinstance(error, BusyLoadingError):
        return _WORDS["LOADING"]
    word = getattr(error, "status_code", None) or str(error).split(" ", 1)[0]
    return _WORDS.get(word, "it answered with an error")
