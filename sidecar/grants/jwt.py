"""Tokens of an authorization server (JWT) → grants. Keeps no token: a verified one is remembered by its hash.

Source: RFC 9068, RFC 8725, RFC 7519; mcp-gateway.md G48, G49.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import msgspec

from sidecar.errors import UnknownGrant, WrongServer
from sidecar.grants import token as tokens
from sidecar.grants.keys import Keys
from sidecar.grants.rules import Rules
from sidecar.ports import Grant

TOKEN_BYTES = 16 * 1024
LEEWAY_S = 30
REMEMBERED = 10_000

_FAULTS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired"),
    (jwt.ImmatureSignatureError, "it is not valid yet"),
    (jwt.InvalidAudienceError, "it is for another audience"),
    (jwt.InvalidIssuerError, "it is of another issuer"),
    (jwt.InvalidSignatureError, "its signature is wrong"),
    (jwt.MissingRequiredClaimError, "it lacks iss, aud or exp"),
)
_OTHER_FAULT = "it is not a well-formed JWT"


class _Header(msgspec.Struct):
    """What is believed of a token's header: how to look for the key, and nothing else."""

    alg: str
    kid: str | None = None
    crit: msgspec.Raw = msgspec.Raw()


class _Remembered(msgspec.Struct, frozen=True):
    digest: bytes
    grant: Grant
    until: float
    edition: int


class JwtGrants:
    """The port `Bearers`. `audiences` are, for each server, the values of which `aud` must hold one."""

    def __init__(
        self,
        keys: Keys,
        rules: Rules,
        *,
        issuer: str,
        audiences: Mapping[str, frozenset[str]],
        algorithms: frozenset[str],
        now: Callable[[], float] = time.time,
    ) -> None:
        if any(name.startswith(("HS", "none")) for name in algorithms):
            raise ValueError("an authorization server's token is never signed with a shared secret")
        self._keys = keys
        self._rules = rules
        self._issuer = issuer
        self._audiences = audiences
        self._any_audience = frozenset().union(*audiences.values())
        self._algorithms = algorithms
        self._now = now
        self._remembered: dict[tuple[bytes, str], _Remembered] = {}

    def resolve(self, token: bytes, server: str) -> Grant:
        """The grant of a token for this server. Raises: GrantError, of which KeysAwaited asks for `settle`."""
        digest = tokens.digest(token)
        known = self._remembered.get((digest, server))
        if (
            known is not None
            and known.until > self._now()
            and known.edition == self._keys.edition
            and hmac.compare_digest(known.digest, digest)
        ):
            return known.grant
        self._remembered.pop((digest, server), None)
        claims = self._claims(token)
        if not _audience(claims) & self._audiences[server]:
            raise WrongServer("This token is for another server.")
        grant = self._rules.grant(claims, server)
        if len(self._remembered) >= REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        until = float(claims["exp"]) + LEEWAY_S
        self._remembered[digest, server] = _Remembered(digest, grant, until, self._keys.edition)
        return grant

    async def settle(self) -> None:
        """Waits for the keys to be read again. Never raises."""
        await self._keys.read_again()

    def _claims(self, token: bytes) -> dict[str, Any]:
        """What a token says, all of it verified but whom it is for among our servers. Raises: GrantError."""
        if len(token) > TOKEN_BYTES:
            raise _invalid(f"it is longer than {TOKEN_BYTES} bytes")
        header = _header(token)
        if header.alg not in self._algorithms:
            raise _invalid("it is not signed in an allowed way")
        if header.crit:
            raise _invalid("it demands an extension that is not known")
        why = "it is signed with a key that is not known"
        for key in self._keys.find(header.kid, header.alg):
            try:
                return self._decoded(token, key, header.alg)
            except jwt.InvalidSignatureError as error:
                why = _words(error)
            except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
                raise _invalid(_words(error)) from None
        raise _invalid(why)

    def _decoded(self, token: bytes, key: Any, algorithm: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=self._issuer,
            audience=self._any_audience,
            leeway=LEEWAY_S,
            options={"require": ["iss", "aud", "exp"]},
        )
        return claims


def _header(token: bytes) -> _Header:
    """A token's header, unverified. Raises: UnknownGrant."""
    part, dot, rest = token.partition(b".")
    if not dot or rest.count(b".") != 1:
        raise UnknownGrant("This token is not valid.")
    try:
        return msgspec.json.decode(base64.b64decode(part + b"=" * (-len(part) % 4), b"-_", validate=True), type=_Header)
    except (msgspec.MsgspecError, binascii.Error, ValueError, RecursionError):
        raise _invalid(_OTHER_FAULT) from None


def _audience(claims: Mapping[str, Any]) -> frozenset[str]:
    given = claims["aud"]
    return frozenset([given] if isinstance(given, str) else given)


def _words(error: Exception) -> str:
    return next((words for kind, words in _FAULTS if isinstance(error, kind)), _OTHER_FAULT)


def _invalid(why: str) -> UnknownGrant:
    return UnknownGrant(f"This token is not valid: {why}.")
