"""One answer over HTTP(S), bounded in size and time. Credentials go to the origin they are for and nowhere else.

Errors say what happened, and never what was sent or received.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from sidecar.errors import SettingsError
from sidecar.fetch import NotFetched, reason

if TYPE_CHECKING:
    import httpx

_REDIRECTS = 5
_REDIRECT_STATUS = (301, 302, 303, 307, 308)
_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transfer:
    """Connections to wherever a bundle is, kept while they are of use."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._trust = trust(ca_file)
        self._client: httpx.AsyncClient | None = None

    async def get(
        self, url: str, headers: Mapping[str, str], *, authorization: str = "", limit_bytes: int, time_s: float
    ) -> Answer:
        """The answer to a GET, also after a redirect. The body is as it was sent. Raises: NotFetched."""
        return await self._ask("GET", url, headers, b"", authorization, limit_bytes, time_s)

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        *,
        authorization: str = "",
        limit_bytes: int,
        time_s: float,
    ) -> Answer:
        """The answer to a request with a body, which is sent once and to no other address. Raises: NotFetched."""
        return await self._ask(method, url, headers, content, authorization, limit_bytes, time_s)

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        authorization: str,
        limit_bytes: int,
        time_s: float,
    ) -> Answer:
        import httpx  # a quarter of a second that most starts do not need

        first = origin(url)
        try:
            async with asyncio.timeout(time_s):
                for _ in range(_REDIRECTS):
                    own = {"authorization": authorization} if authorization and origin(url) == first else {}
                    answer = await self._once(method, url, {**headers, **own}, content, limit_bytes, time_s)
                    if method != "GET" or answer.status not in _REDIRECT_STATUS:
                        return answer
                    url = _next(url, answer.headers.get("location", ""))
        except (TimeoutError, httpx.TimeoutException):
            raise NotFetched(f"no whole answer within {time_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise NotFetched(f"no answer: {reason(error)}") from None
        raise NotFetched("the answer is one redirect after another")

    async def _once(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, limit_bytes: int, time_s: float
    ) -> Answer:
        import httpx

        if self._client is None:
            timeout = httpx.Timeout(time_s, connect=_CONNECT_S)
            self._client = httpx.AsyncClient(
                trust_env=False, follow_redirects=False, verify=self._trust, timeout=timeout
            )
        body = bytearray()
        sent = {"accept-encoding": "identity", "user-agent": "regate", **headers}
        async with self._client.stream(method, url, headers=sent, content=content or None) as response:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > limit_bytes:
                    raise NotFetched(f"the answer is longer than {limit_bytes} bytes")
            return Answer(response.status_code, dict(response.headers), bytes(body))

    async def close(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Whose certificates are good. Raises: SettingsError."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{ca_file} holds no certificates that can be read.") from error


def origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _next(url: str, location: str) -> str:
    target = urljoin(url, location)
    parts = urlsplit(target)
    if not location or parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotFetched("the answer is a redirect to nowhere")
    if url.startswith("https:") and parts.scheme != "https":
        raise NotFetched("the answer is a redirect to an address without TLS")
    return target
