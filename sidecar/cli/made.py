"""The end of a command that made a policy: it is printed or written, and what was found is told. Makes none."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli import files
from sidecar.cli.findings import document, lines, warning
from sidecar.cli.terminal import note, printable, say

if TYPE_CHECKING:
    from translator.errors import Problem

OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", dir_okay=False, help="The policy to write.  [default: standard output]"
    ),
]


def finish(
    policy: str | None,
    findings: Sequence["Problem"],
    file: "Callable[[Problem], Path | None]",
    *,
    output: Path | None,
    as_json: bool,
) -> None:
    """Tells what was found and puts the policy where it is wanted; without one, the exit code is 1.

    Shape: `file` says which file a finding is about. As JSON, the policy is its text in a string, so that no reader
    rounds its numbers.
    Raises: FileFailed.
    """
    output = None if str(output) == "-" else output
    if policy is not None and output is not None:
        files.write(output, policy.encode())
    if as_json:
        told = [document(each, file(each)) for each in findings]
        written = str(output) if policy is not None and output is not None else None
        say(json.dumps({"policy": policy, "written": written, "findings": told}))
    else:
        for each in findings:
            for line in _lines(each, file(each)):
                note(line)
        if policy is not None and output is not None:
            note(f"{printable(str(output))}: written")
        elif policy is not None:
            say(policy.removesuffix("\n"))
    if policy is None:
        raise typer.Exit(1)


def _lines(finding: "Problem", file: Path | None) -> list[str]:
    if finding.severity == "error" or file is None:
        return list(lines(finding, file))
    return [warning(finding, file)]
