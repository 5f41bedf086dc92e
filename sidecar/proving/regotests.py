"""Rego tests run by `opa test`, and which rules of the policies fired in them, by rule id. Judges no call itself.

OPA tells coverage by lines of the modules; each rule of a policy begins on a line of its own that names it.
"""

import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from sidecar.errors import CannotDecide, SidecarError
from translator import Bundle, Program
from translator.bundle import module_path
from translator.emit import module
from translator.literal import string

_PATIENCE_S = 600.0
_UNUSUAL = re.compile(r"[^A-Za-z0-9_.-]")


class FailedTests(SidecarError):
    """A Rego test does not pass, or is no Rego."""

    code = "tests_failed"
    hint = "Run `opa test` with the bundle and these files to see more."


class _Place(msgspec.Struct):
    row: int


class _Span(msgspec.Struct):
    start: _Place


class _File(msgspec.Struct):
    covered: list[_Span] = []


class _Report(msgspec.Struct):
    files: dict[str, _File]


def fired(bundle: Bundle, tests: Sequence[Path], opa: Path) -> Mapping[str, Counter[str]]:
    """By policy id, the rules that fired in the tests; a limit also when it was handed over to be counted.

    Raises: FailedTests, CannotDecide (OPA does not run, or says nothing that can be read).
    """
    with tempfile.TemporaryDirectory(prefix="regate-") as folder:
        (Path(folder) / "bundle.tar.gz").write_bytes(bundle.data)
        names = [_copied(path, Path(folder), index) for index, path in enumerate(tests)]
        done = _run([str(opa), "test", "--coverage", "--format=json", "bundle.tar.gz", *names], folder)
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).decode(errors="replace").split())
        raise FailedTests(f"The tests do not pass: {said[:600]}")
    try:
        report = msgspec.json.decode(done.stdout, type=_Report)
    except msgspec.MsgspecError as error:
        raise CannotDecide("OPA's report on the tests cannot be read.") from error
    found = {}
    for id_, compiled in bundle.policies.items():
        spans = report.files.get(module_path(id_), _File()).covered
        rows = {span.start.row for span in spans}
        found[id_] = Counter(rule for row, rule in _heads(compiled.program, id_) if row in rows)
    return found


def _copied(path: Path, folder: Path, index: int) -> str:
    """The file's new name: one that OPA does not read as a prefix or a URL."""
    name = f"{index}_{_UNUSUAL.sub('_', path.name)}"
    (folder / name).write_bytes(path.read_bytes())
    return name


def _run(command: list[str], folder: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.defpath, "HOME": folder}
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotDecide(f"OPA cannot run the tests: {type(error).__name__}.") from error


def _heads(program: Program, id_: str) -> Iterator[tuple[int, str]]:
    """The row at which each rule begins, and its id; a rule may have several."""
    sections = (*program.tools.values(), program.all_tools)
    guards = [guard.rule for section in sections for guard in section.guards]
    limits = [limit.rule for section in sections for limit in section.limits]
    ids = {string(rule): rule for rule in (*guards, *limits)}
    lines = module(program, id_, "").splitlines()
    for row, line in enumerate(lines, 1):
        if line.startswith("stop contains ["):
            words = re.findall(r'"(?:[^"\\]|\\.)*"', line)
            yield row, ids[words[1]]
        elif line.startswith("limits contains ["):
            yield row, ids[lines[row].removeprefix('\t"rule": ').removesuffix(",")]
