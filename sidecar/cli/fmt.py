"""`regate fmt`: policies rewritten in their one canonical form. What that form is, is the translator's."""

import difflib
from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli import files
from sidecar.cli.findings import lines
from sidecar.cli.terminal import printable, refuse, say

_EXAMPLE = """\b
Examples:
  regate fmt policies/*.json
  regate fmt --check --diff policies/*.json

Names every file it changed; with --check, every file it would change. What a policy means stays the same, and so does
its revision. Exit code 0: done, or nothing to do; 1: --check found some, or a policy has problems; 2: wrong usage.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("fmt", epilog=_EXAMPLE)(fmt)


def fmt(
    policies: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, hidden=True)],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit with 1 if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Print what changes, as a unified diff.")] = False,
) -> None:
    """Write policies in their canonical form."""
    from translator.source import MAX_BYTES

    found = False
    for path in policies:
        old = files.read(path)
        new = _canonical(path, old)
        if new is None:
            found = True
        elif new != old:
            if len(new) > MAX_BYTES:
                refuse(f"{path}: its canonical form would be larger than the {MAX_BYTES} bytes that a policy may have")
            if diff:
                _tell(path, old.decode(), new.decode())
            if not check:
                files.write(path, new)
            found = found or check
            say(f"{printable(str(path))}: {'not in canonical form' if check else 'rewritten'}")
    if found:
        raise typer.Exit(1)


def _canonical(path: Path, text: bytes) -> bytes | None:
    """The policy in its canonical form; None after its problems were told."""
    from translator import PolicyRejected, canonical
    from translator.compile import checked

    try:
        return canonical.text(checked(text).root).encode()
    except PolicyRejected as error:
        for problem in error.problems:
            for line in lines(problem, path):
                say(line)
        return None


def _tell(path: Path, old: str, new: str) -> None:
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), str(path), str(path), lineterm=""):
        say(printable(line))
