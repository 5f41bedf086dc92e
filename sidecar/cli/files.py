"""Files that a command line names: read or written whole, or refused with one line. Not what is in them."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sidecar.errors import SidecarError


class FileFailed(SidecarError):
    """A file named on the command line cannot be read or written."""

    code = "file_failed"


MAX_BYTES = 128 * 1024 * 1024
"""More than any file here needs, and no more than a device without end may take of memory."""


def read(path: Path) -> bytes:
    """What the file holds. Raises: FileFailed."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise failed(path, "read", error) from error
    if len(data) > MAX_BYTES:
        raise FileFailed(f"{path} cannot be read: it is larger than {MAX_BYTES} bytes")
    return data


def write(path: Path, data: bytes) -> None:
    """Replaces what the file holds, or makes it; whoever reads it meanwhile sees the old or the new, whole.

    A link stays a link and the file's mode stays; a device or a pipe is written to. Raises: FileFailed.
    """
    target = path.resolve()
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(data)
            return
        with _scratch(target, data) as scratch:
            scratch.chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask())
            scratch.replace(target)
    except OSError as error:
        raise failed(path, "written", error) from error


def create(path: Path, data: bytes) -> bool:
    """Makes the file, whole; False, and nothing done, when there is one already. Raises: FileFailed."""
    try:
        with _scratch(path, data) as scratch:
            scratch.chmod(0o666 & ~_umask())
            path.hardlink_to(scratch)
    except FileExistsError:
        return False
    except OSError as error:
        raise failed(path, "written", error) from error
    return True


@contextlib.contextmanager
def _scratch(target: Path, data: bytes) -> Iterator[Path]:
    """A file beside the target that holds the data, and is gone afterwards unless it took the target's place."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as scratch:
            scratch.write(data)
            os.fsync(scratch.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def failed(path: Path, done: str, error: OSError) -> FileFailed:
    """The error to raise. `done` is what could not be: read, written."""
    return FileFailed(f"{path} cannot be {done}: {(error.strerror or 'failed').lower()}")
