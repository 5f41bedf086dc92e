"""What a running gateway says of itself at its own pages: whether it is ready, how it is, what it counted.

Puts together what others know; decides nothing.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sidecar import __version__, beside, health
from sidecar.downstream.certificates import Certificates
from sidecar.downstream.connection import Connection
from sidecar.downstream.leaving import Leaving
from sidecar.downstream.pages import Pages
from sidecar.engine import Engine
from sidecar.settings.model import Settings

_SILENT = "it did not list its tools when the gateway started"


@dataclass(frozen=True, slots=True)
class Front:
    """The gateway as its clients see it. `tools` are None for a server that did not list them at the start."""

    url: str
    started: datetime
    tools: Mapping[str, list[str] | None]
    documents: Mapping[str, bytes]
    leaving: Leaving
    tls: Certificates | None
    connections: set[Connection]


def pages(settings: Settings, parts: Engine, front: Front, operator_token: str) -> Pages:
    """The pages of this gateway. Raises: SettingsError (the token for metrics is missing)."""

    async def examined() -> health.Health:
        state: health.Health = await parts.health()
        return replace(state, stopping=front.leaving.has_begun)

    async def ready() -> tuple[bool, Mapping[str, Any]]:
        state = health.Health((), {}, stopping=True) if front.leaving.has_begun else await examined()
        return state.ready, state.document()

    places = beside.loopback({name: one.url for name, one in settings.servers.items() if one.url is not None})

    async def ready_servers() -> tuple[bool, Mapping[str, Any]]:
        if front.leaving.has_begun:
            return await ready()
        state = replace(await examined(), silent=await beside.silent(places))
        return state.ready, state.document()

    async def status() -> tuple[bool, Mapping[str, Any]]:
        state = await examined()
        servers = [
            health.ServerState(
                name, "http" if server.url is not None else "stdio", "" if front.tools[name] is not None else _SILENT
            )
            for name, server in settings.servers.items()
        ]
        about = _about(settings, parts, front)
        return state.ready, health.status(state, about, servers, parts.tally.document(), datetime.now(UTC))

    async def metrics() -> bytes:
        from sidecar.metrics import exposition  # most of a tenth of a second that not every gateway needs

        expires_at = front.tls.expires_at if front.tls is not None else None
        return exposition(parts.tally, parts.gauges(await examined(), len(front.connections), expires_at))

    def policy(id_: str) -> Mapping[str, Any] | None:
        known = parts.deciding.in_force(id_)
        return None if known is None else _policy(settings, parts, id_, *known)

    token = settings.metrics_token.read().encode("latin-1") if settings.metrics_token is not None else None
    return Pages(ready, status, policy, operator_token.encode(), front.documents, metrics, token, ready_servers)


def _about(settings: Settings, parts: Engine, front: Front) -> health.About:
    return health.About(
        version=__version__,
        pid=os.getpid(),
        url=front.url,
        started=front.started,
        state=str(settings.state.absolute()),
        opa_binary=parts.deciding.opa_name,
        opa_restarts=parts.deciding.restarts,
        tls=None if front.tls is None else health.Tls(front.tls.expires_at, front.tls.problem),
    )


def _policy(settings: Settings, parts: Engine, id_: str, revision: str, document: bytes) -> dict[str, Any]:
    return {
        "version": __version__,
        "id": id_,
        "revision": revision,
        "approval_map": parts.policies.approval_map(id_),
        "document": document.decode(),
        "counts_in_redis": settings.redis is not None,
        "grants": [
            {"id": name, "server": grant.server} for name, grant in settings.grants.items() if grant.policy == id_
        ],
    }
