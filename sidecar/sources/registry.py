"""An OCI registry: who asks it, with which credentials. What is asked for, and what it means, is `oci`'s.

Source: OCI distribution specification 1.1; the token protocol of the distribution project.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from sidecar.errors import SettingsError
from sidecar.fetch import NotFetched
from sidecar.sources.transfer import Answer, Transfer, origin

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TRANSFER_S = 60.0
_TOKEN_BYTES = 256 * 1024
_REFERENCE = re.compile(
    r"oci://(?P<host>[A-Za-z0-9.:\[\]-]+)/(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_PARAMETER = re.compile(r'([a-z]+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a registry: `version` is a tag or a digest."""

    base: str
    version: str

    @property
    def digest(self) -> str:
        """The digest that is asked for, or "" where a tag is."""
        return self.version if self.version.startswith("sha256:") else ""


def parse(url: str) -> Reference:
    """What an `oci://` URL names; TLS is left out for a registry on this machine only. Raises: SettingsError."""
    found = _REFERENCE.fullmatch(url)
    if found is None:
        raise SettingsError(
            "The URL names no place in a registry.",
            hint="Write oci://registry/repository:tag, or oci://registry/repository@sha256:…",
        )
    scheme = "http" if urlsplit(url).hostname in _LOOPBACK else "https"
    return Reference(f"{scheme}://{found['host']}/v2/{found['name']}", found["digest"] or found["tag"] or "latest")


class Registry:
    """One registry, asked without credentials first, and with those that it then asks for."""

    def __init__(self, transfer: Transfer, username: str, password: Callable[[], str]) -> None:
        self._transfer = transfer
        self._username = username
        self._password = password
        self._authorization = ""

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes = b"", *, limit_bytes: int
    ) -> Answer:
        """The answer to one request. Raises: NotFetched, SettingsError (the password cannot be read)."""
        answer = await self._once(method, url, headers, content, limit_bytes)
        if answer.status == 401:
            self._authorization = await self._answered(url, answer.headers.get("www-authenticate", ""))
            answer = await self._once(method, url, headers, content, limit_bytes)
        if answer.status == 401:
            self._authorization = ""
        return answer

    async def _once(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, limit_bytes: int
    ) -> Answer:
        if method == "GET":
            return await self._transfer.get(
                url, headers, authorization=self._authorization, limit_bytes=limit_bytes, time_s=_TRANSFER_S
            )
        return await self._transfer.send(
            method,
            url,
            headers,
            content,
            authorization=self._authorization,
            limit_bytes=limit_bytes,
            time_s=_TRANSFER_S,
        )

    async def _answered(self, url: str, challenge: str) -> str:
        """What to show to a registry that asks who we are."""
        scheme, _, rest = challenge.partition(" ")
        basic = self._basic()
        if scheme.lower() == "basic" and basic:
            return basic
        asked = dict(_PARAMETER.findall(rest))
        realm = asked.pop("realm", "")
        if scheme.lower() != "bearer" or not realm:
            raise NotFetched("the registry refuses us")
        if not realm.startswith("https:") and origin(realm)[:2] != origin(url)[:2]:
            raise NotFetched("the registry names a place for tokens that has no TLS")
        query = urlencode({name: value for name, value in asked.items() if name in ("service", "scope")})
        answer = await self._transfer.get(
            f"{realm}{'&' if '?' in realm else '?'}{query}",
            {"accept": "application/json"},
            authorization=basic,
            limit_bytes=_TOKEN_BYTES,
            time_s=_TRANSFER_S,
        )
        try:
            document = json.loads(answer.body)
            token = document.get("token") or document.get("access_token")
        except (ValueError, AttributeError, RecursionError):
            token = None
        if answer.status != 200 or not isinstance(token, str) or not (token.isascii() and token.isprintable()):
            raise NotFetched(f"the registry gives us no token (status {answer.status})")
        return f"Bearer {token}"

    def _basic(self) -> str:
        if not self._username:
            return ""
        return f"Basic {base64.b64encode(f'{self._username}:{self._password()}'.encode()).decode()}"

    async def close(self) -> None:
        """Closes the connections."""
        await self._transfer.close()
