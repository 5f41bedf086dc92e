"""`regate check`: policies judged as documents. Needs no OPA and no gateway."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli import files
from sidecar.cli.build import MapOption
from sidecar.cli.findings import lines
from sidecar.cli.terminal import say

PoliciesArgument = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, hidden=True)]

_EXAMPLE = """\b
Example:
  regate check policies/*.json

Prints every problem as PATH:LINE:COLUMN: POINTER: MESSAGE. Exit code 0: none; 1: some.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("check", epilog=_EXAMPLE)(check)


def check(policies: PoliciesArgument, approval_map: MapOption = None) -> None:
    """Tell every problem in policy files."""
    bad = [path for path in policies if not _is_good(path, approval_map or ())]
    if bad:
        raise typer.Exit(1)
    count = len(policies)
    say(f"{count} {'policy' if count == 1 else 'policies'}, no problems")


def _is_good(path: Path, approval_map: Sequence[str]) -> bool:
    """Is there no problem in the file? Every one is told."""
    from translator import PolicyRejected, translate

    try:
        translate({path.stem: files.read(path)}, approval_map=approval_map)
    except PolicyRejected as error:
        for problem in error.problems:
            for line in lines(problem, path):
                say(line)
        return False
    return True
