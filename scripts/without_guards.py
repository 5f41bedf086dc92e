"""Takes out each guard of the gateway in turn, in a copy of the tree, and shows which of its tests then fail.

The tests of a guard are those that tests/eras/ledger.py names for its requirement. A guard that no test misses is the
only failure. Arguments are requirements (`G3 G26`); without any, all.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.guards import GUARDS, Guard
from tests.eras.ledger import LEDGER

ROOT = Path(__file__).resolve().parent.parent
_COPIED = ("sidecar", "translator", "rego", "examples", "tests")
_SHOWN = 4
_NEAR = ("bypass/", "sidecar/core/", "sidecar/downstream/", "sidecar/upstream/", "sidecar/path/", "sidecar/test_")
"""Where tests are quick and need no clients of others."""


def main(wanted: Sequence[str]) -> int:
    """How many guards nobody would miss; 0 is fine."""
    unmissed = 0
    with tempfile.TemporaryDirectory(prefix="without-guards-") as folder:
        tree = _copy(Path(folder))
        for guard in GUARDS:
            if wanted and guard.id not in wanted:
                continue
            failed = _failures(tree, guard)
            unmissed += not failed
            print(f"{guard.id} {guard.what}: {len(failed) or 'NO'} failures", flush=True)
            functions = dict.fromkeys(test.partition("[")[0] for test in failed)
            for test in [*functions][:_SHOWN]:
                print(f"    {test} ({sum(one.partition('[')[0] == test for one in failed)})")
            if len(functions) > _SHOWN:
                print(f"    and {len(functions) - _SHOWN} more")
    return min(unmissed, 1)


def without(guard: Guard, text: str) -> str:
    """The text of the guard's file without it. Raises: ValueError where its place is not exactly one."""
    if text.count(guard.there) != 1:
        raise ValueError(f"{guard.id} {guard.what}: {text.count(guard.there)} such places in {guard.file}")
    return text.replace(guard.there, guard.gone)


def _copy(folder: Path) -> Path:
    for name in _COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def _failures(tree: Path, guard: Guard) -> list[str]:
    file = tree / guard.file
    whole = file.read_text(encoding="utf-8")
    file.write_text(without(guard, whole), encoding="utf-8")
    try:
        return _run(tree, [f"tests/{test}" for test in LEDGER[guard.id].tests if test.startswith(_NEAR)])
    finally:
        file.write_text(whole, encoding="utf-8")


def _run(tree: Path, tests: Sequence[str]) -> list[str]:
    """The tests that fail, in order."""
    environment = {
        "XDG_CACHE_HOME": str(ROOT / ".cache"),
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=no",
        "--timeout=60",
        "--mutants=3000",
    ]
    done = subprocess.run([*command, *tests], cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"the tests could not be run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return re.findall(r"^(?:FAILED|ERROR) tests/(.+?)(?: - .*)?$", done.stdout, re.MULTILINE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
