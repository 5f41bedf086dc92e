"""A gateway that runs: the engine, and the transport that its clients come by. Decides nothing itself."""

import gc
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sidecar import __version__, health, statedir
from sidecar.bearers import accepted
from sidecar.core.query import Asker
from sidecar.downstream import listener, standard, stdio
from sidecar.downstream.certificates import Certificates
from sidecar.downstream.guard import Guard
from sidecar.downstream.http import Gateway
from sidecar.downstream.leaving import Leaving
from sidecar.downstream.pages import Pages
from sidecar.downstream.sessions import Sessions
from sidecar.engine import Engine, SystemClock, engine, session_key, warn
from sidecar.exchange import Exchange
from sidecar.judgement import Caller
from sidecar.ports import Bearers, Grant, Reply
from sidecar.settings import Settings

_GRACE_S = 3
_NEW_OBJECTS = 10_000
_SILENT = "it did not list its tools when the gateway started"


Tools = Mapping[str, list[str] | None]


@dataclass(frozen=True, slots=True)
class Ready:
    """A gateway that serves: `base` is its address, `url` the endpoint of its one server (or `base`, of several).

    `tools` says for each server what policy does with each tool, in a line; None while the server does not answer.
    """

    url: str
    base: str
    pid: int
    tools: Mapping[str, list[tuple[str, str]] | None]


async def run_http(settings: Settings, *, ready: Callable[[Ready], None], leaving: Leaving) -> None:
    """Serves over HTTP until cancelled, or until it is time to leave.

    Raises: SidecarError, translator.PolicyRejected, OSError (cannot listen).
    """
    started = datetime.now(UTC)
    listening = listener.bind(settings.listen_host, settings.listen_port)
    with listening:
        tls = None if settings.tls is None else Certificates(*settings.tls.files, warn)
        async with engine(settings) as parts:
            host, port = listening.getsockname()[:2]
            base = f"{'http' if tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"
            doors = {f"/mcp/{name}": (name, exchange) for name, exchange in parts.exchanges.items()}
            url = base
            if len(parts.exchanges) == 1:
                ((name, exchange),) = parts.exchanges.items()
                doors["/mcp"] = (name, exchange)
                url = f"{base}/mcp"
            tools = {name: await probing for name, probing in parts.probes.items()}
            operator = statedir.operator_token(settings.state)
            servers = {path: name for path, (name, _) in doors.items()}
            async with accepted(settings.oauth if settings.auth else None, servers, base, warn) as tokens:
                gateway = Gateway(
                    doors,
                    _guard(settings, parts, tokens.bearers),
                    Sessions(session_key(settings.state)),
                    _pages(settings, parts, tools, base, started, operator, tokens.resources.documents(), leaving, tls),
                    parts.audit,
                    SystemClock(),
                    warn=warn,
                    resources=tokens.resources,
                )

                def greet() -> None:
                    _settle()
                    ready(Ready(url, base, os.getpid(), _lines(parts, tools, settings.auth)))

                await listener.serve(gateway, listening, greet, grace_s=_GRACE_S, leaving=leaving, tls=tls)


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
        self._asker = Asker(**grant.binding)

    async def handle(self, line: bytes, session: str | None) -> Reply:
        """The answer to one line."""
        return await self._exchange.handle(line, Caller(self._grant, self._asker, session), None)

    async def listen(self, session: str | None) -> Reply:
        """What the server says on its own."""
        return await self._exchange.listen(Caller(self._grant, self._asker, session), ())


def _guard(settings: Settings, parts: Engine, bearers: Bearers | None) -> Guard:
    return Guard(
        hosts=settings.hosts,
        origins=frozenset(settings.allowed_origins),
        grants=parts.grants if settings.auth else None,
        anybody=parts.anybody,
        body_limit_bytes=settings.body_limit_bytes,
        bearers=bearers,
    )


def _pages(
    settings: Settings,
    parts: Engine,
    tools: Tools,
    url: str,
    started: datetime,
    operator_token: str,
    documents: Mapping[str, bytes],
    leaving: Leaving,
    tls: Certificates | None,
) -> Pages:
    async def ready() -> tuple[bool, Mapping[str, Any]]:
        state = await examined()
        return state.ready, state.document()

    async def examined() -> health.Health:
        state: health.Health = await parts.health()
        return replace(state, stopping=leaving.has_begun)

    async def status() -> tuple[bool, Mapping[str, Any]]:
        about = health.About(
            version=__version__,
            pid=os.getpid(),
            url=url,
            started=started,
            state=str(settings.state.absolute()),
            opa_binary=str(parts.binary),
            opa_restarts=parts.process.restarts,
            tls=None if tls is None else health.Tls(tls.expires_at, tls.problem),
        )
        servers = [
            health.ServerState(
                name, "http" if server.url is not None else "stdio", "" if tools[name] is not None else _SILENT
            )
            for name, server in settings.servers.items()
        ]
        state = await examined()
        return state.ready, health.status(state, about, servers, parts.tally.document(), datetime.now(UTC))

    def policy(id_: str) -> Mapping[str, Any] | None:
        known = parts.in_force(id_)
        if known is None:
            return None
        revision, document = known
        return {
            "version": __version__,
            "id": id_,
            "revision": revision,
            "approval_map": settings.policies[id_].approval_map,
            "document": document.decode(),
            "grants": [
                {"id": name, "server": grant.server} for name, grant in settings.grants.items() if grant.policy == id_
            ],
        }

    return Pages(ready, status, policy, operator_token.encode(), documents)


def _lines(parts: Engine, tools: Tools, auth: bool) -> dict[str, list[tuple[str, str]] | None]:
    """What the policy of a server's grant in the settings does with each of its tools, in a line.

    Where there is no such grant and a token is asked for, that is for other grants to say: the lines are empty.
    """
    lines: dict[str, list[tuple[str, str]] | None] = {}
    for server, names in tools.items():
        policy = parts.anybody[server].policy
        told = policy is not None or not auth
        if names is None:
            lines[server] = None
        else:
            lines[server] = [(name, parts.policies.explain(policy, name) if told else "") for name in names]
    return lines


def _settle() -> None:
    """Spares the garbage collector what the start has made, which stays to the end, and most of its rounds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
