"""A bundle at a URL: asked for by its ETag, and waited for where the server offers that. Verifies nothing.

Source: OPA's documentation, "Bundle service API".
"""

from collections.abc import Callable

from sidecar.sources.archive import PACKED_BYTES
from sidecar.sources.source import Fetched, NotFetched, Unchanged
from sidecar.sources.transfer import Answer, Transfer

BUNDLES = "application/vnd.openpolicyagent.bundles"
"""The content type by which a server says that it can wait."""
_TRANSFER_S = 60.0
_ETAG_CHARACTERS = 1000


class HttpSource:
    """One URL. `token` gives the bearer token anew each time, or nothing."""

    def __init__(
        self, transfer: Transfer, url: str, token: Callable[[], str], *, every_s: float, wait_s: float
    ) -> None:
        self._transfer = transfer
        self._url = url
        self._token = token
        self._wait_s = wait_s
        self.every_s = every_s

    async def fetch(self, mark: str, *, wait: bool) -> Fetched | Unchanged:
        """The bundle, unless it is still the one that the mark names. Raises: NotFetched, SettingsError."""
        wait = wait and bool(mark) and self._wait_s > 0
        headers = {"accept": f"{BUNDLES}, application/gzip, */*"}
        if mark:
            headers["if-none-match"] = mark
        headers["prefer"] = f"modes=snapshot;wait={self._wait_s:g}" if wait else "modes=snapshot"
        token = self._token()
        answer = await self._transfer.get(
            self._url,
            headers,
            authorization=f"Bearer {token}" if token else "",
            limit_bytes=PACKED_BYTES,
            time_s=_TRANSFER_S + (self._wait_s if wait else 0),
        )
        if answer.status == 304 and mark:
            return Unchanged(self._waits(answer))
        if answer.status != 200:
            raise NotFetched(f"the server answers with status {answer.status}")
        return Fetched(answer.body, _sendable(answer.headers.get("etag", "")), self._waits(answer))

    def _waits(self, answer: Answer) -> bool:
        return self._wait_s > 0 and answer.headers.get("content-type", "").partition(";")[0].strip() == BUNDLES

    async def close(self) -> None:
        """Closes the connections."""
        await self._transfer.close()


def _sendable(etag: str) -> str:
    """The ETag, or "" when it cannot be sent back or kept: then the bundle is compared as a whole."""
    return etag if etag.isascii() and etag.isprintable() and len(etag) <= _ETAG_CHARACTERS else ""
