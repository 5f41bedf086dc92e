"""Which gateways live, told by locks that end with them. Knows nothing of what a dead one leaves behind.

A lock is held as long as its process lives, however it ends, and in whichever container it runs: process ids are not
told apart there.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.errors import StoreError

FOLDER = "containers"

_SUFFIX = ".lock"


class Lease:
    """A name that is ours until we end. Raises: StoreError (the folder cannot be written)."""

    def __init__(self, state: Path) -> None:
        self.name = secrets.token_hex(16)
        folder = state / FOLDER
        hidden = folder / f".{self.name}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            hidden.rename(folder / f"{self.name}{_SUFFIX}")
        except OSError as error:
            raise StoreError(f"{folder} cannot be written: {(error.strerror or 'failed').lower()}.") from error

    def release(self) -> None:
        """Gives the name up, as the end of the process does."""
        os.close(self._lock)


@contextmanager
def inherited(path: Path) -> Iterator[str | None]:
    """The name in a lock file, if whose it was is dead, and for as long as the block lasts ours; else None.

    The file is removed at the end of a block that raises nothing.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        yield path.name.removesuffix(_SUFFIX)
        path.unlink(missing_ok=True)
    finally:
        os.close(lock)


def known(state: Path) -> list[Path]:
    """The lock files of all who ever had a lease here and were not cleaned up after."""
    return sorted((state / FOLDER).glob(f"*{_SUFFIX}"))
