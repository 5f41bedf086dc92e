"""`regate init`: writes a policy to start from. What stands in it is the translator's suggestion."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sidecar.cli import files
from sidecar.cli.inventories import ToolsOption, inventory
from sidecar.cli.terminal import note, printable, refuse, say

if TYPE_CHECKING:
    from translator.suggest import Suggested

_EXAMPLE = """\b
Examples:
  regate init
  regate init --tools tools.json -o policies/exchange.json

Without --tools: a small policy that denies every tool. With it: a line for every tool, by what the
server says of it in readOnlyHint and destructiveHint. Nobody has checked what it says, so look at every
line; a tool of which it says nothing is denied until you have. -o - prints the policy. Exit code 0:
written; 1: it cannot be; 2: wrong usage, the file is there already, or the list of tools is none.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("init", epilog=_EXAMPLE)(init)


def init(
    tools: ToolsOption = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", dir_okay=False, help="The policy to write.")
    ] = Path("policy.json"),
    default: Annotated[
        Literal["deny", "allow"], typer.Option("--default", help="The fate of a tool that is not listed.")
    ] = "deny",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write a policy to start from."""
    from translator.suggest import suggest

    made = suggest(inventory(tools) if tools is not None else None, default)
    if str(output) == "-":
        say(made.text.rstrip("\n"))
    elif force:
        files.write(output, made.text.encode())
    elif not files.create(output, made.text.encode()):
        refuse(f"{output} is there already; --force replaces it")
    tell = note if str(output) == "-" else say
    for line in _lines(made, output, default):
        tell(printable(line))


def _lines(made: "Suggested", output: Path, default: str) -> list[str]:
    if not made.fates:
        return [f"{output}: every tool that you do not list is {'denied' if default == 'deny' else 'allowed'}"]
    counts = Counter(fate for fate, _ in made.fates.values())
    summary = ", ".join(f"{counts[fate]} {fate}" for fate in ("allowed", "limited", "hidden", "denied") if counts[fate])
    lines = [f"{name}: {fate}, because {why}" for name, (fate, why) in made.fates.items() if fate != "denied"]
    lines.append(f"{output}: {len(made.fates)} tools: {summary}")
    lines.append("Nobody has checked what the server says of its tools. Look at every line before you use the policy.")
    if default == "allow":
        lines.append("A tool that the server adds later is allowed.")
    return lines
