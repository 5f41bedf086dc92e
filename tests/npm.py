"""Packages that npm fetches for tests, by a lock file, and a Node to run them. Knows no package but Node by name.

Versions and hashes are those of package-lock.json, which names no registry: npm asks the one it is set up for.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
CACHE = TESTS.parent / ".cache"
NODE = (22, 19)
"""The oldest version of Node that all of the packages run on."""
INSTALL_S = 300

_ours = ("EINTEGRITY", "EUSAGE", "EJSONPARSE")


class Unavailable(Exception):
    """The packages cannot be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class Packages:
    """The packages of one lock file, as they are installed."""

    node: Path
    modules: Path

    def command(self, script: str, *arguments: str) -> list[str]:
        """What runs a script of a package, named by its path in `node_modules`."""
        return [str(self.node), str(self.modules / script), *arguments]


def installed(folder: Path) -> Packages:
    """What the lock file in `folder` names, fetched if it is not there yet. Raises: Unavailable."""
    return Packages(node(), _modules(folder))


def node() -> Path:
    """A Node that is new enough: the machine's own, or one that npm fetches. Raises: Unavailable."""
    return _own_node() or _fetched_node()


def _own_node() -> Path | None:
    """The machine's Node, if it is new enough."""
    found = shutil.which("node")
    if found is None:
        return None
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.(\d+)\.", told)
    return Path(found) if version is not None and (int(version[1]), int(version[2])) >= NODE else None


def _fetched_node() -> Path:
    fetched = next(_modules(TESTS / "node").glob("node-*-*/bin/node"), None)
    if fetched is None:
        raise Unavailable(f"Node {NODE[0]}.{NODE[1]} or newer is needed, and npm has none for this machine.")
    return fetched


def _modules(folder: Path) -> Path:
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()[:16]
    modules = CACHE / f"npm-{folder.name}-{lock}" / "node_modules"
    with _alone():
        if not modules.exists():
            _install(folder, modules)
    return modules


def _install(lock: Path, modules: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable(f"There is no npm here, which the packages of {lock.relative_to(TESTS)} come by.")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(lock / name, folder)
        env = {**os.environ, "npm_config_cache": str(Path(folder, "npm")), "npm_config_update_notifier": "false"}
        try:
            done = subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=folder,
                env=env,
                capture_output=True,
                text=True,
                timeout=INSTALL_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"npm could not fetch {lock.relative_to(TESTS)} within {INSTALL_S} s.") from None
        if done.returncode != 0:
            assert not any(code in done.stderr for code in _ours), done.stderr
            code = re.search(r"npm error code (\w+)", done.stderr)
            why = code[1] if code else done.stderr[:500]
            raise Unavailable(f"npm could not fetch {lock.relative_to(TESTS)}: {why}.")
        modules.parent.mkdir(exist_ok=True)
        Path(folder, "node_modules").rename(modules)


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else installs meanwhile."""
    CACHE.mkdir(parents=True, exist_ok=True)
    lock = os.open(CACHE / "npm.lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
