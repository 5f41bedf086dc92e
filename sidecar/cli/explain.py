"""`regate explain`: why a call gets the answer it gets, and what to change for another. Makes no call."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli import files
from sidecar.cli.build import MapOption
from sidecar.cli.findings import lines
from sidecar.cli.policyfiles import by_id
from sidecar.cli.terminal import FormatOption, StateOption, printable, refuse, say, state_directory
from sidecar.errors import CannotDecide

if TYPE_CHECKING:
    from sidecar.proving.call import Call
    from sidecar.proving.explanation import Standing
    from translator import Compiled

_EXAMPLE = """\b
Examples:
  echo '{"tool": "create_charge", "arguments": {"amount": 900}}' > call.json
  regate explain policy.json call.json
  regate explain policy call.json --gateway http://127.0.0.1:8700/mcp

Exit code 0: explained, whatever the answer; 1: the policy has problems, or a file cannot be read; 2: wrong usage, or
the file holds no call; 3: cannot decide.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("explain", epilog=_EXAMPLE)(explain)


def explain(
    policy: Annotated[str, typer.Argument(hidden=True)],
    call: Annotated[Path, typer.Argument(metavar="CALL.json", exists=True, dir_okay=False, hidden=True)],
    approval_map: MapOption = None,
    gateway: Annotated[
        str | None,
        typer.Option(
            "--gateway",
            metavar="URL",
            help="Explain with the policy of this id that a gateway on this machine has in force, and its counters.",
        ),
    ] = None,
    state: StateOption = None,
    output: FormatOption = "text",
) -> None:
    """Tell why a call is answered as it is: rules in order, counters, the nearest call that would pass."""
    from sidecar.cli import explanations
    from sidecar.proving import explanation
    from sidecar.proving.oracle import finished

    asked = _call(call)
    counted: Standing = explanation.empty
    if gateway is None:
        compiled = _offline(Path(policy), approval_map or ())
    elif approval_map:
        refuse("--approval-map and --gateway exclude each other: a gateway has its own")
    else:
        compiled, asked, counted = _running(gateway, state_directory(state), _id(policy), asked)
    found = finished(explanation.explain(compiled.program, asked, counted))
    about = explanations.Explained(_id(policy), compiled.revision, asked, found)
    if output == "json":
        import msgspec

        say(msgspec.json.format(msgspec.json.encode(explanations.document(about)), indent=2).decode())
    else:
        for line in explanations.lines(about):
            say(printable(line))


def _id(policy: str) -> str:
    return Path(policy).stem if policy.endswith(".json") else policy


def _offline(path: Path, approval_map: Sequence[str]) -> "Compiled":
    from translator import PolicyRejected, translate

    if not path.is_file():
        refuse(f"{path} is no file")
    (id_,) = by_id([path])
    try:
        return translate({id_: files.read(path)}, approval_map=approval_map).policies[id_]
    except PolicyRejected as error:
        for problem in error.problems:
            for line in lines(problem, path):
                say(line)
        raise typer.Exit(1) from error


def _running(url: str, state: Path, policy_id: str, call: "Call") -> "tuple[Compiled, Call, Standing]":
    """The policy in force, the call as one of its grants makes it, and the counters as they stand now."""
    import msgspec

    from sidecar.cli import inforce
    from translator import translate

    found = inforce.policy(url, state, policy_id)
    compiled = translate({policy_id: found.document}, approval_map=found.approval_map).policies[policy_id]
    if compiled.revision != found.revision:
        raise CannotDecide(f"The gateway at {url} was made from another library.", hint="Use the regate it runs with.")
    grant = call.grant or (next(iter(found.grants)) if len(found.grants) == 1 else "")
    if grant not in found.grants:
        refuse(
            f'"grant" in the call must be one under this policy: {", ".join(sorted(found.grants)) or "there is none"}'
        )
    call = msgspec.structs.replace(call, grant=grant, server=call.server or found.grants[grant])
    return compiled, call, lambda asked: found.standing(state, asked)


def _call(path: Path) -> "Call":
    from sidecar.proving.call import CallMalformed, read

    try:
        return read(files.read(path))
    except CallMalformed as error:
        refuse(f"{path}: {error}. {error.hint}")
