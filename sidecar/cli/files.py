"""Files that a command line names: read whole, or refused with one line. Knows nothing of what is in them."""

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


def failed(path: Path, done: str, error: OSError) -> FileFailed:
    """The error to raise. `done` is what could not be: read, written."""
    return FileFailed(f"{path} cannot be {done}: {(error.strerror or 'failed').lower()}")
