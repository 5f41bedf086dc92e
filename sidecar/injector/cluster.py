"""The few objects of the Kubernetes API that the injector keeps: a Secret, and the webhooks that trust it.

Errors say what happened, and never what was sent or received.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from sidecar.errors import SidecarError

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_ANSWER_S = 10.0
_PATCH = "application/strategic-merge-patch+json"


class ClusterError(SidecarError):
    """The Kubernetes API did not do what was asked."""

    code = "cluster"


class Conflict(ClusterError):
    """Somebody else was first: the object has changed, or is there already."""

    code = "conflict"


class Cluster:
    """The API server, asked as the pod's service account. `url`, `token_file` and `ca_file` are for other places."""

    def __init__(
        self,
        url: str = "https://kubernetes.default.svc",
        token_file: Path = _ACCOUNT / "token",
        ca_file: Path = _ACCOUNT / "ca.crt",
    ) -> None:
        self._token_file = token_file
        try:
            trust = ssl.create_default_context(cafile=str(ca_file))
        except OSError as error:
            raise ClusterError(f"{ca_file} cannot be read.", hint="Is the service account's token mounted?") from error
        self._client = httpx.AsyncClient(
            base_url=url, verify=trust, trust_env=False, follow_redirects=False, timeout=_ANSWER_S
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """A Secret, or None. Raises: ClusterError."""
        return await self._asked("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}", absent=True)

    async def put_secret(self, namespace: str, secret: Mapping[str, Any]) -> None:
        """Makes a Secret, or replaces the one it was read from. Raises: Conflict, ClusterError."""
        path = f"/api/v1/namespaces/{namespace}/secrets"
        if "resourceVersion" in secret["metadata"]:
            await self._asked("PUT", f"{path}/{secret['metadata']['name']}", secret)
        else:
            await self._asked("POST", path, secret)

    async def webhooks(self, kind: str, name: str) -> list[dict[str, Any]]:
        """The webhooks of a configuration (`mutatingwebhookconfigurations`, `validating…`). Raises: ClusterError."""
        found = await self._asked("GET", f"{_registration(kind)}/{name}")
        assert found is not None
        return list(found.get("webhooks") or [])

    async def trust(self, kind: str, name: str, hooks: Mapping[str, str]) -> None:
        """Sets the authorities (base64) by which the API server knows each of these webhooks. Raises: ClusterError."""
        changed = [{"name": hook, "clientConfig": {"caBundle": bundle}} for hook, bundle in hooks.items()]
        await self._asked("PATCH", f"{_registration(kind)}/{name}", {"webhooks": changed})

    async def _asked(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, absent: bool = False
    ) -> dict[str, Any] | None:
        try:
            headers = {"authorization": f"Bearer {self._token_file.read_text().strip()}"}
            if method == "PATCH":
                headers["content-type"] = _PATCH
            answer = await self._client.request(method, path, json=body, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise ClusterError(f"{method} {path}: no answer ({type(error).__name__}).") from None
        if answer.status_code == httpx.codes.NOT_FOUND and absent:
            return None
        if answer.status_code == httpx.codes.CONFLICT:
            raise Conflict(f"{method} {path}: somebody else was first.")
        if not answer.is_success:
            raise ClusterError(
                f"{method} {path}: status {answer.status_code}.", hint="May the service account do this? See its Role."
            )
        try:
            found: dict[str, Any] = answer.json()
        except ValueError:
            raise ClusterError(f"{method} {path}: the answer is not JSON.") from None
        return found


def _registration(kind: str) -> str:
    return f"/apis/admissionregistration.k8s.io/v1/{kind}"
