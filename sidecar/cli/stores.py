"""Opens the store of a state directory for one command. What is done with it belongs to the commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.errors import StoreError

if TYPE_CHECKING:
    from sidecar.database import Database


@contextmanager
def state_store(folder: Path, *, make: bool = False) -> "Iterator[Database]":
    """The store of grants, approvals and counters. Raises: StoreError (missing and not to be made, unusable)."""
    from sidecar.database import open_database

    if not make and not (folder / "state.sqlite").exists():
        raise missing(folder)
    database = open_database(folder, "state")
    try:
        yield database
    finally:
        database.close_now()


def missing(folder: Path) -> StoreError:
    """No gateway ever used this folder."""
    return StoreError(f"{folder} is no state directory", hint="Name the gateway's own with --state.")
