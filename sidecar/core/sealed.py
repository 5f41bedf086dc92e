"""What a gateway has to know again of a call, sealed: its client carries it, and can neither read nor change it. Pure.

The key, the time and each nonce come from outside. Source: mcp-gateway.md G38; RFC 5116, RFC 5869.
"""

import base64
import hmac
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = "rg1."
OWN_ID = "gw-"
NONCE_BYTES = 12
Phase = Literal["upstream", "wait", "confirm"]
"""Who waits for what: the server for input, or the gateway for a person, by another way or by this one."""

_MARK_CHARACTERS = 16
_INFO = b"regate requestState 1"
_encode = msgspec.msgpack.Encoder().encode


class Claims(msgspec.Struct, frozen=True):
    """What a state says of the round before it.

    `counted`: the call's limits are taken. `approval` is the one the call has used, or waits for, under `rule` and
    `revision`; `person` answered it. `theirs` is the server's own state as JSON, or None where it gave none.

    Units: `expires_ms` is milliseconds since the Unix epoch.
    """

    phase: Phase
    expires_ms: int
    counted: bool = False
    approval: str = ""
    rule: str = ""
    revision: str = ""
    theirs: bytes | None = None
    person: str = ""


_decode = msgspec.msgpack.Decoder(Claims).decode


class Seal:
    """Seals and opens states. `key` is secret and outlives a restart, so states do too."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def close(self, claims: Claims, call: str, nonce: bytes) -> str:
        """The state of a call. `call` is what it is bound to; a nonce of `NONCE_BYTES` is for one state only."""
        return (
            PREFIX
            + base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, _encode(claims), _bound(call))).decode()
        )

    def open(self, state: str, call: str) -> tuple[Claims, bytes] | None:
        """The claims and the nonce of a state of this very call, or None: never ours, changed, or of another call."""
        from cryptography.exceptions import InvalidTag

        if not state.startswith(PREFIX):
            return None
        try:
            sealed = base64.b64decode(state.removeprefix(PREFIX), b"-_", validate=True)
            nonce = sealed[:NONCE_BYTES]
            return _decode(self._cipher.decrypt(nonce, sealed[NONCE_BYTES:], _bound(call))), nonce
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            return None

    def name(self, random: bytes) -> str:
        """The id of a question of the gateway's own. Any gateway of this key knows it again."""
        return f"{OWN_ID}{random.hex()}{self._mark(random)}"

    def has_named(self, question: str) -> bool:
        """Whether this is such an id. Servers, other gateways among them, number their questions as they like."""
        named, mark = question[len(OWN_ID) : -_MARK_CHARACTERS], question[-_MARK_CHARACTERS:]
        try:
            random = bytes.fromhex(named)
        except ValueError:
            return False
        return question.startswith(OWN_ID) and hmac.compare_digest(mark.encode(), self._mark(random).encode())

    def _mark(self, random: bytes) -> str:
        return hmac.digest(self._key, b"question:" + random, "sha256").hex()[:_MARK_CHARACTERS]

    @cached_property
    def _cipher(self) -> "AESGCM":
        """Made at the first state: to load what it takes costs a start more than most gateways ever need."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return AESGCM(HKDF(SHA256(), 32, None, _INFO).derive(self._key))


def _bound(call: str) -> bytes:
    return b"tools/call:" + call.encode()
