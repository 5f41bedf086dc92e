"""Whether an open file is still where its path leads. Knows nothing of what is in it."""

import contextlib
import os
import time
from pathlib import Path

from sidecar.errors import StoreError

_SETTLED_NS = 1_000_000_000


class Presence:
    """Whether the files that were opened are still the ones that a path leads to.

    What is removed, added or renamed in a folder changes the folder's time of modification, so while
    that stands still one `stat` answers for all files. A time younger than a second proves nothing:
    file systems count it in steps of some milliseconds.
    """

    def __init__(self, path: Path, *, suffixes: tuple[str, ...] = ("", "-wal", "-shm")) -> None:
        self._name = path.name
        self._folder = os.fspath(path.parent)
        self._log = f"{path}-wal"
        self._files = [f"{path}{suffix}" for suffix in suffixes]
        self._settled: tuple[int, int, int] | None = None
        try:
            self._opened = self._identities()
        except OSError as error:
            raise self._gone() from error

    def check(self) -> None:
        """Raises: StoreError (removed, or replaced)."""
        try:
            folder = os.stat(self._folder)  # noqa: PTH116 - on the path of every call, and half the price
            at = (folder.st_dev, folder.st_ino, folder.st_mtime_ns)
            if at == self._settled:
                return
            self._settled = None
            same = self._identities() == self._opened
        except OSError as error:
            raise self._gone() from error
        if not same:
            raise self._gone()
        if time.time_ns() - folder.st_mtime_ns > _SETTLED_NS:
            self._settled = at

    def log_bytes(self) -> int:
        """The size of the write-ahead log; 0 if it cannot be known."""
        with contextlib.suppress(OSError):
            return Path(self._log).stat().st_size
        return 0

    def _gone(self) -> StoreError:
        return StoreError(
            f"{self._name} was removed or replaced while in use.",
            hint="Put it back. A restart without it begins with an empty store, so limits start from zero.",
        )

    def _identities(self) -> list[tuple[int, int]]:
        found = [Path(name).stat() for name in self._files]
        return [(stat.st_dev, stat.st_ino) for stat in found]
