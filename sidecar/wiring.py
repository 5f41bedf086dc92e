"""A gateway that runs: the engine, and the transport that its clients come by. Decides nothing itself."""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sidecar import reports, statedir
from sidecar.bearers import accepted
from sidecar.core import asking
from sidecar.core.query import Asker
from sidecar.downstream import listener, standard, stdio
from sidecar.downstream.admin import Admin
from sidecar.downstream.certificates import Certificates
from sidecar.downstream.connection import Connection
from sidecar.downstream.guard import Guard
from sidecar.downstream.http import Gateway
from sidecar.downstream.leaving import Leaving
from sidecar.downstream.sessions import Sessions
from sidecar.engine import Engine, SystemClock, engine, session_key, warn
from sidecar.errors import SettingsError
from sidecar.path.exchange import Exchange
from sidecar.path.judgement import Caller
from sidecar.ports import Bearers, Grant, Reply
from sidecar.settings.model import Settings
from sidecar.settings.values import host_and_port

_GRACE_S = 3
_NEW_OBJECTS = 10_000


Tools = Mapping[str, list[str] | None]


@dataclass(frozen=True, slots=True)
class Ready:
    """A gateway that serves: `base` is its address, `url` the endpoint of its one server (or `base`, of several).

    `operator_url` is where the pages for the operator are.
    `tools` says for each server what policy does with each tool, in a line; None while the server does not answer.
    """

    url: str
    base: str
    operator_url: str
    pid: int
    tools: Mapping[str, list[tuple[str, str]] | None]


async def run_http(settings: Settings, *, ready: Callable[[Ready], None], leaving: Leaving) -> None:
    """Serves over HTTP until cancelled, or until it is time to leave.

    Raises: SidecarError, translator.PolicyRejected, OSError (cannot listen).
    """
    started = datetime.now(UTC)
    with listener.bind(settings.listen_host, settings.listen_port) as listening:
        tls = None if settings.tls is None else Certificates(*settings.tls.files, warn)
        base = _url(listening, "http" if tls is None else "https")
        async with _administered(settings) as (admin, admin_url), engine(settings) as parts:
            doors = {f"/mcp/{name}": (name, exchange) for name, exchange in parts.exchanges.items()}
            url = base
            if len(parts.exchanges) == 1:
                ((name, exchange),) = parts.exchanges.items()
                doors["/mcp"] = (name, exchange)
                url = f"{base}/mcp"
            tools = {name: await probing for name, probing in parts.probes.items()}
            servers = {path: name for path, (name, _) in doors.items()}
            async with accepted(settings.oauth if settings.auth else None, servers, base, warn) as tokens:
                connections: set[Connection] = set()
                front = reports.Front(base, started, tools, tokens.resources.documents(), leaving, tls, connections)
                pages = reports.pages(settings, parts, front, statedir.operator_token(settings.state))
                gateway = Gateway(
                    doors,
                    _guard(settings, parts, tokens.bearers),
                    Sessions(session_key(settings)),
                    pages,
                    parts.audit,
                    SystemClock(),
                    warn=warn,
                    resources=tokens.resources,
                )

                def greet() -> None:
                    _settle()
                    admin.pages = pages
                    ready(Ready(url, base, admin_url or base, os.getpid(), _lines(parts, tools, settings.auth)))

                await listener.serve(
                    gateway,
                    listening,
                    greet,
                    grace_s=_GRACE_S,
                    leaving=leaving,
                    tls=tls,
                    connections=connections,
                    max_connections=settings.max_connections,
                )
                admin.pages, admin.stage = None, "stopping"


@asynccontextmanager
async def _administered(settings: Settings) -> AsyncGenerator[tuple[Admin, str], None]:
    """The pages at an address of their own, and its URL, from before the start to behind the end; "" if there is none.

    Raises: SettingsError (cannot listen there).
    """
    admin = Admin(settings.hosts)
    if settings.admin_listen is None:
        yield admin, ""
        return
    host, port = host_and_port(settings.admin_listen)
    try:
        listening = listener.bind(host, port)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else "failed"
        raise SettingsError(f"admin_listen: cannot listen on {settings.admin_listen}: {reason}") from error
    with listening:
        url = _url(listening, "http")
        serving = asyncio.create_task(listener.serve(admin, listening, lambda: None, grace_s=0))
        try:
            yield admin, url
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def _url(listening: socket.socket, scheme: str) -> str:
    host, port = listening.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


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
        self._elicits = False

    async def handle(self, line: bytes, session: str | None) -> Reply:
        """The answer to one line."""
        if b'"initialize"' in line:
            self._elicits = asking.session_takes_forms(line) or self._elicits
        return await self._exchange.handle(line, Caller(self._grant, self._asker, session, self._elicits), None)

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
