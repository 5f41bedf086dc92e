"""`regate audit`: reads the record of calls while a gateway writes it, or afterwards. Changes nothing."""

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sidecar.cli.stores import missing
from sidecar.cli.terminal import FormatOption, StateOption, printable, say, state_directory

if TYPE_CHECKING:
    from sidecar.core.record import AuditRecord

EXAMPLE = """\b
Example:
  regate audit tail --follow --outcome deny
"""


def add(app: typer.Typer) -> None:
    """Adds the commands to their group."""
    app.callback()(_group)
    app.command("tail", epilog="Example:  regate audit tail -n 100 --grant run-git --format json")(tail)


def _group() -> None:
    """Read the record of tool calls."""


def tail(
    state: StateOption = None,
    count: Annotated[
        int, typer.Option("-n", "--lines", metavar="COUNT", min=0, max=1_000_000, help="How many of the last ones.")
    ] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones as they are written.")] = False,
    grant: Annotated[str | None, typer.Option("--grant", metavar="ID", help="Only calls under this grant.")] = None,
    outcome: Annotated[
        Literal["allow", "deny", "approval_required", "refused"] | None,
        typer.Option("--outcome", help="Only calls that ended so; refused is before policy ran."),
    ] = None,
    output: FormatOption = "text",
) -> None:
    """Print the last calls, oldest first.

    Of the arguments only the keys are recorded, never values. JSON is one object in a line.
    """
    from sidecar.audit.sqlite import tail as records

    folder = state_directory(state)
    path = folder / "audit.sqlite"
    if not path.exists():
        raise missing(folder)
    with suppress(KeyboardInterrupt):
        for record in records(path, count, follow=follow, grant=grant, outcome=outcome):
            say(_json(record) if output == "json" else _line(record))


def _json(record: "AuditRecord") -> str:
    from msgspec.structs import asdict

    return json.dumps(asdict(record), ensure_ascii=False)


def _line(record: "AuditRecord") -> str:
    call = f"{record.tool}({', '.join(record.argument_keys)})" if record.tool else record.method or "-"
    reason = ": ".join(filter(None, (record.rule, record.message, record.cause)))
    approval = f"[{' by '.join(filter(None, (record.approval, record.person)))}]" if record.approval else ""
    end = f"{record.result} {record.duration_ms:.1f} ms".strip()
    parts = (record.at, record.outcome, record.server or "-", record.grant or "-", call, reason, approval, end)
    return printable("  ".join(filter(None, parts)))
