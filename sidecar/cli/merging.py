"""`regate merge`: several policies made one. Needs no OPA and no gateway."""

from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli import files
from sidecar.cli.findings import lines, warning
from sidecar.cli.terminal import note, printable, say

OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", dir_okay=False, help="The policy to write.  [default: standard output]"
    ),
]

_EXAMPLE = """\b
Example:
  regate merge exchange.json mail.json -o policy.json

All must have the same default. A tool that several name must have the same rules in each. Warnings and problems go to
standard error, as PATH:LINE:COLUMN: POINTER: MESSAGE. Exit code 0: merged; 1: not merged.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("merge", epilog=_EXAMPLE)(merge)


def merge(
    policies: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, hidden=True)],
    output: OutputOption = None,
) -> None:
    """Make one policy of several."""
    from translator import PolicyRejected
    from translator.merge import merge as merged

    try:
        made = merged([(str(path), files.read(path)) for path in policies])
    except PolicyRejected as error:
        for problem in error.problems:
            for line in lines(problem, Path(problem.policy) if problem.policy else None):
                note(line)
        raise typer.Exit(1) from error
    for problem in made.warnings:
        note(warning(problem, Path(problem.policy)))
    put(made.text, output)


def put(policy: str, output: Path | None) -> None:
    """Writes a policy where it is wanted. Raises: FileFailed."""
    if output is None:
        say(policy.removesuffix("\n"))
        return
    files.write(output, policy.encode())
    note(f"{printable(str(output))}: written")
