"""Session ids bound to a grant: the client's id is the upstream's with a MAC before it. No table, no I/O.

Source: mcp-gateway.md G21.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

_MAC_CHARACTERS = 32


class Sessions:
    """Wraps and unwraps session ids. `key` is secret and outlives a restart, so sessions do too."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def wrap(self, upstream_id: str, grant: str) -> str:
        """The id for this grant's client; visible ASCII if the upstream's is."""
        return f"{self._mac(upstream_id, grant)}.{upstream_id}"

    def unwrap(self, client_id: str, grant: str) -> str | None:
        """The upstream's id, or None when the id was never given to this grant."""
        mac, dot, upstream_id = client_id.partition(".")
        if not dot or not hmac.compare_digest(mac.encode(), self._mac(upstream_id, grant).encode()):
            return None
        return upstream_id

    def _mac(self, upstream_id: str, grant: str) -> str:
        text = f"{len(grant)}:{grant}:{upstream_id}".encode()
        return urlsafe_b64encode(hmac.digest(self._key, text, sha256)).decode()[:_MAC_CHARACTERS]
