"""Finds an OPA that we can use, or has the pinned one obtained. Nothing here runs OPA as a server.

Usable is 1.22.0 and every later 1.x: 1.22.0 is what every test runs on, a later minor keeps to it by OPA's
promise, an earlier one we never tried (and before 1.4.0 the Data API let a caller inject Rego, CVE-2025-46569).
An unreadable version is no version. Which binary runs is the one thing asked of the environment before settings.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.errors import OpaMissing
from sidecar.opa.release import PINNED, Bounds, Say, obtain, system

VARIABLE = "REGATE_OPA"

_VERSION = re.compile(r"^Version: (\d{1,9})\.(\d{1,9})\.(\d{1,9})([-+]\S+)?$", re.MULTILINE)
_OLDEST = (*map(int, PINNED.split(".")), True)
_VERSION_S = 10.0


def find() -> Path | None:
    """The OPA to use: the one named in REGATE_OPA, else on PATH, beside us, in our cache, or None. No network.

    Raises: OpaMissing (REGATE_OPA names something unusable; nothing else is tried then).
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        path = Path(chosen).absolute()
        reason = fault(path)
        if reason is not None:
            raise OpaMissing(f"{VARIABLE} names {chosen}, which {reason}.", hint=f"Correct or unset {VARIABLE}.")
        return path
    on_path = shutil.which("opa")
    for candidate in (Path(on_path).absolute() if on_path else None, beside(), cached()):
        if candidate is not None and fault(candidate) is None:
            return candidate
    return None


def ensure(say: Say, bounds: Bounds | None = None) -> Path:
    """The OPA to use, obtained into our cache if there is none; `say` is given lines of progress.

    Raises: OpaMissing.
    """
    found = find()
    if found is not None:
        return found
    target = cached()
    if target is None:
        raise OpaMissing("There is no home folder to keep OPA in.", hint="Set XDG_CACHE_HOME, or REGATE_OPA.")
    with _alone(target, say):
        if fault(target) is not None:
            obtain(target, say, fault, bounds)
    return target


def beside() -> Path:
    """Where `make setup` leaves a link to its OPA, for whatever PATH and HOME a client starts us with."""
    return Path(sys.prefix) / "bin" / "opa"


def cached() -> Path | None:
    """Where we keep the pinned OPA, or None where there is no home folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not Path(base).is_absolute():
        try:
            base = str(Path.home() / ".cache")
        except RuntimeError:
            return None
    return Path(base) / "regate" / "-".join(("opa", PINNED, *system()))


def fault(path: Path) -> str | None:
    """Why this binary cannot be used ("does not run here", "is OPA 1.9.0, …"), or None."""
    try:
        done = subprocess.run(
            [path, "version"],
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VERSION_S,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return "does not run here"
    found = _VERSION.search(done.stdout.decode(errors="replace"))
    if found is None:
        return "does not tell its version"
    major, minor, patch, suffix = found.groups()
    released = not (suffix or "").startswith("-")
    if int(major) == _OLDEST[0] and (int(major), int(minor), int(patch), released) >= _OLDEST:
        return None
    return f"is OPA {major}.{minor}.{patch}{suffix or ''}, and {PINNED} or a newer {_OLDEST[0]}.x is needed"


@contextmanager
def _alone(target: Path, say: Say) -> Iterator[None]:
    """Holds off other processes that would obtain the same file."""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(target.with_name(f"{target.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OpaMissing(
            f"{target.parent} cannot be written: {error.strerror}.", hint="Set XDG_CACHE_HOME, or REGATE_OPA."
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another process is obtaining OPA; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
