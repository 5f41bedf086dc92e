"""Keeps the injector's own certificate: made once for all replicas, renewed in time, trusted before it is shown."""

import asyncio
import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sidecar.errors import SidecarError
from sidecar.injector.cluster import Cluster, Conflict
from sidecar.injector.issue import Issued, issue
from sidecar.statedir import write_private

KINDS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
LOOK_S = 60.0
"""How often the Secret and the webhooks are looked at."""

_TURNS = 4
"""How often other replicas may be first before it is an error."""

_MEMBERS = {"authorities": "ca.crt", "certificate": "tls.crt", "key": "tls.key"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the certificate is kept, for which DNS names it is, and which webhook configurations must trust it.

    `files` is a folder for `tls.crt` and `tls.key`, as the listener reads them.
    """

    namespace: str
    secret: str
    names: Sequence[str]
    configurations: Sequence[str]
    files: Path


async def renewed(cluster: Cluster, place: Place, now: datetime) -> Issued:
    """One look: what is due is made, kept, trusted and only then put where the listener reads it.

    Raises: ClusterError; Conflict is another replica's turn, and the next look finds what it made.
    """
    secret = await cluster.secret(place.namespace, place.secret)
    issued = _issued(secret)
    configurations = [
        (
            kind,
            name,
            {hook["name"]: hook["clientConfig"].get("caBundle") for hook in await cluster.webhooks(kind, name)},
        )
        for kind in KINDS
        for name in place.configurations
        for hooks in [await cluster.webhooks(kind, name)]
    ]
    if issued is None or issued.is_due(place.names, now):
        issued = issue(place.names, now, issued or _shown_still(configurations))
        await cluster.put_secret(place.namespace, _secret(place, issued, secret))
    bundle = base64.b64encode(issued.authorities).decode()
    for kind, name, trusted in configurations:
        if late := {hook: bundle for hook, held in trusted.items() if held != bundle}:
            await cluster.trust(kind, name, late)
    for file, data in (("tls.key", issued.key), ("tls.crt", issued.certificate)):
        path = place.files / file
        if not path.exists() or path.read_bytes() != data:
            write_private(path, data)
    return issued


async def keep(
    cluster: Cluster, place: Place, warn: Callable[[SidecarError], None], *, every_s: float = LOOK_S
) -> None:
    """Looks again and again, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await renewed(cluster, place, datetime.now(UTC))
        except Conflict:
            continue
        except SidecarError as error:
            warn(error)


async def first(cluster: Cluster, place: Place) -> None:
    """The certificate to begin with. Raises: ClusterError."""
    for _ in range(_TURNS):
        with suppress(Conflict):
            await renewed(cluster, place, datetime.now(UTC))
            return
    await renewed(cluster, place, datetime.now(UTC))


def _issued(secret: Mapping[str, Any] | None) -> Issued | None:
    data = (secret or {}).get("data") or {}
    try:
        return Issued(**{member: base64.b64decode(data[name], validate=True) for member, name in _MEMBERS.items()})
    except (KeyError, TypeError, binascii.Error):
        return None


def _shown_still(configurations: Sequence[tuple[str, str, Mapping[str, str | None]]]) -> Issued | None:
    """Whom the API server trusts now: where the Secret was lost, other replicas show that one's certificate still."""
    for _, _, trusted in configurations:
        for held in trusted.values():
            with suppress(TypeError, binascii.Error):
                return Issued(base64.b64decode(held or "", validate=True), b"", b"")
    return None


def _secret(place: Place, issued: Issued, before: Mapping[str, Any] | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": place.secret, "namespace": place.namespace}
    if before is not None:
        metadata = {**before["metadata"]}
        metadata.pop("managedFields", None)
    data = {name: base64.b64encode(getattr(issued, member)).decode() for member, name in _MEMBERS.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": (before or {}).get("type", "kubernetes.io/tls"),
        "metadata": metadata,
        "data": data,
    }
