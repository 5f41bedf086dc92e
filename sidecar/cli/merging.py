"""`regate merge`: several policies made one. Needs no OPA and no gateway."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli import files
from sidecar.cli.made import OutputOption, finish
from sidecar.cli.terminal import FormatOption

if TYPE_CHECKING:
    from translator.errors import Problem

_EXAMPLE = """\b
Example:
  regate merge exchange.json mail.json -o policy.json

All must have the same default. A tool that several name must have the same rules in each. Warnings and problems go to
standard error, as PATH:LINE:COLUMN: POINTER: MESSAGE. Exit code 0: merged; 1: not merged; 2: wrong
usage.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("merge", epilog=_EXAMPLE)(merge)


def merge(
    policies: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, hidden=True)],
    output: OutputOption = None,
    output_format: FormatOption = "text",
) -> None:
    """Make one policy of several."""
    from translator import PolicyRejected
    from translator.merge import merge as merged

    policy = None
    try:
        made = merged([(str(path), files.read(path)) for path in policies])
        policy, findings = made.text, made.warnings
    except PolicyRejected as error:
        findings = error.problems
    finish(policy, findings, _file, output=output, as_json=output_format == "json")


def _file(finding: "Problem") -> Path | None:
    return Path(finding.policy) if finding.policy else None
