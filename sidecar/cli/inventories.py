"""`--tools`: the list of a server's tools that commands hold policies against. Read here, used elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli import files
from sidecar.cli.findings import lines
from sidecar.cli.terminal import note, refuse

if TYPE_CHECKING:
    from translator.inventory import Inventory

ToolsOption = Annotated[
    Path | None,
    typer.Option(
        "--tools",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="The server's tools, as tools/list answers them.",
    ),
]


def inventory(path: Path) -> "Inventory":
    """The tools in the file. Raises: Usage when it is no list of tools, after saying why; FileFailed."""
    from translator.errors import InventoryRejected
    from translator.inventory import read

    try:
        return read(files.read(path))
    except InventoryRejected as error:
        for problem in error.problems:
            for line in lines(problem, path):
                note(line)
        refuse(f"--tools: {path} is no list of tools")
