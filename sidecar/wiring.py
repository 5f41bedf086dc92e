"""Settings → adapters → a gateway that runs. The only file that knows every adapter; decides nothing itself."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from sidecar import __version__, health, probe, statedir
from sidecar.approvals.sqlite import SqliteApprovals
from sidecar.audit.sqlite import SqliteAudit
from sidecar.core.inventory import Inventory
from sidecar.core.query import Asker
from sidecar.core.record import AuditRecord
from sidecar.counters.sqlite import SqliteCounters
from sidecar.database import Database, open_database
from sidecar.downstream import listener, standard, stdio
from sidecar.downstream.guard import Guard
from sidecar.downstream.http import Gateway
from sidecar.downstream.pages import Pages
from sidecar.downstream.sessions import Sessions
from sidecar.errors import DecisionError, SidecarError, StoreError, UpstreamError
from sidecar.exchange import Exchange
from sidecar.grants.given import GivenGrants
from sidecar.grants.sqlite import SqliteGrants
from sidecar.http1 import Origin
from sidecar.judgement import Caller, Judgement
from sidecar.opa import binary
from sidecar.opa.bundles import Publisher
from sidecar.opa.client import OpaClient
from sidecar.opa.process import OpaProcess, runtime_directory
from sidecar.policies import Policies
from sidecar.ports import AuditLog, Grant, Headers, Reply, Upstream
from sidecar.relay import Relay
from sidecar.reload import PolicyReload
from sidecar.settings import Server, Settings
from sidecar.telemetry import Tally
from sidecar.upstream.http import HttpUpstream
from sidecar.upstream.stdio import StdioUpstream
from sidecar.visibility import Visibility

PROBE_S = 15.0
"""How long a server may take to list its tools at start; after that only clients ask it."""

SESSION_KEY = "session.key"
_GRACE_S = 3
_SILENT = "it did not list its tools when the gateway started"

_log = structlog.get_logger("sidecar")


@dataclass(frozen=True, slots=True)
class Ready:
    """A gateway that serves: `base` is its address, `url` the endpoint of its one server (or `base`, of several).

    `tools` says for each server what policy does with each tool, in a line; None while the server does not answer.
    """

    url: str
    base: str
    pid: int
    tools: Mapping[str, list[tuple[str, str]] | None]


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class TalliedAudit:
    """An audit log that counts what passes."""

    def __init__(self, log: AuditLog, tally: Tally) -> None:
        self._log = log
        self._tally = tally

    def append(self, record: AuditRecord) -> None:
        self._tally.count(record)
        self._log.append(record)

    @property
    def healthy(self) -> bool:
        return self._log.healthy

    async def close(self) -> None:
        await self._log.close()


def warn(error: SidecarError) -> None:
    """One line in the operator's log."""
    _log.warning(str(error), code=error.code)


@dataclass(slots=True)
class Engine:
    """Everything behind a transport, started."""

    exchanges: dict[str, Exchange]
    upstreams: dict[str, Upstream]
    grants: GivenGrants
    anybody: dict[str, Grant]
    audit: AuditLog
    tools: dict[str, list[str] | None]
    policies: Policies
    health: Callable[[], Any]
    process: OpaProcess
    binary: Path
    tally: Tally


