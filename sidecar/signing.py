"""A bundle's files → its `.signatures.json`, as stock OPA verifies it. Reads no file and packs none.

Source: OPA's documentation, "Bundle signing". The same files and key give the same text with HS* and RS*; ES* and
PS* sign with fresh randomness each time.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from sidecar.errors import SidecarError

PATH = ".signatures.json"
KEY_ID = "default"
"""The name under which `opa run --verification-key` keeps its key; `opa sign` uses it, too."""
_MANIFEST = ".manifest"
_ENCRYPTED = b"ENCRYPTED"
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


class SigningFailed(SidecarError):
    """The key cannot sign with this algorithm."""

    code = "signing_failed"


def signatures(files: Mapping[str, str], key: bytes, algorithm: str) -> str:
    """The text of `.signatures.json`: one token that names every file with its digest.

    Shape: `key` is a private key in PEM, or for HS* the secret itself; `algorithm` is one of `algorithms.ALGORITHMS`.
    Raises: SigningFailed.
    """
    entries = [
        {"name": path, "hash": hashlib.sha256(hashed(path, text)).hexdigest(), "algorithm": "SHA-256"}
        for path, text in sorted(files.items())
    ]
    token = _token({"files": entries, "keyid": KEY_ID}, key, algorithm)
    return json.dumps({"signatures": [token]}, indent=2) + "\n"


def hashed(path: str, text: str) -> bytes:
    """What OPA takes the digest of: of a manifest, its meaning in the form that Go writes; else the bytes."""
    if path != _MANIFEST:
        return text.encode()
    canonical = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return canonical.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()


def _token(payload: Mapping[str, object], key: bytes, algorithm: str) -> str:
    if algorithm.startswith("HS"):
        wanted = int(algorithm[2:]) // 8
        if len(key) < wanted:
            raise SigningFailed(
                f"The key has {len(key)} bytes; {algorithm} needs at least {wanted}.",
                hint=f"Make one: openssl rand -hex {wanted} > secret.key",
            )
    elif _ENCRYPTED in key.partition(b"\n")[0]:
        raise SigningFailed("The key is encrypted.", hint="Decrypt it: openssl pkey -in KEY -out PLAIN")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return jwt.encode(dict(payload), key, algorithm, headers={"kid": KEY_ID})
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, AttributeError, Warning) as error:
        raise SigningFailed(
            f"The key cannot sign with {algorithm}.",
            hint=f"{algorithm} needs {_wanted(algorithm)}.",
        ) from error


def _wanted(algorithm: str) -> str:
    if algorithm.startswith("HS"):
        return "a secret that is no key in PEM"
    kind = f"EC key ({_CURVES[algorithm]})" if algorithm in _CURVES else "RSA key"
    return f"a private {kind} in PEM"
