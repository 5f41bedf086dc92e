"""The small private files of a state directory: tokens, and a note for each gateway that runs on it.

The databases in it belong to `database`. Every file here has mode 0600 and is replaced whole.
"""

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sidecar.errors import StoreError

OPERATOR_TOKEN = "operator.token"  # noqa: S105 - the name of a file
GATEWAYS = "gateways"
TOKENS = "tokens"

_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs: where it listens, its process id, and whether its approvals are in a Redis, not here."""

    url: str
    pid: int
    shares: bool = False


def write_private(path: Path, data: bytes) -> None:
    """Puts `data` into a file only its owner can read; whoever reads it sees the old or the new one, whole.

    Raises: StoreError.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {_reason(error)}.") from error


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def kept_token(path: Path) -> str:
    """The token in a file, made on first use. Raises: StoreError (unreadable, damaged, or open to others)."""
    with contextlib.suppress(FileNotFoundError):
        return _read_token(path)
    token = new_token()
    write_private(path, f"{token}\n".encode())
    return token


def operator_token(state: Path) -> str:
    """The token that lets an operator ask a gateway on this state directory for its status. Raises: StoreError."""
    return kept_token(state / OPERATOR_TOKEN)


def run_token_file(state: Path, server: str) -> Path:
    """Where `regate run` keeps the token for this server."""
    return state / TOKENS / server


@contextlib.contextmanager
def announced(state: Path, gateway: Gateway) -> Iterator[None]:
    """Leaves a note that a gateway runs, for as long as the block does. Raises: StoreError."""
    path = state / GATEWAYS / f"{gateway.pid}.json"
    write_private(path, json.dumps(asdict(gateway)).encode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running(state: Path) -> list[Gateway]:
    """The gateways that run on this state directory, by process id; notes of dead ones are removed."""
    found = []
    for path in (state / GATEWAYS).glob("*.json"):
        gateway = _noted(path)
        if gateway is not None and _lives(gateway.pid):
            found.append(gateway)
        else:
            with contextlib.suppress(OSError):
                path.unlink()
    return sorted(found, key=lambda gateway: gateway.pid)


def _read_token(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise StoreError(
                    f"{path} can be read by others.", hint=f"Delete it, and a new token is made: rm {path}"
                )
            token = file.read(1024).strip()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {_reason(error)}.") from error
    if len(token) < _TOKEN_BYTES or not token.isprintable() or " " in token:
        raise StoreError(f"{path} holds no token.", hint=f"Delete it, and a new token is made: rm {path}")
    return token


def _noted(path: Path) -> Gateway | None:
    try:
        note = json.loads(path.read_bytes())
        url, pid, shares = note["url"], note["pid"], note.get("shares") is True
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Gateway(url, pid, shares) if isinstance(url, str) and isinstance(pid, int) and pid > 0 else None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _reason(error: Exception) -> str:
    return (error.strerror or "failed").lower() if isinstance(error, OSError) else "it is not plain text"
