"""Tokens."""

import hashlib
import re

from sidecar.grants import token


def test_mint_prefix_and_256_bits() -> None:
    assert re.fullmatch(r"rg_[A-Za-z0-9_-]{43}", token.mint())


def test_mint_never_twice() -> None:
    assert len({token.mint() for _ in range(100)}) == 100


def test_digest_sha256() -> None:
    assert token.digest(b"rg_x") == hashlib.sha256(b"rg_x").digest()
