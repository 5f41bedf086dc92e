"""`regate build`: policies read and packed. Needs no OPA and no gateway."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli import files
from sidecar.cli.findings import lines
from sidecar.cli.terminal import printable, refuse, say

if TYPE_CHECKING:
    from translator import Bundle

PoliciesArgument = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, hidden=True)]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--approval-map",
        metavar="TEXT",
        help="Text of an unconditional denial that is to wait for a person instead. May be repeated.  [default: none]",
    ),
]

_EXAMPLE = """\b
Example:
  regate build policy.json -o bundle.tar.gz

A policy's id is its file name without the ending. The same policies give the same bytes.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("build", epilog=_EXAMPLE)(build)


def build(
    policies: PoliciesArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", dir_okay=False, help="The bundle to write.")
    ],
    approval_map: MapOption = None,
) -> None:
    """Make the bundle that OPA loads from policy files."""
    bundle = _translated(_by_id(policies), approval_map or ())
    if bundle is None:
        raise typer.Exit(1)
    try:
        output.write_bytes(bundle.data)
    except OSError as error:
        raise files.failed(output, "written", error) from error
    say(f"{printable(str(output))}: revision {bundle.revision}")


def _translated(paths: Mapping[str, Path], approval_map: Sequence[str]) -> "Bundle | None":
    """The bundle, or None after every problem was told."""
    from translator import PolicyRejected, translate

    try:
        return translate({id_: files.read(path) for id_, path in paths.items()}, approval_map=approval_map)
    except PolicyRejected as error:
        for problem in error.problems:
            for line in lines(problem, paths.get(problem.policy)):
                say(line)
    return None


def _by_id(policies: Sequence[Path]) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for path in policies:
        other = paths.setdefault(path.stem, path)
        if other != path:
            refuse(f"{other} and {path} would have the same id, {path.stem}; rename one")
    return paths
