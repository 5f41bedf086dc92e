"""The public keys of an authorization server (JWKS): held, found by id, read again within bounds.

Only here is a JWK made a key. A key that could also be a secret (`oct`) is none. Source: RFC 7517, RFC 7518.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import jwt

from sidecar.errors import KeysAwaited, KeysUnavailable, SidecarError

JWKS_BYTES = 1024 * 1024
PAUSE_S = 5.0
RETRY_S = 15.0
BELIEVED = 12
_KEYS = 256
_RSA_BITS = 2048
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")

Held = dict[tuple[str | None, str], list[Any]]
"""Keys by their id and an algorithm each is good for."""


class Keys:
    """The keys that `read` last gave. They are read every `refresh_s`, and when a token names one that is not held.

    Nobody can have them read more often than every `PAUSE_S`. Keys that could not be read again for `BELIEVED` times
    `refresh_s` are dropped. `edition` counts the changes: whatever was found by the keys of another edition is void.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        warn: Callable[[SidecarError], None],
        *,
        refresh_s: float = 300.0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._warn = warn
        self._refresh_s = refresh_s
        self._now_s = now_s
        self._held: Held = {}
        self._document = b""
        self._good_s = self._tried_s = float("-inf")
        self._reading: asyncio.Task[bool] | None = None
        self._failing = False
        self.edition = 0

    def find(self, kid: str | None, algorithm: str) -> list[Any]:
        """The keys of this id, good for this algorithm; a token without an id needs the only such key.

        Raises: KeysAwaited (a reading may find it: `read_again` first), KeysUnavailable (none are held).
        """
        if self._now_s() - self._good_s > BELIEVED * self._refresh_s:
            self._drop()
        if kid is None:
            found = [key for (_, fit), keys in self._held.items() if fit == algorithm for key in keys]
            found = found if len(found) == 1 else []
        else:
            found = self._held.get((kid, algorithm), [])
        if not found and (self._reading is not None or self._now_s() - self._tried_s >= PAUSE_S):
            raise KeysAwaited("The keys of the authorization server must be read first.")
        if not self._held:
            raise KeysUnavailable("Tokens cannot be checked now: the keys of the authorization server are not known.")
        return found

    async def read_again(self) -> bool:
        """Reads the keys, once for all who wait; whether that went well. Never raises."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._renew())
        return await asyncio.shield(self._reading)

    async def run(self) -> None:
        """Keeps the keys fresh, once they were read, until cancelled."""
        while True:
            await asyncio.sleep(min(RETRY_S, self._refresh_s) if self._failing else self._refresh_s)
            await self.read_again()

    async def _renew(self) -> bool:
        try:
            document = await self._read()
            if document != self._document or not self._held:
                self._held, self._document = keys_of(document), document
                self.edition += 1
            self._good_s = self._now_s()
            self._failing = False
        except SidecarError as error:
            if not self._failing:
                self._warn(error)
            self._failing = True
            if self._now_s() - self._good_s > BELIEVED * self._refresh_s:
                self._drop()
        finally:
            self._tried_s = self._now_s()
            self._reading = None
        return not self._failing

    def _drop(self) -> None:
        if self._held:
            self._held, self._document = {}, b""
            self.edition += 1


def keys_of(document: bytes) -> Held:
    """The keys in a JWKS that can verify a signature. Raises: KeysUnavailable (it is none, or holds no such key)."""
    try:
        members = json.loads(document)["keys"] if len(document) <= JWKS_BYTES else None
    except (ValueError, TypeError, KeyError, RecursionError):
        members = None
    if not isinstance(members, list) or len(members) > _KEYS:
        raise KeysUnavailable("What was read as the keys of the authorization server is not a JWKS.")
    held: Held = {}
    for jwk in members:
        kid = jwk.get("kid") if isinstance(jwk, dict) else 0
        if kid is not None and not isinstance(kid, str):
            continue
        for algorithm, key in _usable(jwk):
            held.setdefault((kid, algorithm), []).append(key)
    if not held:
        raise KeysUnavailable("The JWKS of the authorization server holds no key that can verify a signature.")
    return held


def _usable(jwk: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The algorithms that a key is for, each with the key; none if it is for something else, or too weak."""
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return []
    curve = _CURVES.get(str(jwk.get("crv")))
    could: tuple[str | None, ...] = _RSA if jwk.get("kty") == "RSA" else (curve,)
    fit = [name for name in could if name is not None and jwk.get("alg", name) == name]
    if not fit or jwk.get("kty") not in ("RSA", "EC", "OKP") or "d" in jwk:
        return []
    try:
        key = jwt.PyJWK(dict(jwk), fit[0]).key
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        return []
    if getattr(key, "key_size", _RSA_BITS) < _RSA_BITS and jwk["kty"] == "RSA":
        return []
    return [(name, key) for name in fit]
