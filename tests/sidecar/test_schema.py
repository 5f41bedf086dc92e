"""The numbered migrations."""

import sqlite3

import pytest

from sidecar import schema
from sidecar.errors import StoreError


@pytest.mark.parametrize("kind", ["state", "audit"])
def test_migrations_numbered_without_gap(kind: schema.Kind) -> None:
    numbers = [number for number, _ in schema.migrations(kind)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("kind", ["state", "audit"])
def test_migrations_each_statement_whole(kind: schema.Kind) -> None:
    for _, statements in schema.migrations(kind):
        assert statements
        assert all(sqlite3.complete_statement(statement + ";") for statement in statements)


def test_bring_up_empty_file_latest_version_once() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.bring_up(connection, "state.sqlite", "state")
    assert schema.version(connection) == schema.latest("state")
    schema.bring_up(connection, "state.sqlite", "state")
    schema.rewrite_version(connection.cursor())
    assert schema.version(connection) == schema.latest("state")
    connection.close()


def test_bring_up_newer_file_store_error_left_alone() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer"):
        schema.bring_up(connection, "state.sqlite", "state")
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
