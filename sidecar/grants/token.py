"""What a grant's token looks like and what is kept of it: never the token itself."""

import hashlib
import secrets

PREFIX = "rg_"
_RANDOM_BYTES = 32


def mint() -> str:
    """A new token: `rg_` and 256 random bits, base64url."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(token: bytes) -> bytes:
    """The SHA-256 of a token. With 256 random bits no salt and no slow hash is needed."""
    return hashlib.sha256(token).digest()
