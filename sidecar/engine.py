"""Settings → adapters: everything behind a transport, started in order and stopped in reverse.

With `wiring`, the one place that knows every adapter. Decides nothing itself.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from sidecar import __version__, health, probe, statedir, stores
from sidecar.audit.sqlite import SqliteAudit
from sidecar.core.inventory import Inventory
from sidecar.core.record import AuditRecord
from sidecar.core.sealed import Seal
from sidecar.database import open_database
from sidecar.deciding import Deciding
from sidecar.downstream.turns import InTurn
from sidecar.errors import DecisionError, SidecarError, StoreError, UpstreamError
from sidecar.grants.given import GivenGrants
from sidecar.grants.sqlite import SqliteGrants
from sidecar.path.exchange import Exchange
from sidecar.path.judgement import Judgement
from sidecar.path.notices import Notices
from sidecar.path.relay import Relay
from sidecar.path.rounds import Rounds
from sidecar.path.visibility import Visibility
from sidecar.path.waiting import Waiting
from sidecar.policies import Policies
from sidecar.ports import AuditLog, Grant, Upstream
from sidecar.settings.grants import TokenGrant
from sidecar.settings.model import Server, Settings
from sidecar.settings.shared import key
from sidecar.tally import Tally
from sidecar.upstream.spokesman import Spokesman
from sidecar.upstreams import conversations, made_upstream

if TYPE_CHECKING:
    from sidecar.health import Health
    from sidecar.metrics import Gauges

SESSION_KEY = "session.key"
PROBE_S = 15.0
"""How long a server may take to list its tools at start; after that only clients ask it."""

_log = structlog.get_logger("sidecar")


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(slots=True)
class Engine:
    """Everything behind a transport, started. `probes` end with each server's tools, or None while it is silent."""

    exchanges: dict[str, Exchange]
    grants: GivenGrants
    anybody: dict[str, Grant]
    audit: AuditLog
    probes: Mapping[str, "asyncio.Task[list[str] | None]"]
    policies: Policies
    health: Callable[[], Any]
    deciding: Deciding
    tally: Tally
    gauges: Callable[["Health", int, datetime | None], "Gauges"]


@asynccontextmanager
async def engine(settings: Settings, *, sole_client: bool = False) -> AsyncGenerator[Engine, None]:
    """Started and ready; stopped in reverse. Raises: SidecarError, translator.PolicyRejected."""
    tally = Tally()
    async with AsyncExitStack() as stack:
        deciding = Deciding(settings)
        stack.push_async_callback(deciding.close)
        policies = deciding.policies
        await deciding.load()
        state = open_database(settings.state, "state")
        stack.push_async_callback(state.close)
        stores.require_shared_grants(settings, state)
        kept = await stores.opened(settings, state, warn)
        stack.push_async_callback(kept.close)
        audit = _audit(settings, tally)
        stack.push_async_callback(audit.close)
        grants = SqliteGrants(state)
        given = _given(settings, grants)
        await deciding.prepare()
        inventories = {name: Inventory() for name in settings.servers}
        upstreams = {
            name: made_upstream(name, server, settings, warn, sole_client=sole_client)
            for name, server in settings.servers.items()
        }
        spoken_to = {
            name: _in_turn(upstreams[name], server, inventories[name], sole_client)
            for name, server in settings.servers.items()
        }
        for upstream in spoken_to.values():
            stack.push_async_callback(upstream.close)
        probes = {name: asyncio.create_task(_probe(name, upstreams[name], inventories[name])) for name in upstreams}
        for probing in probes.values():
            stack.push_async_callback(_ended, probing)
        await deciding.start()
        judgement = Judgement(
            deciding, kept.counters, kept.approvals, took=tally.decisions.took, reserved=tally.reservations.took
        )
        rounds = Rounds(judgement, kept.answers, Seal(session_key(settings)), kept.states, secrets.token_bytes)
        clock = SystemClock()
        waiting = Waiting(kept.answers, rounds, clock, warn=warn)

        notices = {name: Notices(deciding, inventories[name]) for name in upstreams}
        for told in notices.values():
            stack.push_async_callback(told.close)
            policies.watch(told.reloaded)

        def exchange(name: str) -> Exchange:
            inventory = inventories[name]
            visibility = Visibility(
                deciding, inventory, generation=lambda: deciding.generation, ttl_cap_ms=settings.list_ttl_cap_ms
            )
            relay = Relay(visibility, warn)
            upstream = spoken_to[name]
            return Exchange(
                upstream,
                judgement,
                relay,
                inventory,
                audit,
                clock,
                warn=warn,
                notices=notices[name],
                rounds=rounds,
                waiting=waiting,
                took=tally.answered(name),
                alone=lambda: settings.replicas == "one" and len(statedir.running(settings.state)) < 2,
            )

        async def examine() -> health.Health:
            return await _health(deciding, kept, audit)

        watching = asyncio.create_task(deciding.run())
        stack.push_async_callback(_ended, watching)
        exchanges = {name: exchange(name) for name in upstreams}
        for made in exchanges.values():
            stack.push_async_callback(made.close)

        def gauges(examined: health.Health, connections: int, certificate_expires_at: datetime | None) -> "Gauges":
            from sidecar.metrics import Gauges  # most of a tenth of a second that not every gateway needs

            pending = None
            with suppress(StoreError):
                pending = kept.pending(clock.now())
            return Gauges(
                version=__version__,
                health=examined,
                in_flight={name: exchange.in_flight for name, exchange in exchanges.items()},
                sessions={name: conversations(upstream) for name, upstream in upstreams.items()},
                connections=connections,
                approvals_pending=pending,
                audit_queued=audit.queued,
                opa_restarts=deciding.restarts,
                policies_loaded_at=deciding.loaded_at,
                certificate_expires_at=certificate_expires_at,
            )

        yield Engine(
            exchanges=exchanges,
            grants=GivenGrants(given, grants if settings.replicas == "one" else None),
            anybody={name: _anybody(name, settings) for name in upstreams},
            audit=audit,
            probes=probes,
            policies=policies,
            health=examine,
            deciding=deciding,
            tally=tally,
            gauges=gauges,
        )


