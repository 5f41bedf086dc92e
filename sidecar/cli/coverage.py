"""`regate coverage`: which rules of policies no case and no test hits, printed. Judges nothing itself."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sidecar.cli import casefiles, files
from sidecar.cli.build import MapOption
from sidecar.cli.findings import lines
from sidecar.cli.policyfiles import by_id
from sidecar.cli.terminal import FormatOption, note, printable, refuse, say

if TYPE_CHECKING:
    from sidecar.proving.cases import Case
    from sidecar.proving.coverage import Reach
    from sidecar.proving.trial import Result
    from translator import Bundle

_EXAMPLE = """\b
Examples:
  regate coverage policy.json --cases cases.jsonl --fail-under 90
  regate coverage policy.json --tests policy_test.rego

A rule is hit by a call that it stops or holds. Cases count that are of the same policy, or bring none;
then they are run with each POLICY. Rego tests tell nothing of hide and default: those are counted with
cases only. Among the policies, *.jsonl are taken as cases and *.rego as tests.
Exit code 0: fine; 1: a policy is under the threshold, or has problems, or a test fails; 2: wrong usage,
or a line is no case; 3: cannot decide.
"""


@dataclass(frozen=True, slots=True)
class _Covered:
    """What is told of one policy."""

    reaches: "list[Reach]"
    percent: float
    cases: int
    calls: int


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("coverage", epilog=_EXAMPLE)(coverage)


def coverage(
    policies: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, hidden=True)],
    cases: Annotated[
        list[Path] | None,
        typer.Option("--cases", metavar="FILE", exists=True, dir_okay=False, help="Case file. May be repeated."),
    ] = None,
    tests: Annotated[
        list[Path] | None,
        typer.Option(
            "--tests", metavar="FILE", exists=True, dir_okay=False, help="Rego test for `opa test`. May be repeated."
        ),
    ] = None,
    approval_map: MapOption = None,
    fail_under: Annotated[
        float,
        typer.Option("--fail-under", metavar="PERCENT", min=0, max=100, help="Exit with 1 if a policy has less."),
    ] = 0,
    output: FormatOption = "text",
) -> None:
    """Tell which rules of policies no case and no test hits."""
    case_files = [*(cases or ()), *(path for path in policies if path.suffix == ".jsonl")]
    test_files = [*(tests or ()), *(path for path in policies if path.suffix == ".rego")]
    paths = by_id([path for path in policies if path.suffix not in (".jsonl", ".rego")])
    if not paths:
        refuse("name at least one policy")
    if not case_files and not test_files:
        refuse("name at least one case file with --cases, or a Rego test with --tests")
    texts = {id_: files.read(path) for id_, path in paths.items()}
    bundle = _translated(texts, paths, approval_map or ())
    held = casefiles.read(case_files, lent=b"")
    covered = _covered(bundle, texts, tuple(approval_map or ()), held.cases, test_files)
    if output == "json":
        say(json.dumps([_document(paths[id_], each) for id_, each in covered.items()], ensure_ascii=False))
    else:
        for id_, each in covered.items():
            for line in _lines(paths[id_], each, len(held.cases), len(test_files)):
                say(line)
    if any(each.percent < fail_under for each in covered.values()):
        raise typer.Exit(1)
    if held.faults:
        raise typer.Exit(2)


def _translated(texts: Mapping[str, bytes], paths: Mapping[str, Path], approval_map: Sequence[str]) -> "Bundle":
    from translator import PolicyRejected, translate

    try:
        return translate(texts, approval_map=approval_map)
    except PolicyRejected as error:
        for problem in error.problems:
            for line in lines(problem, paths.get(problem.policy)):
                say(line)
        raise typer.Exit(1) from None


def _covered(
    bundle: "Bundle",
    texts: Mapping[str, bytes],
    approval_map: tuple[str, ...],
    cases: "Sequence[Case]",
    tests: Sequence[Path],
) -> "dict[str, _Covered]":
    from sidecar.proving.coverage import of_policy, percent, reached
    from sidecar.proving.oracle import finished, located
    from sidecar.proving.regotests import fired
    from sidecar.proving.trial import run

    opa = located()
    found: Mapping[str, Counter[str]] = fired(bundle, tests, opa) if tests else {}
    programs = {id_: compiled.program for id_, compiled in bundle.policies.items()}
    chosen = [
        (id_, case) for id_, program in programs.items() for case in of_policy(cases, program, texts[id_], approval_map)
    ]
    results = finished(run([case for _, case in chosen], opa))
    _warn(results)
    covered = {}
    for id_, program in programs.items():
        own = [result for (of, _), result in zip(chosen, results, strict=True) if of == id_]
        reaches = [
            reach
            for reach in reached(program, own, found.get(id_, Counter()))
            if cases or reach.kind not in ("hide", "default")
        ]
        covered[id_] = _Covered(reaches, percent(reaches), len(own), sum(len(result.answers) for result in own))
    return covered


def _warn(results: "Sequence[Result]") -> None:
    """Raises: CannotDecide."""
    from sidecar.errors import CannotDecide

    undecided = next((result for result in results if result.status == "undecided"), None)
    if undecided is not None:
        raise CannotDecide(f"Case {undecided.case.id}: {undecided.reason}")
    failed = sum(result.status == "failed" for result in results)
    if failed:
        note(f"{failed} case{'s' * (failed != 1)} did not come out as wanted; run regate test to see them")


def _lines(path: Path, covered: _Covered, cases: int, tests: int) -> Iterator[str]:
    hit = sum(reach.hits > 0 for reach in covered.reaches)
    by = f"{covered.cases} of {cases} cases, {covered.calls} calls" if cases else ""
    also = f"{tests} test file{'s' * (tests != 1)}" if tests else ""
    sources = "; ".join(filter(None, (by, also)))
    yield printable(f"{path}: {hit} of {len(covered.reaches)} rules hit, {covered.percent:.1f} % ({sources})")
    for reach in covered.reaches:
        if not reach.hits:
            counted = f", counted {reach.taken} call{'s' * (reach.taken != 1)} and refused none" if reach.taken else ""
            yield printable(f"  not hit: {f'{reach.rule} {reach.tool}'.rstrip()}{counted}")


def _document(path: Path, covered: _Covered) -> dict[str, Any]:
    from msgspec import to_builtins

    return {
        "policy": str(path),
        "rules": len(covered.reaches),
        "hit": sum(reach.hits > 0 for reach in covered.reaches),
        "percent": round(covered.percent, 2),
        "cases": covered.cases,
        "calls": covered.calls,
        "reached": to_builtins(covered.reaches),
    }
