"""The numbered migrations."""

import sqlite3

import pytest

from sidecar import schema


@pytest.mark.parametrize("kind", ["state", "audit"])
def test_migrations_numbered_without_gap(kind: schema.Kind) -> None:
    numbers = [number for number, _ in schema.migrations(kind)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("kind", ["state", "audit"])
def test_migrations_each_statement_whole(kind: schema.Kind) -> None:
    for _, statements in schema.migrations(kind):
        assert statements
        assert all(sqlite3.complete_statement(statement + ";") for statement in statements)
