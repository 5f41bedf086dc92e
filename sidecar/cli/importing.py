"""`regate import`: a policy made of a document of another shape. Needs no OPA and no gateway."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sidecar.cli import files
from sidecar.cli.inventories import ToolsOption, inventory
from sidecar.cli.made import OutputOption, finish
from sidecar.cli.terminal import FormatOption

_EXAMPLE = """\b
Examples:
  regate import intercept.yaml -o policy.json
  regate import snippet.json --fragment-default deny

What cannot be carried over, or means something a little different here, is told as a warning. Warnings and problems go
to standard error, as PATH:LINE:COLUMN: POINTER: MESSAGE. Exit code 0: imported; 1: not imported; 2: wrong usage.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("import", epilog=_EXAMPLE)(import_)


def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, hidden=True)],
    dialect: Annotated[
        Literal["intercept", "rules", "policy"] | None,
        typer.Option(
            "--dialect",
            help="What the file is written in: Intercept's YAML, the rules YAML of older pages, or JSON as here."
            "  [default: told by its members]",
        ),
    ] = None,
    fragment_default: Annotated[
        Literal["allow", "deny"] | None,
        typer.Option(
            "--fragment-default",
            help="Take a fragment, which has neither version nor default, with this fate for the tools it does not"
            " name.  [default: refuse fragments]",
        ),
    ] = None,
    tools: ToolsOption = None,
    output: OutputOption = None,
    output_format: FormatOption = "text",
) -> None:
    """Make a policy of a YAML document or a fragment."""
    from translator import PolicyRejected
    from translator.importing import Dialect, import_policy

    listed = inventory(tools) if tools is not None else None
    policy = None
    try:
        made = import_policy(
            files.read(file),
            dialect=Dialect(dialect) if dialect else None,
            fragment_default=fragment_default,
            tools=listed.tools if listed else None,
        )
        policy, findings = made.text, made.warnings
    except PolicyRejected as error:
        findings = error.problems
    finish(policy, findings, lambda _: file, output=output, as_json=output_format == "json")