@asynccontextmanager
async def engine(settings: Settings, *, sole_client: bool = False) -> AsyncGenerator[Engine, None]:
    """Started and ready; stopped in reverse. Raises: SidecarError, translator.PolicyRejected."""
    policies = Policies(settings)
    tally = Tally()
    async with AsyncExitStack() as stack:
        reload = PolicyReload(
            policies.files,
            policies.translate,
            lambda bundle: publisher.publish(bundle),
            policies.loaded,
            policies.failed,
        )
        policies.bundle = await reload.load()
        state = open_database(settings.state, "state")
        stack.push_async_callback(state.close)
        audit = TalliedAudit(SqliteAudit(open_database(settings.state, "audit"), _dropped), tally)
        stack.push_async_callback(audit.close)
        grants = SqliteGrants(state)
        given = _given(settings, grants)
        path = settings.opa.binary
        if path is None:
            path = await asyncio.to_thread(binary.ensure, _log.info)
        directory = runtime_directory()
        process = OpaProcess(path, directory)
        stack.push_async_callback(process.stop)
        opa = OpaClient(Origin(socket_path=str(process.socket_path)), timeout_s=settings.opa.timeout_s)
        stack.push_async_callback(opa.close)
        publisher = Publisher(directory, opa.ask)
        publisher.place(policies.bundle)
        upstreams = {name: _upstream(name, server, settings, sole_client) for name, server in settings.servers.items()}
        for upstream in upstreams.values():
            stack.push_async_callback(upstream.close)
        inventories = {name: Inventory() for name in upstreams}
        probes = asyncio.gather(*(_probe(name, upstreams[name], inventories[name]) for name in upstreams))
        stack.callback(probes.cancel)
        await process.start()
        judgement = Judgement(opa, SqliteCounters(state), SqliteApprovals(state))
        clock = SystemClock()

        def exchange(name: str) -> Exchange:
            inventory = inventories[name]
            visibility = Visibility(
                opa, inventory, generation=lambda: policies.generation, ttl_cap_ms=settings.list_ttl_cap_ms
            )
            return Exchange(upstreams[name], judgement, Relay(visibility, warn), inventory, audit, clock, warn=warn)

        async def examine() -> health.Health:
            return await _health(policies, publisher, state, audit)

        watching = asyncio.create_task(reload.run())
        stack.push_async_callback(_ended, watching)
        yield Engine(
            exchanges={name: exchange(name) for name in upstreams},
            upstreams=upstreams,
            grants=GivenGrants(given, grants),
            anybody={name: _anybody(name, settings) for name in upstreams},
            audit=audit,
            tools=dict(zip(upstreams, await probes, strict=True)),
            policies=policies,
            health=examine,
            process=process,
            binary=path,
            tally=tally,
        )


async def run_http(settings: Settings, *, ready: Callable[[Ready], None]) -> None:
    """Serves over HTTP until cancelled. Raises: SidecarError, translator.PolicyRejected, OSError (cannot listen)."""
    started = datetime.now(UTC)
    listening = listener.bind(settings.listen_host, settings.listen_port)
    with listening:
        async with engine(settings) as parts:
            host, port = listening.getsockname()[:2]
            base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            doors = {f"/mcp/{name}": (name, exchange) for name, exchange in parts.exchanges.items()}
            url = base
            if len(parts.exchanges) == 1:
                ((name, exchange),) = parts.exchanges.items()
                doors["/mcp"] = (name, exchange)
                url = f"{base}/mcp"
            operator = statedir.operator_token(settings.state)
            gateway = Gateway(
                doors,
                _guard(settings, parts),
                Sessions(_session_key(settings.state)),
                _pages(settings, parts, base, started, operator),
                parts.audit,
                SystemClock(),
                warn=warn,
            )

            def greet() -> None:
                ready(Ready(url, base, os.getpid(), _lines(parts)))

            await listener.serve(gateway, listening, greet, grace_s=_GRACE_S)


async def run_stdio(settings: Settings) -> None:
    """Serves the one client on stdin and stdout until its end of input. Raises: as `run_http`."""
    read_fd, write_fd = standard.claim()
    async with engine(settings, sole_client=True) as parts:
        ((name, exchange),) = parts.exchanges.items()
        await stdio.serve(StdioPeer(exchange, parts.anybody[name]), read_fd, write_fd)


class StdioPeer:
    """The exchange as the stdio downstream talks to it: one client, one grant."""

    def __init__(self, exchange: Exchange, grant: Grant) -> None:
        self._exchange = exchange
        self._grant = grant
        self._asker = Asker(policy=grant.policy, server=grant.server, grant=grant.id)

    async def handle(self, line: bytes, session: str | None) -> Reply:
        """The answer to one line."""
        return await self._exchange.handle(line, Caller(self._grant, self._asker, session), None)

    async def listen(self, session: str) -> Reply:
        """What the server says on its own."""
        return await self._exchange.listen(Caller(self._grant, self._asker, session), ())


def _upstream(name: str, server: Server, settings: Settings, sole_client: bool) -> Upstream:
    if server.url is not None:
        secrets_ = {
            header.lower().encode(): secret.read().encode("latin-1") for header, secret in server.headers.items()
        }
        headers: Headers = tuple(secrets_.items())
        return HttpUpstream(server.url, credentials=lambda: headers, first_byte_s=server.timeout_s)
    assert server.command is not None
    return StdioUpstream(
        server.command,
        server.env,
        str(server.cwd) if server.cwd is not None else None,
        name=name,
        answer_timeout_s=server.timeout_s,
        idle_s=settings.children.idle_s,
        max_children=settings.children.max_per_server,
        sole_client=sole_client,
        withhold=_secret_variables(settings),
    )


