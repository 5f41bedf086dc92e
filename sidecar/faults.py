"""What is wrong with a store's file, in words a person can act on. Touches no file.

Source: sqlite.org/rescode.html; the low byte of an extended result code is the primary one.
"""

from sidecar.errors import StoreError

_BUSY, _LOCKED = 5, 6
_READONLY = 8
_IOERR = 10
_CORRUPT = 11
_FULL = 13
_CANTOPEN = 14
_NOTADB = 26

_BY_ANOTHER = ("is locked by another process", "Find the process that holds it open, and end it.")
_REASONS = {
    _BUSY: _BY_ANOTHER,
    _LOCKED: _BY_ANOTHER,
    _FULL: ("has no space left", "Free space on the disk of the state directory."),
    _READONLY: ("is read-only", "Make the state directory and its files writable for the gateway."),
    _CANTOPEN: ("cannot be opened", StoreError.hint),
    _IOERR: ("cannot be read or written", StoreError.hint),
    _CORRUPT: ("is damaged", "Restore it from a backup, or move it away to begin with an empty store."),
    _NOTADB: ("is no SQLite file", "Move it away, or name another state directory."),
}


def is_busy(error: BaseException) -> bool:
    """True if the same may work a moment later."""
    return _code(error) in (_BUSY, _LOCKED)


def renamed(error: Exception, name: str) -> StoreError:
    """A StoreError for whatever came up while the file `name` was used; the cause is kept."""
    if isinstance(error, StoreError):
        return error
    reason, hint = _REASONS.get(_code(error), ("could not be used", StoreError.hint))
    fault = StoreError(f"{name} {reason}.", hint=hint)
    fault.__cause__ = error
    return fault


def other_version(name: str, version: int, ours: int) -> StoreError:
    """A file of a schema that is not ours."""
    if version > ours:
        return StoreError(
            f"{name} was written by a newer regate (schema {version}, this one knows {ours}).",
            hint="Upgrade regate, or name another state directory.",
        )
    return StoreError(
        f"{name} has schema {version}, this regate needs {ours}.",
        hint="Start the gateway once on this state directory: it brings the file up to date.",
    )


def _code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
