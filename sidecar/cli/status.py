"""`regate status`: asks the gateways that run on a state directory what they say of themselves, and prints it."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer

from sidecar import __version__
from sidecar.cli import operator
from sidecar.cli.terminal import FormatOption, StateOption, note, printable, say, state_directory

if TYPE_CHECKING:
    from sidecar.statedir import Gateway

_EXAMPLE = """\b
Examples:
  regate status
  regate status --state /var/lib/regate --format json

Exit code 0: every gateway found is ready; 1: none runs, or one is not ready.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("status", epilog=_EXAMPLE)(status)


def status(state: StateOption = None, output: FormatOption = "text") -> None:
    """Say what runs and how it is.

    For each gateway: servers, policies and their revisions, OPA, the store, calls allowed and denied.
    """
    from sidecar import statedir

    folder = state_directory(state)
    gateways = statedir.running(folder)
    if not gateways:
        note(f"regate: no gateway runs on {printable(str(folder))}.")
        raise typer.Exit(1)
    token = statedir.operator_token(folder)
    documents = [document for gateway in gateways if (document := _ask(gateway, token)) is not None]
    if output == "json":
        say(json.dumps(documents, ensure_ascii=False, indent=2))
    else:
        for document in documents:
            for line in _lines(document):
                say(printable(line))
    if len(documents) < len(gateways) or not all(document["ready"] for document in documents):
        raise typer.Exit(1)


def _ask(gateway: "Gateway", token: str) -> dict[str, Any] | None:
    """What a gateway says of itself, or None after telling that it says nothing we understand."""
    document = operator.asked(gateway.url, token, "/status")
    if document is None or document.get("version") != __version__:
        why = "is of another version" if document is not None else "does not tell its status; look at its log"
        note(f"regate: the gateway with process id {gateway.pid} {why}.")
        return None
    return document


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    ready = "ready" if document["ready"] else f"NOT READY: {'; '.join(document['reasons'])}"
    process = f"process {document['pid']}, up {document['up_s']} s"
    yield f"regate {document['version']} at {document['url']}, {process}: {ready}"
    tls = document["tls"]
    if tls is not None:
        yield f"  tls     certificate until {tls['expires_at']}{_but(tls['problem'])}"
    for server in document["servers"]:
        yield f"  server  {server['name']} ({server['transport']}){_but(server['problem'])}"
    bundle = document["bundle"]
    used = bundle is None or bundle["in_force"]
    for policy in document["policies"]:
        held = "in force" if used and policy["held"] == policy["revision"] and policy["held"] else "NOT in force"
        revision = policy["revision"] or "-"
        yield f"  policy  {policy['id']} {revision} {held}, from {policy['file']}"
        if policy["problem"]:
            yield f"    its file as it is now is not in force: {policy['problem']}"
    if bundle is not None:
        yield from _bundle_lines(bundle)
    opa, store, calls = document["opa"], document["store"], document["calls"]
    answers = "answers" if opa["answers"] else "DOES NOT ANSWER"
    yield f"  opa     {answers}, {opa['restarts']} restarts, {opa['binary']}"
    writable = "writable" if store["writable"] else "NOT WRITABLE"
    audit = "" if store["audit"] else ", AUDIT LOG CANNOT BE WRITTEN"
    yield f"  store   {writable}, {store['folder']}{_but(store['problem'])}{audit}"
    denied = ", ".join(f"{count} {kind}" for kind, count in calls["denied_by"].items())
    yield f"  calls   {calls['allowed']} allowed, {calls['denied']} denied{f' ({denied})' if denied else ''}, " + (
        f"{calls['refused']} refused, {calls['upstream_failures']} failed upstream"
    )
    took = calls["decision_ms"]
    yield f"  took    {took['mean']} ms for a decision on average, {took['max']} ms at most"


def _bundle_lines(bundle: Mapping[str, Any]) -> Iterator[str]:
    serial = "" if bundle["serial"] is None else f", serial {bundle['serial']}"
    commit = f", commit {bundle['commit']}" if bundle["commit"] else ""
    age = "never confirmed" if bundle["age_s"] is None else f"confirmed {bundle['age_s']} s ago"
    most = "" if bundle["max_policy_age_s"] is None else f" (at most {bundle['max_policy_age_s']:g} s)"
    held = "in force" if bundle["in_force"] else "NOT in force"
    yield f"  bundle  {bundle['revision'] or '-'}{serial}{commit} {held}, {age}{most}, from {bundle['source']}"
    if bundle["problem"]:
        yield f"    what the source has now is not in force: {bundle['problem']}"


def _but(problem: str) -> str:
    return f"; {problem}" if problem else ""
