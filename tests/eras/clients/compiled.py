"""Clients of languages that are compiled, built from their own lock files into the cache. Judges nothing.

Maven has no lock file: pom.xml names exact versions, and what those need is as their authors say.
"""

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.eras.clients.foreign import Start
from tests.npm import CACHE

HERE = Path(__file__).parent
BUILT = CACHE / "clients"
BUILD_S = 1200
INDEX = "https://github.com/rust-lang/crates.io-index"
"""By which Cargo knows where packages are from, whatever it fetches them from. Our lock file leaves it out."""


class NoTool(Exception):
    """A compiler is not there; the message names it."""


@cache
def go() -> Start:
    return Start([_made("go", "go", "build", "-o", str(BUILT / "go"), ".")])


@cache
def rust() -> Start:
    sources = BUILT / "rust-sources"
    shutil.copytree(HERE / "rust", sources, dirs_exist_ok=True)
    lock = sources / "Cargo.lock"
    lock.write_text(lock.read_text(encoding="utf-8").replace('"registry"', f'"registry+{INDEX}"'), encoding="utf-8")
    _made(str(sources), "cargo", "build", "--quiet", "--locked", "--target-dir", str(BUILT / "rust"))
    return Start([str(BUILT / "rust" / "debug" / "clients")])


@cache
def java() -> Start:
    into = _made("java", "mvn", "-q", "-B", f"-Dbuilt={BUILT / 'java'}", "compile", "dependency:copy-dependencies")
    return Start(["java", "-cp", f"{into}/classes:{into}/dependency/*", "Program"])


def _made(name: str, tool: str, *arguments: str) -> str:
    """The place where what is in folder `name` was built. Raises: NoTool."""
    if shutil.which(tool) is None:
        raise NoTool(f"There is no {tool} here.")
    BUILT.mkdir(parents=True, exist_ok=True)
    command: Sequence[str] = [tool, *arguments]
    done = subprocess.run(command, cwd=HERE / name, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(BUILT / name)
