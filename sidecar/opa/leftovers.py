"""Runtime directories that killed gateways left in the folder for temporary files. Removes nothing else.

A gateway that runs holds a lock on its own; one that was made just now may not have it yet, so young ones are left.
"""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

PREFIX = "regate-"
AGE_S = 3600.0

_CONTENT = {"opa.sock", "policy"}


def remove(folder: Path, now: float) -> None:
    """Removes those in `folder` that nobody holds any more; what cannot be removed stays."""
    for path in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            _remove(path, now)


def _remove(path: Path, now: float) -> None:
    """Raises: OSError (no directory, or a gateway holds it)."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found, names = os.fstat(handle), {entry.name for entry in path.iterdir()}
        if found.st_uid == os.geteuid() and now - found.st_mtime > AGE_S and "policy" in names and names <= _CONTENT:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(handle)
