"""`regate approvals`: what waits for a person, and the answers. An answer counts for one identical call."""

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sidecar.cli.stores import state_store
from sidecar.cli.terminal import FormatOption, StateOption, moment, say, state_directory, table
from sidecar.errors import SettingsError, SidecarError
from sidecar.statedir import running

if TYPE_CHECKING:
    from sidecar.approvals.redis import RedisApprovals
    from sidecar.approvals.sqlite import Approval, SqliteApprovals

EXAMPLE = """\b
Example:
  regate approvals list
  regate approvals approve apr_7q2m4k8x1c5v
"""
_REASONS = {
    "unknown": "there is no approval {id}",
    "answered": "approval {id} was answered before",
    "expired": "approval {id} has lapsed; the call has to be made again",
}

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="The gateway's settings: where they name a Redis, the approvals are there.",
    ),
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", hidden=True)]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who answers.  [default: the user at this machine]")
]


class NotAnswered(SidecarError):
    """The approval cannot be answered any more, or never could."""

    code = "not_answered"
    hint = "`regate approvals list` shows what waits."


def add(app: typer.Typer) -> None:
    """Adds the commands to their group."""
    app.command("list", epilog="Example:  regate approvals list --all --format json")(list_)
    app.command("approve", epilog="Example:  regate approvals approve apr_7q2m4k8x1c5v")(approve)
    app.command("refuse", epilog="Example:  regate approvals refuse apr_7q2m4k8x1c5v --reason 'not on a Friday'")(
        refuse
    )


def list_(
    config: ConfigOption = None,
    state: StateOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Those answered and lapsed, too.")] = False,
    output: FormatOption = "text",
) -> None:
    """List the tool calls that wait for a person.

    Of the arguments only the keys are shown; values are kept nowhere.
    """
    with _approvals(config, state) as approvals:
        found = approvals.list(datetime.now(UTC), pending_only=not everything)
    if output == "json":
        say(json.dumps([_document(approval) for approval in found], ensure_ascii=False, indent=2))
        return
    rows = [
        (a.id, a.state, a.server, a.grant, a.tool, ",".join(a.argument_keys), a.message, moment(a.expires_at))
        for a in found
    ]
    table(("ID", "STATE", "SERVER", "GRANT", "TOOL", "ARGUMENTS", "MESSAGE", "EXPIRES"), rows)


def approve(
    approval_id: IdArgument, config: ConfigOption = None, state: StateOption = None, by: ByOption = None
) -> None:
    """Let one identical call through."""
    with _approvals(config, state) as approvals:
        _done(approvals.approve(approval_id, by or _user(), datetime.now(UTC)), approval_id)
    say(f"{approval_id} approved: the same call, made again, goes through once")


def refuse(
    approval_id: IdArgument,
    config: ConfigOption = None,
    state: StateOption = None,
    by: ByOption = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")] = None,
) -> None:
    """Refuse a call, and its identical retries for as long as an approval would have held."""
    with _approvals(config, state) as approvals:
        _done(approvals.refuse(approval_id, by or _user(), datetime.now(UTC), reason), approval_id)
    say(f"{approval_id} refused")


@contextmanager
def _approvals(config: Path | None, state: Path | None) -> "Iterator[SqliteApprovals | RedisApprovals]":
    """Where the gateway keeps its approvals. Raises: SettingsError, StoreError."""
    from sidecar.approvals.sqlite import SqliteApprovals
    from sidecar.settings.file import Override, load

    folder = state_directory(state) if config is None or state is not None else None
    if config is not None:
        settings = load(config, [] if folder is None else [Override("state", str(folder), "--state")])
        folder = settings.state
        if settings.redis is not None:
            from sidecar.approvals.redis import RedisApprovals
            from sidecar.redis import Redis
            from sidecar.stores import place

            yield RedisApprovals(Redis(place(settings.redis)), settings.redis.prefix)
            return
    assert folder is not None
    if config is None and any(gateway.shares for gateway in running(folder)):
        raise SettingsError(
            f"The gateway on {folder} keeps its approvals in a Redis.", hint="Name its settings: --config FILE."
        )
    with state_store(folder) as database:
        yield SqliteApprovals(database)


def _done(verdict: str, approval_id: str) -> None:
    if verdict != "done":
        raise NotAnswered(_REASONS[verdict].format(id=approval_id))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _document(approval: "Approval") -> dict[str, Any]:
    return {
        "id": approval.id,
        "state": approval.state,
        "server": approval.server,
        "grant": approval.grant,
        "tool": approval.tool,
        "argument_keys": list(approval.argument_keys),
        "rule": approval.rule,
        "message": approval.message,
        "policy": approval.policy,
        "revision": approval.revision,
        "requested_at": moment(approval.requested_at),
        "expires_at": moment(approval.expires_at),
        "answered_at": moment(approval.answered_at) if approval.answered_at else None,
        "answered_by": approval.answered_by,
        "reason": approval.reason,
    }
