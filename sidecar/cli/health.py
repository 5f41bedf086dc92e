"""`regate health`: one line and an exit code, for HEALTHCHECK and for probes that run a command.

`sidecar.__main__` answers its plain forms without what is imported here.
"""

from typing import Annotated

import typer

from sidecar.cli.terminal import StateOption, note, printable, refuse, say, state_directory

_EXAMPLE = """\b
Examples:
  regate health
  regate health --live --url http://127.0.0.1:8701

Exit code 0: it is as asked; 1: it is not, or does not answer.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("health", epilog=_EXAMPLE)(health)


def health(
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="The gateway to ask.  [default: those on the state directory]"),
    ] = None,
    state: StateOption = None,
    live: Annotated[
        bool, typer.Option("--live/--ready", help="Ask only whether it answers, or whether calls can be served.")
    ] = False,
) -> None:
    """Ask a gateway how it is, as a probe does."""
    from sidecar.checkup import Wanted, check

    try:
        well, line = check(Wanted(url, None if url is not None else state_directory(state), live))
    except ValueError as error:
        refuse(f"--url: {error}")
    (say if well else note)(f"regate: {printable(line)}")
    if not well:
        raise typer.Exit(1)
