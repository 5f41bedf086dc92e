"""`regate`: the commands put together, and the only place where an error becomes an exit code.

0 is done, 1 is failed or found something, 2 is wrong usage, 3 is that nothing can be decided.
What a command needs is imported when it runs.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sidecar import __version__
from sidecar.cli import (
    approvals,
    audit,
    build,
    bundles,
    check,
    coverage,
    diff,
    explain,
    fmt,
    grants,
    health,
    importing,
    init,
    injector,
    merging,
    opa,
    schema,
    serve,
    status,
    stdio,
    trial,
)
from sidecar.cli.terminal import note, printable, say
from sidecar.errors import CannotDecide, SidecarError

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_ROOT = Path(__file__).parents[2]


def _version(wanted: bool) -> None:
    if wanted:
        say(f"regate {__version__}")
        raise typer.Exit


def _regate(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Puts a policy between an MCP client and an MCP server: every tool call is judged before it is forwarded."""


def _group(**more: str) -> typer.Typer:
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=_SETTINGS,
        **more,  # type: ignore[arg-type]
    )


def application() -> typer.Typer:
    """The command line, ready to be run or to be documented."""
    app = _group(epilog="Example:  regate run --policy policy.json -- npx -y some-server")
    app.callback()(_regate)
    for module in (
        *(serve, stdio, init, check, fmt, schema, importing, merging, build),
        *(diff, trial, coverage, explain, status, health, opa, injector),
    ):
        module.add(app)
    for name, module, help_ in (
        ("grants", grants, "Make, list and revoke the tokens that clients of `regate serve` use."),
        ("approvals", approvals, "Answer tool calls that wait for a person."),
        ("audit", audit, "Read the record of tool calls."),
        ("bundles", bundles, "Serve bundles to OPA and to gateways, or put one into a registry."),
    ):
        group = _group(help=help_, epilog=module.EXAMPLE)
        module.add(group)
        app.add_typer(group, name=name)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; the console script `regate`."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - closed by who called us
        with contextlib.suppress(AttributeError):
            _speak(getattr(sys, name))
    code = _run(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def _speak(stream: Any) -> None:
    """Nothing a command says may fail to be encoded; what goes into a file or a pipe is UTF-8 in every locale."""
    stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def _run(arguments: Sequence[str]) -> int:
    try:
        code = typer.main.get_command(application()).main(list(arguments), prog_name="regate", standalone_mode=False)
    except typer.TyperException as error:
        return _wrong_usage(error, arguments)
    except SidecarError as error:
        for line in str(error).splitlines():
            note(f"regate: {printable(line)}")
        if error.hint:
            note(f"  {printable(error.hint)}")
        return 3 if isinstance(error, CannotDecide) else 1
    except Exception as error:
        return _unexpected(error)
    return code if isinstance(code, int) else 0


def _wrong_usage(error: typer.TyperException, arguments: Sequence[str]) -> int:
    path = _command_path(arguments)
    message = error.format_message().replace("Value error, ", "").rstrip(".")
    note(printable(f"{path}: {message}. See '{path} --help'."))
    return error.exit_code


def _command_path(arguments: Sequence[str]) -> str:
    path = ["regate"]
    known: Any = typer.main.get_command(application())
    for word in arguments:
        known = getattr(known, "commands", {}).get(word)
        if known is None:
            break
        path.append(word)
    return " ".join(path)


def _unexpected(error: Exception) -> int:
    """One line without the error's text, which may hold what must not be shown."""
    if os.environ.get("REGATE_DEBUG"):
        traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {_short(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    note(f"regate: unexpected {type(error).__name__}{place}. Set REGATE_DEBUG=1 to see more; this is a bug to report.")
    return 1


def _short(path: str) -> str:
    with contextlib.suppress(ValueError):
        return str(Path(path).relative_to(_ROOT))
    return Path(path).name
