"""The injector while it runs: its listener, and beside it whatever keeps its certificate."""

import asyncio
import socket
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from sidecar.downstream import listener
from sidecar.downstream.certificates import Certificates
from sidecar.downstream.leaving import Leaving
from sidecar.errors import SidecarError
from sidecar.injector import renewal
from sidecar.injector.cluster import Cluster
from sidecar.injector.review import Exempt
from sidecar.injector.template import Template
from sidecar.injector.web import Injector

_GRACE_S = 3
_log = structlog.get_logger("sidecar")


@dataclass(frozen=True, slots=True)
class Files:
    """A certificate that somebody else keeps."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class SelfSigned:
    """A certificate that the injector keeps itself, in a Secret."""

    namespace: str
    secret: str
    names: tuple[str, ...]
    configurations: tuple[str, ...]


async def run(
    template: Template,
    exempt: Exempt,
    shown: Files | SelfSigned,
    listening: socket.socket,
    *,
    ready: Callable[[], None],
    leaving: Leaving,
) -> None:
    """Answers the API server until told to leave, or cancelled. Raises: SettingsError, ClusterError."""
    async with AsyncExitStack() as stack:
        stack.enter_context(listening)
        if isinstance(shown, SelfSigned):
            shown = await _kept(shown, stack)
        tls = Certificates(shown.certificate, shown.key, None, _warn)
        await listener.serve(
            Injector(template, exempt, _warn), listening, ready, grace_s=_GRACE_S, leaving=leaving, tls=tls
        )


async def _kept(how: SelfSigned, stack: AsyncExitStack) -> Files:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="regate-")))
    cluster = await stack.enter_async_context(Cluster())
    place = renewal.Place(how.namespace, how.secret, how.names, how.configurations, folder)
    await renewal.first(cluster, place)
    keeping = asyncio.create_task(renewal.keep(cluster, place, _warn))

    async def stop() -> None:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    stack.push_async_callback(stop)
    return Files(folder / "tls.crt", folder / "tls.key")


def _warn(error: SidecarError) -> None:
    _log.warning(str(error), code=error.code)