def _secret_variables(settings: Settings) -> frozenset[str]:
    """The environment variables that hold secrets of ours: no child process gets them."""
    headers = (secret.env for server in settings.servers.values() for secret in server.headers.values())
    tokens = (grant.token_env for grant in settings.grants.values())
    return frozenset(name for name in (*headers, *tokens) if name is not None)


def _given(settings: Settings, stored: SqliteGrants) -> dict[bytes, Grant]:
    """The settings' grants by the hash of their token. A token that regate keeps itself goes into the store instead."""
    given = {}
    if settings.auth:
        for name, grant in settings.grants.items():
            kept = grant.token_file is not None and grant.token_file.parent == settings.state / statedir.TOKENS
            if kept:
                if (token := grant.token()) is not None:
                    stored.put(name, grant.server, grant.policy, token.encode())
            else:
                given[bytes.fromhex(grant.token_hash())] = Grant(name, grant.server, grant.policy)
    return given


def _anybody(server: str, settings: Settings) -> Grant:
    """Whose every call is where no token is asked for: the settings' grant for this server, or one without policy."""
    for name, grant in settings.grants.items():
        if grant.server == server:
            return Grant(name, server, grant.policy)
    return Grant("anybody", server, None)


async def _probe(name: str, upstream: Upstream, inventory: Inventory) -> list[str] | None:
    try:
        return await probe.learn(upstream, inventory, timeout_s=PROBE_S)
    except UpstreamError as error:
        _log.warning("The server does not list its tools.", server=name, problem=str(error))
        return None


async def _health(policies: Policies, publisher: Publisher, state: Database, audit: AuditLog) -> health.Health:
    held: Mapping[str, str] | None = None
    problem = ""
    with suppress(DecisionError):
        held = await publisher.held()
    try:
        await state.probe()
    except StoreError as error:
        problem = str(error)
    return health.Health(policies.states(), held, problem, audit.healthy)


def _guard(settings: Settings, parts: Engine) -> Guard:
    return Guard(
        hosts=settings.hosts,
        origins=frozenset(settings.allowed_origins),
        grants=parts.grants if settings.auth else None,
        anybody=parts.anybody,
        body_limit_bytes=settings.body_limit_bytes,
    )


def _pages(settings: Settings, parts: Engine, url: str, started: datetime, operator_token: str) -> Pages:
    async def ready() -> tuple[bool, Mapping[str, Any]]:
        state = await parts.health()
        return state.ready, state.document()

    async def status() -> tuple[bool, Mapping[str, Any]]:
        about = health.About(
            version=__version__,
            pid=os.getpid(),
            url=url,
            started=started,
            state=str(settings.state),
            opa_binary=str(parts.binary),
            opa_restarts=parts.process.restarts,
        )
        servers = [
            health.ServerState(
                name, "http" if server.url is not None else "stdio", "" if parts.tools[name] is not None else _SILENT
            )
            for name, server in settings.servers.items()
        ]
        state = await parts.health()
        return state.ready, health.status(state, about, servers, parts.tally.document(), datetime.now(UTC))

    return Pages(ready, status, operator_token.encode())


def _lines(parts: Engine) -> dict[str, list[tuple[str, str]] | None]:
    """What each server's tools are worth under the policy of its own grant, for servers with just one."""
    lines: dict[str, list[tuple[str, str]] | None] = {}
    for server, tools in parts.tools.items():
        policy = parts.anybody[server].policy
        lines[server] = None if tools is None else [(tool, parts.policies.explain(policy, tool)) for tool in tools]
    return lines


def _session_key(state: Path) -> bytes:
    """The key that binds sessions to grants; it outlives a restart, so that sessions do."""
    return statedir.kept_token(state / SESSION_KEY).encode()


def _dropped(record: AuditRecord) -> None:
    """A record that the audit log could not take: its line in the operator's log is then all there is of it."""
    _log.error("An audit record could not be written.", **asdict(record))


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
