"""`regate grants`: makes, lists and revokes the tokens of `regate serve`. A token is printed once and never again."""

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli.binding import (
    ApprovalBy,
    ApprovalOption,
    HiddenCalls,
    HiddenCallsOption,
    ListOf,
    ListOption,
    Policed,
    PolicedMethodsOption,
)
from sidecar.cli.stores import state_store
from sidecar.cli.terminal import StateOption, note, refuse, say, state_directory, table
from sidecar.errors import SidecarError

if TYPE_CHECKING:
    from sidecar.settings.model import Settings

EXAMPLE = """\b
Example:
  regate grants create --config regate.yaml --server git --policy careful
  regate grants list
  regate grants revoke git-5f1c9a
"""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="The settings of the gateway. They tell the state directory, and names are checked against them.",
    ),
]


class NoSuchGrant(SidecarError):
    """No valid grant has this id."""

    code = "no_such_grant"
    hint = "`regate grants list` shows all ids."


def add(app: typer.Typer) -> None:
    """Adds the commands to their group."""
    app.command("create", epilog="Example:  regate grants create --server git --policy careful --id ci")(create)
    app.command("list", epilog="Example:  regate grants list --state /var/lib/regate")(list_)
    app.command("revoke", epilog="Example:  regate grants revoke ci")(revoke)


def create(
    server: Annotated[str, typer.Option("--server", metavar="NAME", help="The server the token is good for.")],
    policy: Annotated[str, typer.Option("--policy", metavar="ID", help="The policy its calls are judged by.")],
    grant_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="The grant's id.  [default: the server's name and a number]"),
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
    list_of: ListOption = ListOf.hidden,
    policed_methods: PolicedMethodsOption = Policed.tools,
    hidden_calls: HiddenCallsOption = HiddenCalls.denied,
    approval: ApprovalOption = ApprovalBy.later,
) -> None:
    """Make a grant and print its token.

    The token goes to stdout and is shown this once; only its hash is kept. A running gateway knows it at once.
    """
    grant_id = grant_id or f"{server}-{secrets.token_hex(3)}"
    for label, name in (("--server", server), ("--policy", policy), ("--id", grant_id)):
        if _NAME.fullmatch(name) is None:
            refuse(f"{label}: may hold letters, digits, _ . and - only, and at most 128 of them")
    from sidecar.grants.sqlite import SqliteGrants
    from sidecar.ports import Grant

    with state_store(_checked(config, state, server, policy, grant_id), make=True) as database:
        token = SqliteGrants(database).create(
            Grant(
                *(grant_id, server, policy),
                list=list_of.value,
                policed_methods=policed_methods.value,
                hidden_calls=hidden_calls.value,
                approval=approval.value,
            )
        )
    say(token)
    note(f"Grant {grant_id}: server {server}, policy {policy}. The token above is not shown again.")


def list_(config: ConfigOption = None, state: StateOption = None) -> None:
    """List the grants made by `regate grants create`, the revoked ones too."""
    from sidecar.grants.sqlite import SqliteGrants

    with state_store(_folder(config, state)) as database:
        rows = [
            (
                *(grant.id, grant.server, grant.policy or "(none)", grant.list, grant.policed_methods),
                *(grant.hidden_calls, grant.approval, grant.created_at, grant.revoked_at or "-"),
            )
            for grant in SqliteGrants(database).list()
        ]
    table(("ID", "SERVER", "POLICY", "LIST", "METHODS", "HIDDEN", "APPROVAL", "CREATED", "REVOKED"), rows)


def revoke(
    grant_id: Annotated[str, typer.Argument(metavar="ID", hidden=True)],
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Revoke a grant.

    Its token is worthless from the next call on.
    """
    from sidecar.grants.sqlite import SqliteGrants

    with state_store(_folder(config, state)) as database:
        if not SqliteGrants(database).revoke(grant_id):
            raise NoSuchGrant(f"there is no valid grant {grant_id}")
    say(f"{grant_id} revoked")


def _checked(config: Path | None, state: Path | None, server: str, policy: str, grant_id: str) -> Path:
    """The state directory, once the names are known to be those of the settings, if settings are given."""
    if config is None:
        return state_directory(state)
    settings = _settings(config, state)
    for label, name, known in (("--server", server, settings.servers), ("--policy", policy, settings.policy_ids)):
        if known is not None and name not in known:
            refuse(f"{label}: {config} names no such one; it has {', '.join(known) or 'none'}")
    if grant_id in settings.grants:
        refuse(f"--id: {config} gives a grant of that id already")
    return settings.state


def _folder(config: Path | None, state: Path | None) -> Path:
    return state_directory(state) if config is None else _settings(config, state).state


def _settings(config: Path, state: Path | None) -> "Settings":
    from sidecar.settings.file import Override, load

    return load(config, [Override("state", str(state), "--state")] if state is not None else [])
