"""What is wrong with a store's file."""

import sqlite3

import pytest

from sidecar.errors import StoreError
from sidecar.faults import is_busy, other_version, renamed


def fault(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("some words of SQLite's")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_BUSY, "is locked by another process"),
        (sqlite3.SQLITE_BUSY_RECOVERY, "is locked by another process"),
        (sqlite3.SQLITE_LOCKED, "is locked by another process"),
        (sqlite3.SQLITE_FULL, "has no space left"),
        (sqlite3.SQLITE_READONLY, "is read-only"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "is read-only"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
        (sqlite3.SQLITE_IOERR_WRITE, "cannot be read or written"),
        (sqlite3.SQLITE_CORRUPT, "is damaged"),
        (sqlite3.SQLITE_NOTADB, "is no SQLite file"),
        (sqlite3.SQLITE_ERROR, "could not be used"),
    ],
)
def test_renamed_result_code_said_in_words(code: int, said: str) -> None:
    error = fault(code)
    named = renamed(error, "state.sqlite")
    assert str(named) == f"state.sqlite {said}."
    assert named.hint
    assert named.__cause__ is error


def test_renamed_other_error_cause_kept_text_not() -> None:
    error = ValueError("secret")
    named = renamed(error, "state.sqlite")
    assert str(named) == "state.sqlite could not be used."
    assert named.__cause__ is error


def test_renamed_store_error_as_it_is() -> None:
    error = StoreError("No.")
    assert renamed(error, "state.sqlite") is error


def test_is_busy_only_locks() -> None:
    busy = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_LOCKED)
    assert all(is_busy(fault(code)) for code in busy)
    assert not any(is_busy(error) for error in (fault(sqlite3.SQLITE_FULL), ValueError(), StoreError("No.")))


@pytest.mark.parametrize(("version", "said"), [(9, "newer regate"), (1, "this regate needs 3")])
def test_other_version_tells_which_way(version: int, said: str) -> None:
    assert said in str(other_version("state.sqlite", version, 3))
