"""Is a bundle signed by one of these keys, file by file? Reads no archive and asks nobody.

Source: OPA's documentation, "Bundle signing": `.signatures.json` holds tokens whose payload lists every file.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from sidecar.errors import SettingsError
from sidecar.signing import PATH, hashed
from sidecar.sources.archive import BundleRefused

_KEY_BYTES = 64 * 1024
_DIGESTS = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


@dataclass(frozen=True, slots=True)
class Key:
    """A key that bundles may be signed with: what a token is verified by, for one algorithm only."""

    id: str
    algorithm: str
    file: Path

    def read(self) -> bytes:
        """The public key in PEM, or the secret. Raises: SettingsError."""
        try:
            with self.file.open("rb") as file:
                data = file.read(_KEY_BYTES + 1)
        except OSError as error:
            raise SettingsError(
                f"bundle.keys: {self.file} cannot be read: {(error.strerror or 'failed').lower()}."
            ) from error
        if len(data) > _KEY_BYTES:
            raise SettingsError(f"bundle.keys: {self.file} is too large to be a key.")
        self._examine(data)
        return data

    def _examine(self, data: bytes) -> None:
        wanted = int(self.algorithm[2:]) // 8
        if self.algorithm.startswith("HS") and len(data) < wanted:
            raise SettingsError(
                f"bundle.keys: {self.file} has {len(data)} bytes; {self.algorithm} needs at least {wanted}."
            )
        if b"PRIVATE KEY" in data:
            raise SettingsError(
                f"bundle.keys: {self.file} holds a private key, which is not to be here.",
                hint="Give the public one: openssl pkey -in key.pem -pubout -out public.pem",
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                jwt.get_algorithm_by_name(self.algorithm).prepare_key(data)
        except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, AttributeError, Warning) as error:
            raise SettingsError(
                f"bundle.keys: {self.file} holds no key that {self.algorithm} could verify by."
            ) from error


def verify(files: Mapping[str, bytes], keys: Sequence[Key], scope: str) -> None:
    """Returns when one of the keys signed exactly these files for this scope. Raises: BundleRefused, SettingsError."""
    payload = _payload(_token(files), keys)
    if payload.get("scope", "") != scope:
        raise BundleRefused("The bundle is signed for another scope.")
    listed = _listed(payload)
    unlisted = sorted(files.keys() - listed.keys() - {PATH})
    missing = sorted(listed.keys() - files.keys())
    if unlisted or missing:
        which = f"holds {unlisted[0]!r}, which is not signed" if unlisted else f"lacks {missing[0]!r}, which is signed"
        raise BundleRefused(f"The bundle {which}.")
    for name, (algorithm, digest) in listed.items():
        if hashlib.new(_DIGESTS[algorithm], _hashed(name, files[name])).hexdigest() != digest:
            raise BundleRefused(f"The bundle's {name!r} is not what was signed.")


def claimed(files: Mapping[str, bytes]) -> str:
    """By which key, and how, the files say that they are signed; "" when they do not. Nothing is verified."""
    if PATH not in files:
        return ""
    try:
        head = jwt.get_unverified_header(_token(files))
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise BundleRefused("The bundle's signature cannot be read.") from error
    return f"keyid={head.get('kid')}, alg={head.get('alg')}"


def _token(files: Mapping[str, bytes]) -> str:
    if PATH not in files:
        raise BundleRefused("The bundle is not signed, and keys are set.")
    try:
        tokens = json.loads(files[PATH])["signatures"]
        (token,) = tokens
        if not isinstance(token, str):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleRefused(f"The bundle's {PATH} does not hold one signature.") from error
    return token


def _payload(token: str, keys: Sequence[Key]) -> dict[str, Any]:
    """What the token says, once one of the keys verifies it. A key counts for its own algorithm alone."""
    try:
        head = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise BundleRefused("The bundle's signature cannot be read.") from error
    named = head.get("kid")
    meant = [key for key in keys if named in (None, key.id) and key.algorithm == head.get("alg")]
    if not meant:
        raise BundleRefused(
            f"The bundle is signed by key {str(named)[:100]!r} with {str(head.get('alg'))[:20]!r}; no key set is that."
        )
    for key in meant:
        try:
            found: dict[str, Any] = jwt.decode(
                token, key.read(), [key.algorithm], options={"verify_aud": False, "verify_iat": False}
            )
            return found
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            raise BundleRefused("The bundle's signature is not valid at this time.") from error
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            continue
    raise BundleRefused("The bundle's signature is wrong.")


def _listed(payload: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    listed: dict[str, tuple[str, str]] = {}
    try:
        for entry in payload["files"]:
            name, digest, algorithm = entry["name"], entry["hash"], entry["algorithm"]
            name = name.removeprefix("/")
            if algorithm not in _DIGESTS or not isinstance(digest, str) or name in listed:
                raise TypeError
            listed[name] = (algorithm, digest.lower())
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleRefused("The bundle's signature does not list its files with SHA-256, 384 or 512.") from error
    return listed


def _hashed(name: str, data: bytes) -> bytes:
    try:
        return hashed(name, data.decode())
    except (ValueError, RecursionError) as error:
        raise BundleRefused(f"The bundle's {name!r} is not text.") from error
