"""Files that a command line names: read or written whole, or refused with one line. Not what is in them."""

import os
import tempfile
from pathlib import Path

from sidecar.errors import SidecarError


class FileFailed(SidecarError):
    """A file named on the command line cannot be read or written."""

    code = "file_failed"


def read(path: Path) -> bytes:
    """What the file holds. Raises: FileFailed."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise failed(path, "read", error) from error


def write(path: Path, data: bytes) -> None:
    """Replaces what the file holds, or makes it; whoever reads it meanwhile sees the old or the new, whole.

    A link stays a link and the file's mode stays; a device or a pipe is written to. Raises: FileFailed.
    """
    target = path.resolve()
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(data)
            return
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as scratch:
                scratch.write(data)
                os.fsync(scratch.fileno())
            Path(name).chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask())
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise failed(path, "written", error) from error


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def failed(path: Path, done: str, error: OSError) -> FileFailed:
    """The error to raise. `done` is what could not be: read, written."""
    return FileFailed(f"{path} cannot be {done}: {(error.strerror or 'failed').lower()}")
