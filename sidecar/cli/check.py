"""`regate check`: policies judged as documents, alone or against a server's tools. Needs no OPA and no gateway."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sidecar.cli import annotations, files, patterns, sarif
from sidecar.cli.build import MapOption
from sidecar.cli.findings import document, lines
from sidecar.cli.inventories import ToolsOption, inventory
from sidecar.cli.terminal import printable, refuse, say
from sidecar.errors import CannotDecide

if TYPE_CHECKING:
    from translator.errors import Problem
    from translator.inventory import Inventory
    from translator.program import Program

_EXAMPLE = """\b
Examples:
  regate check policies/*.json
  regate check policy.json --tools tools.json
  regate check policies/*.json --format sarif > regate.sarif

Prints every problem as PATH:LINE:COLUMN: POINTER: MESSAGE, and what a lint says as
PATH:LINE:COLUMN: warning: POINTER: MESSAGE [CODE]. An error keeps the policy from being loaded; a
warning most likely means something else than was meant; a note is good to know. Exit code 0: nothing
at or above --fail-on; 1: something; 2: wrong usage, or the list of tools is none; 3: a file cannot be
read, or the OPA that was named does not answer.
"""

Severity = Literal["error", "warning", "note"]
_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class _Judged:
    """One policy and what was found. `permitted` is None when no tools are known, or the policy has errors.

    `matching` is what a good policy with patterns means.
    """

    path: Path
    findings: tuple["Problem", ...]
    permitted: int | None
    tools: int | None
    matching: "Program | None"


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("check", epilog=_EXAMPLE)(check)


def check(
    policies: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, hidden=True)],
    tools: ToolsOption = None,
    approval_map: MapOption = None,
    fail_on: Annotated[
        Severity, typer.Option("--fail-on", help="The least severity that makes the exit code 1.")
    ] = "warning",
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="CODE", help="A lint to leave out. May be repeated.  [default: none]"),
    ] = None,
    output: Annotated[
        Literal["text", "json", "sarif", "github"],
        typer.Option("--format", help="Lines for people, JSON, SARIF 2.1.0, or annotations for GitHub."),
    ] = "text",
) -> None:
    """Tell every problem in policy files, and what is hardly meant."""
    ignored = _codes(ignore or ())
    try:
        known = inventory(tools) if tools is not None else None
        judged = _asked([_judged(path, known, approval_map or (), ignored) for path in policies])
    except files.FileFailed as error:
        raise CannotDecide(str(error)) from error
    told = [(each.path, finding) for each in judged for finding in each.findings]
    match output:
        case "json":
            say(json.dumps(_document(judged), ensure_ascii=True))
        case "sarif":
            from translator.lint.codes import LINTS

            say(json.dumps(sarif.log(told, tuple(LINTS.values())), ensure_ascii=True))
        case "github":
            for path, finding in told:
                say(annotations.command(path, finding))
        case "text":
            _say(judged)
    worst = _SEVERITIES[: _SEVERITIES.index(fail_on) + 1]
    if any(finding.severity in worst for _, finding in told):
        raise typer.Exit(1)


def _codes(given: Sequence[str]) -> frozenset[str]:
    from translator.lint.codes import ERROR, LINTS

    known = [code for code in LINTS if code != ERROR.code]
    for code in given:
        if code not in known:
            refuse(f"--ignore: there is no lint {code}; there are {', '.join(known)}")
    return frozenset(given)


def _judged(path: Path, known: "Inventory | None", approval_map: Sequence[str], ignored: Collection[str]) -> _Judged:
    from translator.lint.review import review

    data = files.read(path)
    seen = review(data, inventory=known, approval_map=approval_map, policy_id=path.stem)
    kept = tuple(each for each in seen.findings if each.code not in ignored)
    return _Judged(
        path, kept, seen.permitted, None if known is None else len(known.tools), _matching(data, seen.findings)
    )


def _matching(data: bytes, findings: Sequence["Problem"]) -> "Program | None":
    """What the policy means, if it is good and has patterns."""
    from translator import parse

    good = (b"regex" in data or b"\\u" in data) and not any(each.severity == "error" for each in findings)
    return parse(data) if good else None


def _asked(judged: Sequence[_Judged]) -> list[_Judged]:
    """The same, with the patterns that OPA refuses."""
    programs = {str(number): each.matching for number, each in enumerate(judged) if each.matching is not None}
    refused = patterns.problems(programs)
    return [
        replace(each, findings=(*each.findings, *(one for one in refused if one.policy == str(number))))
        for number, each in enumerate(judged)
    ]


def _say(judged: Sequence[_Judged]) -> None:
    for each in judged:
        for finding in each.findings:
            for line in lines(finding, each.path):
                say(line)
    for each in judged:
        if each.permitted is not None:
            most = "at most " if each.permitted else ""
            total = _plural(each.tools or 0, "tool", "tools")
            say(printable(f"{each.path}: permits {most}{each.permitted} of {total}"))
    counts = _counts(judged)
    parts = [_plural(counts[name], name, f"{name}s") for name in _SEVERITIES if counts[name]]
    told = f": {', '.join(parts)}" if parts else ", no problems"
    say(_plural(len(judged), "policy", "policies") + told)


def _plural(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _counts(judged: Sequence[_Judged]) -> Counter[str]:
    return Counter(finding.severity for each in judged for finding in each.findings)


def _document(judged: Sequence[_Judged]) -> dict[str, Any]:
    counts = _counts(judged)
    return {
        "errors": counts["error"],
        "warnings": counts["warning"],
        "notes": counts["note"],
        "policies": [
            {
                "file": str(each.path),
                "valid": all(finding.severity != "error" for finding in each.findings),
                "permitted_tools": each.permitted,
                "tools": each.tools,
            }
            for each in judged
        ],
        "findings": [document(finding, each.path) for each in judged for finding in each.findings],
    }