def session_key(settings: Settings) -> bytes:
    """The key that binds sessions and states to grants; it outlives a restart, so that they do.

    Raises: SettingsError, StoreError.
    """
    if settings.session_key is not None:
        return key(settings.session_key)
    return statedir.kept_token(settings.state / SESSION_KEY).encode()


def warn(error: SidecarError) -> None:
    """One line in the operator's log."""
    _log.warning(str(error), code=error.code)


def _in_turn(upstream: Upstream, server: Server, inventory: Inventory, sole_client: bool) -> Upstream:
    """The upstream as clients' messages reach it. One on stdio leaves to us what HTTP asks of a client."""
    if server.url is None or not sole_client:
        return InTurn(upstream)
    return InTurn(
        Spokesman(upstream, inventory, lambda: probe.learn(upstream, inventory, timeout_s=PROBE_S)), waits=True
    )


def _audit(settings: Settings, tally: Tally) -> SqliteAudit:
    database = open_database(settings.state, "audit")
    return SqliteAudit(database, _dropped, told=tally.count, keep_days=settings.audit_keep_days)


def _given(settings: Settings, stored: SqliteGrants) -> dict[bytes, Grant]:
    """The settings' grants by the hash of their token. A token that regate keeps itself goes into the store instead."""
    given = {}
    if settings.auth:
        for name, grant in settings.grants.items():
            own = grant.token_file is not None and grant.token_file.parent == settings.state / statedir.TOKENS
            if own and settings.replicas == "one":
                if (token := grant.token()) is not None:
                    stored.put(Grant(name, *_bound(grant)), token.encode())
            else:
                given[bytes.fromhex(grant.token_hash())] = Grant(name, *_bound(grant))
    return given


def _bound(grant: TokenGrant) -> tuple[Any, ...]:
    return grant.server, grant.policy, grant.list, grant.policed_methods, grant.hidden_calls, grant.approval


def _anybody(server: str, settings: Settings) -> Grant:
    """Whose every call is where no token is asked for: the settings' grant for this server, or one without policy."""
    for name, grant in settings.grants.items():
        if grant.server == server:
            return Grant(name, *_bound(grant))
    return Grant("anybody", server, None)


async def _probe(name: str, upstream: Upstream, inventory: Inventory) -> list[str] | None:
    try:
        return await probe.learn(upstream, inventory, timeout_s=PROBE_S)
    except UpstreamError as error:
        _log.warning("The server does not list its tools.", server=name, problem=str(error))
        return None


async def _health(deciding: Deciding, kept: stores.Stores, audit: AuditLog) -> health.Health:
    held: Mapping[str, str] | None = None
    problem = ""
    with suppress(DecisionError):
        held = await deciding.held()
    try:
        await kept.probe()
    except StoreError as error:
        problem = str(error)
    return health.Health(deciding.policies.states(), held, problem, audit.healthy, source=deciding.source())


def _dropped(record: AuditRecord) -> None:
    """A record that the audit log could not take: its line in the operator's log is then all there is of it."""
    _log.error("An audit record could not be written.", **msgspec.structs.asdict(record))


async def _ended(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
