"""Tokens of grants in the settings: read where they are kept, and never weak."""

import hashlib
from pathlib import Path

import pytest

from sidecar.errors import SettingsError
from sidecar.settings.grants import TokenGrant

TOKEN = "0123456789abcdef0123"


def test_grant_token_from_environment_is_hashed() -> None:
    grant = TokenGrant(server="a", policy=None, token_env="T")
    assert grant.token({"T": TOKEN}) == TOKEN
    assert grant.token_hash({"T": TOKEN}) == hashlib.sha256(TOKEN.encode()).hexdigest()


def test_grant_token_from_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="ascii")
    assert TokenGrant(server="a", policy="p", token_file=file).token() == TOKEN


def test_grant_with_a_hash_knows_no_token() -> None:
    grant = TokenGrant(server="a", policy="p", token_sha256="ab" * 32)
    assert grant.token() is None
    assert grant.token_hash() == "ab" * 32


@pytest.mark.parametrize("token", ["short", "with a space in the middle", "ünïcödé-ünïcödé-ünïcödé"])
def test_grant_token_that_is_weak_is_refused(token: str) -> None:
    with pytest.raises(SettingsError, match="too weak") as raised:
        TokenGrant(server="a", policy="p", token_env="T").token({"T": token})
    assert token not in str(raised.value)
