"""A bundle in a file, which somebody replaces. Looked at often: that works for renames and for a ConfigMap's links."""

import asyncio
import os
import stat
import time
from pathlib import Path

from sidecar.sources.archive import PACKED_BYTES
from sidecar.sources.source import Fetched, NotFetched, Unchanged

_SETTLED_NS = 2_000_000_000


class FileSource:
    """One path, which may be a link to another file each time."""

    def __init__(self, path: Path, every_s: float) -> None:
        self._path = path
        self.every_s = every_s

    async def fetch(self, mark: str, *, wait: bool) -> Fetched | Unchanged:  # noqa: ARG002 - a file has nobody to wait
        """What the file holds. Raises: NotFetched."""
        try:
            return await asyncio.to_thread(_read, self._path, mark)
        except OSError as error:
            raise NotFetched(f"{self._path} cannot be read: {(error.strerror or 'failed').lower()}") from error

    async def close(self) -> None:
        """Nothing is kept open."""


def _read(path: Path, mark: str) -> Fetched | Unchanged:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise NotFetched(f"{path} is not a regular file")
        here = f"{status.st_dev}-{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"
        if here == mark:
            return Unchanged()
        data = file.read(PACKED_BYTES + 1)
        settled = time.time_ns() - status.st_mtime_ns > _SETTLED_NS
    return Fetched(data, here if settled else "")
