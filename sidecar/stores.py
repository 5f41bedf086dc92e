"""Where counters, approvals and used states are kept: in the state folder, or in a Redis that gateways share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sidecar.approvals.sqlite import SqliteApprovals
from sidecar.counters.sqlite import SqliteCounters
from sidecar.database import Database
from sidecar.errors import SettingsError, SidecarError, StoreError, StoreUnfit
from sidecar.grants.sqlite import issued
from sidecar.ports import Answers, Approvals, Counters, States
from sidecar.settings.model import Settings
from sidecar.settings.shared import Redis
from sidecar.states.sqlite import SqliteStates

if TYPE_CHECKING:
    from sidecar.redis import Place

_NAMED = 5
_FORGETFUL = "Redis keeps no append-only file (appendonly no): when it ends, it forgets what was counted."


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one gateway. `probe` raises StoreError while they cannot be written.

    `pending` is how many calls wait for approval, or None where that is not this gateway's to say. Raises: StoreError.
    """

    counters: Counters
    approvals: Approvals
    answers: Answers
    states: States
    pending: Callable[[datetime], int | None]
    probe: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


async def opened(settings: Settings, state: Database, warn: Callable[[SidecarError], None]) -> Stores:
    """The stores that the settings name. A Redis that does not answer yet is waited for by nobody: calls are denied.

    Raises: SettingsError, StoreUnfit (a Redis that must not be trusted), StoreError.
    """
    if settings.redis is None:
        kept = SqliteApprovals(state)
        return Stores(SqliteCounters(state), kept, kept, SqliteStates(state), kept.pending, state.probe, _nothing)
    from sidecar.approvals.redis import RedisApprovals
    from sidecar.counters.redis import RedisCounters
    from sidecar.redis import Redis as Connected
    from sidecar.states.redis import RedisStates

    redis, prefix = Connected(place(settings.redis)), settings.redis.prefix
    counters = RedisCounters(redis, prefix)

    async def probe() -> None:
        await redis.probe()
        await state.probe()

    async def close() -> None:
        await counters.close()
        await redis.close()

    try:
        await redis.probe()
        if not redis.keeps_file:
            warn(StoreError(_FORGETFUL))
    except StoreUnfit:
        await close()
        raise
    except StoreError as error:
        warn(error)
    shared = RedisApprovals(redis, prefix)
    return Stores(counters, shared, shared, RedisStates(redis, prefix), lambda _: None, probe, close)


def place(redis: Redis) -> "Place":
    """Where the settings' Redis is, its password read. Raises: SettingsError."""
    from sidecar.redis import Place

    password = None if redis.password is None else redis.password.read()
    return Place(redis.url, redis.username, password, redis.ca_file, redis.timeout_s)


def require_shared_grants(settings: Settings, state: Database) -> None:
    """Raises: SettingsError where a grant of one of several gateways is kept in its own state folder."""
    if settings.replicas == "one" or not settings.auth:
        return
    own = [grant.id for grant in issued(state) if grant.revoked_at is None]
    if own:
        more = f" and {len(own) - _NAMED} more" if len(own) > _NAMED else ""
        raise SettingsError(
            f"replicas: {settings.replicas}: other gateways do not know the grants of `regate grants create`: "
            f"{', '.join(own[:_NAMED])}{more}.",
            hint="Revoke them, and put grants into the settings (token_sha256, token_env or token_file).",
        )


async def _nothing() -> None:
    """What closes a store that belongs to another."""
