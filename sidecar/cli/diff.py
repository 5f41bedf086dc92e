"""`regate diff`: what a change of a policy does to calls. Compares nothing itself."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sidecar.cli import differences, files
from sidecar.cli.build import MapOption
from sidecar.cli.findings import lines
from sidecar.cli.inventories import ToolsOption, inventory
from sidecar.cli.terminal import note, printable, say
from sidecar.errors import CannotDecide

if TYPE_CHECKING:
    from sidecar.proving.diff import Diff
    from translator import Program

_EXAMPLE = """\b
Examples:
  regate diff old.json new.json --tools tools.json --fail-on looser
  regate diff old.json new.json --format markdown > comment.md

Exit code 0: compared; 1: what --fail-on names was found; 2: wrong usage; 3: something could not be decided, or a
policy has problems.
"""

FailOn = Literal["looser", "stricter", "any"]
_FAILING: dict[str | None, tuple[str, ...]] = {
    None: (),
    "looser": ("looser",),
    "stricter": ("stricter",),
    "any": ("looser", "stricter"),
}


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("diff", epilog=_EXAMPLE)(diff)


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", exists=True, dir_okay=False, hidden=True)],
    new: Annotated[Path, typer.Argument(metavar="NEW", exists=True, dir_okay=False, hidden=True)],
    tools: ToolsOption = None,
    approval_map: MapOption = None,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="The change that makes the exit code 1.  [default: none]")
    ] = None,
    output: Annotated[
        Literal["text", "json", "markdown"],
        typer.Option("--format", help="Lines for people, JSON, or Markdown for a pull request."),
    ] = "text",
) -> None:
    """Tell what a change of a policy does: looser, stricter, both or neither, each shown by a call."""
    listed = tuple(inventory(tools).tools) if tools is not None else ()
    programs = _program(old, approval_map or ()), _program(new, approval_map or ())
    from sidecar.proving.diff import compare
    from sidecar.proving.oracle import finished

    found = finished(compare(*programs, listed))
    for line in _lines(found, old, new, output):
        say(line)
    code = _code(found, _FAILING[fail_on])
    if code:
        raise typer.Exit(code)


def _program(path: Path, approval_map: Sequence[str]) -> "Program":
    from translator import PolicyRejected, parse

    try:
        return parse(files.read(path), approval_map=approval_map)
    except files.FileFailed as error:
        raise CannotDecide(str(error)) from error
    except PolicyRejected as error:
        for problem in error.problems:
            for line in lines(problem, path):
                note(line)
        raise CannotDecide(f"{path} has problems, so nothing was compared.") from error


def _lines(found: "Diff", old: Path, new: Path, output: str) -> Iterator[str]:
    if output == "json":
        import msgspec

        yield msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    elif output == "markdown":
        yield from differences.markdown(found, old.name, new.name)
    else:
        yield from map(printable, differences.text(found))


def _code(found: "Diff", failing: Sequence[str]) -> int:
    """What is open counts only where it could have made the command fail; without --fail-on it always counts."""
    shown = {name for each in found.tools for name in ("looser", "stricter") if getattr(each, name) is not None}
    if shown & set(failing):
        return 1
    is_open = {direction for each in found.tools for direction in each.open}
    return 3 if is_open & (set(failing) or {"looser", "stricter"}) else 0
