"""What commands say and how: plain lines that cannot steer a terminal, and wrong usage. Knows no command."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from sidecar.errors import SidecarError

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        envvar="REGATE_STATE",
        metavar="DIR",
        file_okay=False,
        help="State directory.  [default: $XDG_STATE_HOME/regate, ~/.local/state/regate]",
        show_envvar=False,
    ),
]

FormatOption = Annotated[
    Literal["text", "json"], typer.Option("--format", help="Lines for people, or JSON for programs.")
]


class Usage(typer.TyperException):
    """The command was called in a way it does not understand."""

    exit_code = 2


def refuse(message: str) -> NoReturn:
    """Raises: Usage."""
    raise Usage(message)


def state_directory(given: Path | None) -> Path:
    """The state directory a command works on."""
    from sidecar.settings.model import default_state
    from sidecar.settings.values import expanded

    if given is None:
        return default_state()
    try:
        return expanded(given).absolute()
    except ValueError as error:
        refuse(f"--state: {error}")


def printable(text: str) -> str:
    """The text on one line, with what could steer a terminal written as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


class OutputFailed(SidecarError):
    """What a command has to say cannot be written."""

    code = "output_failed"


def say(line: str = "") -> None:
    """A line on stdout, which is a command's result. Raises: OutputFailed; BrokenPipeError when its reader left."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputFailed(f"the output cannot be written: {(error.strerror or 'failed').lower()}") from error


def note(line: str) -> None:
    """A line on stderr, for the person at the terminal."""
    print(line, file=sys.stderr, flush=True)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows in columns under their heads, on stdout."""
    lines = [list(heads), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def moment(at: datetime) -> str:
    """An instant as RFC 3339 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
