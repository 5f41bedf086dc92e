"""Grants in SQLite."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.database import Database, Reader, open_database
from sidecar.errors import StoreError
from sidecar.grants.sqlite import SqliteGrants, issued
from sidecar.ports import Grant


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path, "state", wait_s=0.05)
    yield opened
    opened.close_now()


@pytest.fixture
def grants(database: Database) -> SqliteGrants:
    return SqliteGrants(database)


def test_resolve_created_token_its_grant(grants: SqliteGrants) -> None:
    token = grants.create(Grant("alice", "bank", "payments"))
    other = grants.create(Grant("bob", "shop", None))
    assert grants.resolve(token.encode()) == Grant("alice", "bank", "payments")
    assert grants.resolve(other.encode()) == Grant("bob", "shop", None)


@pytest.mark.parametrize("token", [b"", b"rg_", b"rg_wrong", b"\xff\x00", b"x" * 100_000])
def test_resolve_unknown_token_none(grants: SqliteGrants, token: bytes) -> None:
    grants.create(Grant("alice", "bank", None))
    assert grants.resolve(token) is None


def test_resolve_no_grants_none(grants: SqliteGrants) -> None:
    assert grants.resolve(b"rg_x") is None
    assert grants.resolve(b"") is None


def test_resolve_grant_has_the_options_it_was_made_with(grants: SqliteGrants) -> None:
    bound = Grant("alice", "bank", "p", "callable", "all", "unknown", "confirm")
    assert grants.resolve(grants.create(bound).encode()) == bound
    kept = Grant("run", "bank", "p", "callable", "tools")
    grants.put(kept, b"rg_one")
    assert grants.resolve(b"rg_one") == kept
    assert [(one.list, one.policed_methods) for one in grants.list()] == [("callable", "all"), ("callable", "tools")]


def test_revoke_token_worthless_at_once(grants: SqliteGrants) -> None:
    token = grants.create(Grant("alice", "bank", None)).encode()
    assert grants.resolve(token)
    assert grants.revoke("alice")
    assert grants.resolve(token) is None
    assert not grants.revoke("alice")
    assert not grants.revoke("nobody")


def test_create_valid_id_store_error_old_token_kept(grants: SqliteGrants) -> None:
    token = grants.create(Grant("alice", "bank", None))
    with pytest.raises(StoreError, match="already") as caught:
        grants.create(Grant("alice", "shop", None))
    assert "revoke" in caught.value.hint
    assert grants.resolve(token.encode()) == Grant("alice", "bank", None)


def test_create_revoked_id_new_token_only(grants: SqliteGrants) -> None:
    old = grants.create(Grant("alice", "bank", None))
    grants.revoke("alice")
    new = grants.create(Grant("alice", "shop", "p"))
    assert grants.resolve(old.encode()) is None
    assert grants.resolve(new.encode()) == Grant("alice", "shop", "p")


def test_put_own_token_replaced_by_the_next(grants: SqliteGrants) -> None:
    grants.put(Grant("run", "bank", "p"), b"rg_one")
    grants.put(Grant("run", "bank", "p"), b"rg_one")
    assert grants.resolve(b"rg_one") == Grant("run", "bank", "p")
    grants.put(Grant("run", "bank", "q"), b"rg_two")
    assert grants.resolve(b"rg_one") is None
    assert grants.resolve(b"rg_two") == Grant("run", "bank", "q")


def test_put_revoked_id_valid_again(grants: SqliteGrants) -> None:
    grants.put(Grant("run", "bank", None), b"rg_one")
    grants.revoke("run")
    grants.put(Grant("run", "bank", None), b"rg_one")
    assert grants.resolve(b"rg_one") == Grant("run", "bank", None)


def test_put_token_of_another_grant_store_error(grants: SqliteGrants) -> None:
    grants.put(Grant("a", "bank", None), b"rg_one")
    with pytest.raises(StoreError):
        grants.put(Grant("b", "bank", None), b"rg_one")
    assert grants.resolve(b"rg_one") == Grant("a", "bank", None)


def test_list_all_by_id_with_times(grants: SqliteGrants) -> None:
    grants.create(Grant("bob", "shop", None))
    grants.create(Grant("alice", "bank", "p"))
    grants.revoke("bob")
    alice, bob = grants.list()
    assert (alice.id, alice.server, alice.policy, alice.revoked_at) == ("alice", "bank", "p", None)
    assert bob.id == "bob"
    for instant in (alice.created_at, bob.revoked_at or ""):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", instant)


def test_tokens_never_in_the_files(tmp_path: Path, grants: SqliteGrants) -> None:
    token = grants.create(Grant("alice", "bank", None)).encode()
    assert not [file for file in tmp_path.iterdir() if token in file.read_bytes() or token[3:] in file.read_bytes()]


_COMMAND = """
import sys
from pathlib import Path
from sidecar.database import Reader, open_database
from sidecar.grants.sqlite import SqliteGrants, issued
from sidecar.ports import Grant
database = open_database(Path(sys.argv[1]), "state")
grants = SqliteGrants(database)
if sys.argv[2] == "create":
    print(grants.create(Grant("carol", "bank", None)))
