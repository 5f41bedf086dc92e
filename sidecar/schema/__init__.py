"""The numbered migrations of each database, and how a file is brought up to them. Opens no file."""

import importlib.resources
from typing import Any, Literal, Protocol, TypeAlias

from sidecar.faults import other_version

Kind: TypeAlias = Literal["state", "audit"]


class Cursor(Protocol):
    """What runs a statement."""

    def execute(self, statement: str, /) -> Any: ...


class Connection(Cursor, Protocol):
    """What runs a statement and knows its transaction."""

    @property
    def in_transaction(self) -> bool: ...


def migrations(kind: Kind) -> list[tuple[int, list[str]]]:
    """The statements that lead to each schema version, lowest first.

    Shape: files `NNNN_name.sql`; a statement ends with a semicolon at the end of its line.
    """
    files = importlib.resources.files(__name__).joinpath(kind).iterdir()
    named = sorted((file.name, file) for file in files if file.name.endswith(".sql"))
    return [(int(name.split("_")[0]), _statements(file.read_text("utf-8"))) for name, file in named]


def latest(kind: Kind) -> int:
    """The schema version that this program reads and writes."""
    return migrations(kind)[-1][0]


def version(file: Cursor) -> int:
    """The schema version of an open file; 0 for an empty one."""
    return int(file.execute("PRAGMA user_version").fetchone()[0])


def rewrite_version(file: Cursor) -> None:
    """Writes the schema version as it is: the smallest write that changes nothing."""
    file.execute(f"PRAGMA user_version = {version(file)}")


def bring_up(connection: Connection, name: str, kind: Kind) -> None:
    """Brings an open file to the latest version, or leaves it as it was.

    Raises: StoreError (the file is newer), sqlite3.Error (also when it is locked).
    """
    steps = migrations(kind)
    ours = steps[-1][0]
    if version(connection) == ours:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        theirs = version(connection)
        if theirs > ours:
            raise other_version(name, theirs, ours)
        for number, statements in steps:
            for statement in statements if number > theirs else ():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {ours}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _statements(script: str) -> list[str]:
    return [statement for statement in script.split(";\n") if statement.strip()]
