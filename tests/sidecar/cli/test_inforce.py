"""What is asked of a gateway, before an operator's page that a few lines play. A real one: test_end_to_end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import sidecar
from sidecar import statedir
from sidecar.cli import inforce, operator
from sidecar.core.limits import Claim
from sidecar.database import open_database
from sidecar.errors import CannotDecide
from sidecar.grants.sqlite import SqliteGrants
from sidecar.ports import Grant

PAGE: dict[str, Any] = {
    "version": sidecar.__version__,
    "id": "p",
    "revision": "sha256:1",
    "approval_map": ["Ask Ann."],
    "document": "{}",
    "counts_in_redis": False,
    "grants": [{"id": "given", "server": "git"}],
}


@contextmanager
def running(state: Path, url: str = "http://127.0.0.1:8700") -> Iterator[None]:
    database = open_database(state, "state")
    try:
        grants = SqliteGrants(database)
        if not grants.list():
            grants.create(Grant("made", "web", "p"))
            grants.create(Grant("gone", "web", "p"))
            grants.revoke("gone")
            grants.create(Grant("other", "web", "q"))
        with statedir.announced(state, statedir.Gateway(url, os.getpid())):
            yield
    finally:
        database.close_now()


@pytest.fixture
def tape(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """What was asked, with which token; the page of policy p is all there is."""
    asked: list[tuple[str, str, str]] = []

    def answer(url: str, token: str, path: str) -> dict[str, Any] | None:
        asked.append((url, token, path))
        return PAGE if path == "/policies/p" else None

    monkeypatch.setattr(operator, "asked", answer)
    return asked


def test_policy_in_force_comes_with_every_valid_grant_under_it(tmp_path: Path, tape: list[Any]) -> None:
    with running(tmp_path):
        found = inforce.policy("http://localhost:8700/mcp/git", tmp_path, "p")
    assert found == inforce.InForce("sha256:1", b"{}", ("Ask Ann.",), {"made": "web", "given": "git"})
    assert tape == [("http://127.0.0.1:8700", statedir.operator_token(tmp_path), "/policies/p")]


@pytest.mark.parametrize(
    ("ours", "given", "same"),
    [
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700/mcp", True),
        ("http://[::1]:8700", "http://localhost:8700", True),
        ("http://0.0.0.0:8700", "http://gate.example:8700/mcp", True),
        ("http://10.0.0.1:8700", "http://10.0.0.1:8700", True),
        ("http://127.0.0.1:80", "http://127.0.0.1", True),
        ("http://127.0.0.1:8700", "http://127.0.0.1:8701", False),
        ("http://127.0.0.1:8700", "http://gate.example:8700", False),
        ("http://127.0.0.1:8700", "http://127.0.0.1:port", False),
        ("http://127.0.0.1:8700", "nonsense", False),
    ],
)
def test_token_goes_to_the_gateway_of_this_state_directory_only(
    tmp_path: Path, tape: list[Any], ours: str, given: str, same: bool
) -> None:
    with running(tmp_path, ours):
        if same:
            inforce.policy(given, tmp_path, "p")
            assert [url for url, _, _ in tape] == [ours]
            return
        with pytest.raises(CannotDecide, match="No gateway at"):
            inforce.policy(given, tmp_path, "p")
    assert tape == []


def test_policy_that_the_gateway_does_not_have_cannot_be_explained(tmp_path: Path, tape: list[Any]) -> None:
    with running(tmp_path), pytest.raises(CannotDecide, match="tells no policy"):
        inforce.policy("http://127.0.0.1:8700", tmp_path, "../status")
    assert tape[0][2] == "/policies/..%2Fstatus"


def test_gateway_of_another_version_is_not_explained(
    tmp_path: Path, tape: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PAGE, "version", "0.0.1")
    with running(tmp_path), pytest.raises(CannotDecide, match="of another version"):
        inforce.policy("http://127.0.0.1:8700", tmp_path, "p")


def test_counters_are_read_as_they_stand(tmp_path: Path) -> None:
    database = open_database(tmp_path, "state")
    database.transact_now(lambda cursor: cursor.execute("INSERT INTO counters VALUES ('k', 60, 120, '1.5')"))
    database.close_now()
    claims = [Claim(key, 60, 120, Decimal(1), Decimal(9)) for key in ("k", "other")]
    assert inforce.standing(tmp_path, claims) == [Decimal("1.5"), Decimal(0)]


def test_counters_in_redis_are_not_taken_for_those_of_the_state_folder(tmp_path: Path) -> None:
    found = inforce.InForce("sha256:1", b"{}", (), {}, counts_in_redis=True)
    with pytest.raises(CannotDecide, match="counts in Redis"):
        found.standing(tmp_path, [Claim("k", 60, 120, Decimal(1), Decimal(9))])
    open_database(tmp_path, "state").close_now()
    assert found.standing(tmp_path, []) == []