else:
    print(grants.revoke("carol"))
database.close_now()
"""


def test_resolve_change_by_another_process_seen_next_time(tmp_path: Path, grants: SqliteGrants) -> None:
    def command(verb: str) -> bytes:
        done = subprocess.run(
            [sys.executable, "-c", _COMMAND, str(tmp_path), verb], capture_output=True, timeout=60, check=True
        )
        return done.stdout.strip()

    assert grants.resolve(b"rg_x") is None
    token = command("create")
    assert grants.resolve(token) == Grant("carol", "bank", None)
    assert command("revoke") == b"True"
    assert grants.resolve(token) is None


def test_resolve_two_gateways_agree_within_20_milliseconds(
    tmp_path: Path, grants: SqliteGrants, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("sidecar.grants.sqlite.time.monotonic", lambda: now[0])
    other = open_database(tmp_path, "state")
    far = SqliteGrants(other)
    token = grants.create(Grant("alice", "bank", None)).encode()
    assert [store.resolve(token) for store in (grants, far)] == [Grant("alice", "bank", None)] * 2
    far.revoke("alice")
    assert far.resolve(token) is None
    now[0] += 0.0201
    assert grants.resolve(token) is None
    other.close_now()


def test_resolve_many_in_20_milliseconds_store_asked_once(
    database: Database, grants: SqliteGrants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.grants.sqlite.time.monotonic", lambda: 100.0)
    token = grants.create(Grant("alice", "bank", None)).encode()
    read: list[str] = []
    database._connection.set_trace_callback(read.append)
    assert all(grants.resolve(token) for _ in range(50))
    assert len(read) == 3


def test_edition_changes_with_the_grants_and_only_with_them(
    tmp_path: Path, grants: SqliteGrants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.grants.sqlite.FRESH_S", 0)
    before = grants.edition()
    assert grants.edition() == before
    other = open_database(tmp_path, "state")
    other.transact_now(lambda cursor: cursor.execute("INSERT INTO counters VALUES ('k', 0, 60, '1')"))
    assert grants.edition() == before
    SqliteGrants(other).create(Grant("new", "s", None))
    created = grants.edition()
    assert created != before
    grants.revoke("new")
    assert grants.edition() not in (before, created)
    other.close_now()


def test_resolve_other_tables_written_grants_not_read_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants = SqliteGrants(database)
    token = grants.create(Grant("alice", "bank", None)).encode()
    monkeypatch.setattr("sidecar.grants.sqlite.FRESH_S", 0.0)
    grants.resolve(token)
    read: list[str] = []
    database._connection.set_trace_callback(read.append)
    other = open_database(tmp_path, "state")
    other.transact_now(lambda cursor: cursor.execute("INSERT INTO counters VALUES ('k', 0, 60, '1')"))
    assert grants.resolve(token)
    assert not [statement for statement in read if "token_hash" in statement]
    other.close_now()


def test_resolve_store_gone_store_error(tmp_path: Path, grants: SqliteGrants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.grants.sqlite.FRESH_S", 0.0)
    token = grants.create(Grant("alice", "bank", None)).encode()
    grants.resolve(token)
    (tmp_path / "state.sqlite").rename(tmp_path / "away")
    with pytest.raises(StoreError):
        grants.resolve(token)
    (tmp_path / "away").rename(tmp_path / "state.sqlite")
    assert grants.resolve(token)


def test_issued_grants_can_be_read_beside_a_gateway(tmp_path: Path, grants: SqliteGrants) -> None:
    grants.create(Grant("alice", "bank", "careful"))
    grants.create(Grant("bob", "bank", None))
    grants.revoke("bob")
    reader = Reader(tmp_path / "state.sqlite", "state")
    try:
        found = issued(reader)
    finally:
        reader.close()
    assert [(one.id, one.policy, one.revoked_at is None) for one in found] == [
        ("alice", "careful", True),
        ("bob", None, False),
    ]
    assert found == grants.list()
