"""Session ids bound to a grant, event ids to a grant's session: each is the upstream's with a MAC before it.

No table, no I/O. Source: mcp-gateway.md G21, G26.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

_MAC_CHARACTERS = 32


class Sessions:
    """Wraps and unwraps session ids. `key` is secret and outlives a restart, so sessions do too."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def wrap(self, upstream_id: str, grant: str, *, elicits: bool = False) -> str:
        """The id for this grant's client; visible ASCII if the upstream's is. `elicits`: it can show a form (G33)."""
        return f"{self._mac(upstream_id, grant, elicits=elicits)}.{upstream_id}"

    def unwrap(self, client_id: str, grant: str) -> tuple[str, bool] | None:
        """The upstream's id and whether its client elicits, or None when the id was never given to this grant."""
        mac, dot, upstream_id = client_id.partition(".")
        for elicits in (False, True) if dot else ():
            if hmac.compare_digest(mac.encode(), self._mac(upstream_id, grant, elicits=elicits).encode()):
                return upstream_id, elicits
        return None

    def wrap_event(self, upstream_id: bytes, grant: str, session: str | None) -> bytes:
        """The event id for this grant's client in this session of the upstream's (None: outside of any)."""
        return b"%b.%b" % (self._event_mac(upstream_id, grant, session), upstream_id)

    def unwrap_event(self, client_id: bytes, grant: str, session: str | None) -> bytes | None:
        """The upstream's event id, or None when it was never given to this grant in this session."""
        mac, dot, upstream_id = client_id.partition(b".")
        if not dot or not hmac.compare_digest(mac, self._event_mac(upstream_id, grant, session)):
            return None
        return upstream_id

    def _mac(self, upstream_id: str, grant: str, *, elicits: bool) -> str:
        kind = "elicits:" if elicits else ""
        return self._digest(f"{kind}{len(grant)}:{grant}:{upstream_id}".encode()).decode()

    def _event_mac(self, upstream_id: bytes, grant: str, session: str | None) -> bytes:
        place = "" if session is None else f"{len(session)}:{session}"
        return self._digest(f"event:{len(grant)}:{grant}:{place}:".encode() + upstream_id)

    def _digest(self, text: bytes) -> bytes:
        return urlsafe_b64encode(hmac.digest(self._key, text, sha256))[:_MAC_CHARACTERS]
