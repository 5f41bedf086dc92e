"""`regate test`: case files run, and what came out otherwise printed. Judges nothing itself."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sidecar.cli import casefiles, files
from sidecar.cli.terminal import FormatOption, printable, say

if TYPE_CHECKING:
    from sidecar.proving.trial import Difference, Fields, Result

_BESIDE = 60
"""Wanted and got stand side by side while wanted is no wider than this, else one above the other."""
_SHOWN = 400

_EXAMPLE = """\b
Example:
  regate test cases.jsonl

Each line of a FILE is a case: a policy, calls and their times, and the answers wanted. The calls are
judged as the gateway judges them. Exit code 0: all came out as wanted; 1: some did not; 2: a line is
no case, or there is none; 3: cannot decide.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("test", epilog=_EXAMPLE)(run_cases)


def run_cases(
    cases: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, hidden=True)],
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", exists=True, dir_okay=False, help="For cases that bring no policy."),
    ] = None,
    output: FormatOption = "text",
) -> None:
    """Run cases: calls to a policy, and the answers wanted."""
    held = casefiles.read(cases, None if policy is None else files.read(policy))
    from sidecar.proving.oracle import finished
    from sidecar.proving.trial import run

    results = finished(run(held.cases))
    counts = Counter[str](result.status for result in results)
    if output == "json":
        told = [_document(path, result) for path, result in zip(held.paths, results, strict=True)]
        names = ("passed", "failed", "undecided")
        document = {name: counts[name] for name in names} | {"faults": held.documents(), "cases": told}
        say(json.dumps(document, ensure_ascii=False))
    else:
        for path, result in zip(held.paths, results, strict=True):
            for line in _lines(path, result):
                say(line)
        say(_summary(counts, len(held.faults)))
    code = 1 if counts["failed"] else 2 if held.faults or not results else 3 if counts["undecided"] else 0
    if code:
        raise typer.Exit(code)


def _summary(counts: Counter[str], faults: int) -> str:
    total = sum(counts.values())
    parts = [f"{counts[name]} {name}" for name in ("passed", "failed", "undecided") if counts[name]]
    bad = f"; {faults} fault{'s' * (faults != 1)} in the files" if faults else ""
    return f"{total} case{'s' * (total != 1)}: {', '.join(parts) or 'nothing to run'}{bad}"


def _lines(path: Path, result: "Result") -> Iterator[str]:
    if result.status == "passed":
        return
    case = result.case
    title = f": {case.title}" if case.title else ""
    yield printable(f"{path}:{case.line}: {result.status.upper()} {case.id}{title}")
    if result.reason:
        yield printable(f"  {result.reason}")
    for difference in result.differences:
        yield from _difference(difference)
    yield ""


def _difference(difference: "Difference") -> Iterator[str]:
    where = f"call {difference.call}: " if difference.call is not None else ""
    yield printable(f"  {where}{_cut(difference.what)}")
    names = [
        name for name in difference.got if difference.got[name] != difference.wanted.get(name) or name == "outcome"
    ]
    rows = [(name, _shown(difference.wanted, name), _shown(difference.got, name)) for name in names]
    label = max(len(name) for name in (*names, ""))
    width = max([len("wanted"), *(len(wanted) for _, wanted, _ in rows)])
    if width <= _BESIDE:
        yield f"    {'':{label}}  {'wanted':{width}}  got"
        for name, wanted, got in rows:
            yield f"    {name:{label}}  {wanted:{width}}  {got}".rstrip()
        return
    for name, wanted, got in rows:
        yield f"    {name:{label}}  wanted  {wanted}"
        yield f"    {'':{label}}  got     {got}"


def _shown(fields: "Fields", name: str) -> str:
    value = fields.get(name)
    return "-" if value is None else _cut(printable(value)) or '""'


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def _document(path: Path, result: "Result") -> dict[str, Any]:
    from msgspec import to_builtins

    case = result.case
    return {
        "file": str(path),
        "line": case.line,
        "id": case.id,
        "title": case.title,
        "status": result.status,
        "reason": result.reason,
        "differences": to_builtins(result.differences),
    }
