"""A bundle in an OCI registry, as OPA has it there: an image of one layer, the tar.gz. Verifies no signature.

Source: OCI image specification 1.1; OPA's documentation, "OCI registry".
"""

import hashlib
import json
import re
from typing import Any
from urllib.parse import urljoin

from sidecar.fetch import NotFetched
from sidecar.sources.archive import PACKED_BYTES
from sidecar.sources.registry import Reference, Registry
from sidecar.sources.source import Fetched, Unchanged

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
_LAYERS = (LAYER, "application/vnd.docker.image.rootfs.diff.tar.gzip")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MANIFEST_BYTES = 1024 * 1024


class OciSource:
    """One tag, or one digest, in a registry."""

    def __init__(self, registry: Registry, reference: Reference, *, every_s: float) -> None:
        self._registry = registry
        self._reference = reference
        self.every_s = every_s

    async def fetch(self, mark: str, *, wait: bool) -> Fetched | Unchanged:  # noqa: ARG002 - registries do not wait
        """The bundle, unless the tag still names the manifest of the mark. Raises: NotFetched, SettingsError."""
        place = self._reference
        accept = {"accept": f"{MANIFEST}, {_DOCKER}"}
        manifest = await self._get(f"{place.base}/manifests/{place.version}", accept, _MANIFEST_BYTES)
        digest = digest_of(manifest)
        if place.digest not in ("", digest):
            raise NotFetched("the registry's manifest is not of the digest asked for")
        if digest == mark:
            return Unchanged()
        layer = _layer(manifest)
        data = await self._get(f"{place.base}/blobs/{layer}", {}, PACKED_BYTES)
        if digest_of(data) != layer:
            raise NotFetched("the registry's layer is not of the digest in its manifest")
        return Fetched(data, digest)

    async def _get(self, url: str, headers: dict[str, str], limit_bytes: int) -> bytes:
        answer = await self._registry.ask("GET", url, headers, limit_bytes=limit_bytes)
        if answer.status != 200:
            raise NotFetched(f"the registry answers with status {answer.status}")
        return answer.body

    async def close(self) -> None:
        """Closes the connections."""
        await self._registry.close()


async def push(registry: Registry, reference: Reference, data: bytes) -> str:
    """Puts a bundle under the tag, and gives the digest of its manifest. Raises: NotFetched, SettingsError."""
    config = json.dumps({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": []}})
    for blob in (data, config.encode()):
        await _put_blob(registry, reference, blob)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _described(CONFIG, config.encode()),
            "layers": [_described(LAYER, data)],
        }
    ).encode()
    url = f"{reference.base}/manifests/{reference.version}"
    answer = await registry.ask("PUT", url, {"content-type": MANIFEST}, manifest, limit_bytes=_MANIFEST_BYTES)
    if answer.status != 201:
        raise NotFetched(f"the registry does not take the manifest (status {answer.status})")
    return digest_of(manifest)


async def _put_blob(registry: Registry, reference: Reference, blob: bytes) -> None:
    begun = await registry.ask("POST", f"{reference.base}/blobs/uploads/", {}, limit_bytes=_MANIFEST_BYTES)
    place = begun.headers.get("location", "")
    if begun.status != 202 or not place:
        raise NotFetched(f"the registry takes no upload (status {begun.status})")
    url = urljoin(f"{reference.base}/", place)
    url += f"{'&' if '?' in url else '?'}digest={digest_of(blob)}"
    headers = {"content-type": "application/octet-stream"}
    answer = await registry.ask("PUT", url, headers, blob, limit_bytes=_MANIFEST_BYTES)
    if answer.status != 201:
        raise NotFetched(f"the registry does not take the upload (status {answer.status})")


def _described(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}


def _layer(manifest: bytes) -> str:
    """The digest of the one layer. Raises: NotFetched."""
    try:
        (layer,) = json.loads(manifest)["layers"]
        kind, digest, size = layer["mediaType"], layer["digest"], layer["size"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotFetched("the registry's manifest is not of an image with one layer") from error
    if kind not in _LAYERS or not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        raise NotFetched("the registry's image does not have a tar.gz as its layer")
    if not isinstance(size, int) or size > PACKED_BYTES:
        raise NotFetched(f"the registry's layer is larger than {PACKED_BYTES} bytes")
    return digest


def digest_of(data: bytes) -> str:
    """As registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
