"""`regate build`: policies read, packed and signed. Needs no OPA and no gateway."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sidecar.algorithms import Algorithm
from sidecar.cli import files
from sidecar.cli.findings import lines
from sidecar.cli.policyfiles import by_id
from sidecar.cli.terminal import printable, refuse, say

if TYPE_CHECKING:
    from translator import Bundle

MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--approval-map",
        metavar="TEXT",
        help="Text of an unconditional denial that is to wait for a person instead. May be repeated.  [default: none]",
    ),
]
_EXAMPLE = """\b
Examples:
  regate build policies/ -o bundle.tar.gz
  regate build policies/ -o bundle.tar.gz --git --serial 7 --sign key.pem --alg ES256

A folder stands for the *.json in it. A policy's id is its file name without the ending. The same policies give the
same bytes. Exit code 0: written; 1: a policy has problems, or a file cannot be read or written; 2: wrong usage; 3: the
OPA that was named does not answer.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("build", epilog=_EXAMPLE)(build)


def build(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", dir_okay=False, help="The bundle to write.")
    ],
    policies: Annotated[list[Path] | None, typer.Argument(exists=True, hidden=True)] = None,
    approval_map: MapOption = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--sign",
            metavar="KEY",
            help="File with the private key in PEM, or with the secret of HS*.  [default: none]",
        ),
    ] = None,
    algorithm: Annotated[Algorithm, typer.Option("--alg", help="How to sign.", show_choices=True)] = "RS256",
    serial: Annotated[
        int | None,
        typer.Option("--serial", metavar="N", min=0, help="A number to note in the manifest.  [default: none]"),
    ] = None,
    commit: Annotated[
        str | None,
        typer.Option("--commit", metavar="HEX", help="A git commit to note in the manifest.  [default: none]"),
    ] = None,
    git: Annotated[
        bool, typer.Option("--git", help="Note the commit that is checked out; refuse policies that differ from it.")
    ] = False,
    part: Annotated[
        Literal["all", "library", "policies"],
        typer.Option(
            "--part", help="What to pack: all, or one part for an OPA that has the other from another bundle."
        ),
    ] = "all",
    tests: Annotated[
        bool,
        typer.Option(
            "--tests", help="Write POLICY_test.rego beside each policy, for `opa test BUNDLE POLICY_test.rego`."
        ),
    ] = False,
) -> None:
    """Make the bundle that OPA loads from policy files and folders."""
    if str(output) == "-":
        refuse("-o must name a file: a bundle is not for a terminal")
    paths = by_id(_files(policies or ()))
    if bool(paths) == (part == "library"):
        refuse("--part library takes no policies" if paths else "name at least one policy file or folder")
    metadata = _metadata(serial, commit, list(paths.values()) if git else None)
    bundle = _translated(paths, approval_map or (), part, metadata)
    if bundle is None:
        raise typer.Exit(1)
    data = bundle.data if key is None else _signed(bundle, key, algorithm)
    files.write(output, data)
    say(f"{printable(str(output))}: revision {bundle.revision}{'' if key is None else f', signed with {algorithm}'}")
    if tests:
        _write_tests(bundle, paths)


def _write_tests(bundle: "Bundle", paths: Mapping[str, Path]) -> None:
    from translator import suite

    for id_, policy in paths.items():
        path = policy.with_name(f"{id_}_test.rego")
        files.write(path, suite(bundle.policies[id_].program, id_).encode())
        say(printable(str(path)))


def _files(policies: Sequence[Path]) -> list[Path]:
    """The policy files named. Files of a folder that begin with a dot belong to editors and mounts, not to people."""
    found = []
    for path in policies:
        if not path.is_dir():
            found.append(path)
            continue
        inner = sorted(each for each in path.glob("*.json") if not each.name.startswith(".") and not each.is_dir())
        if not inner:
            refuse(f"{path} holds no policy: no file in it ends in .json")
        found += inner
    return found


def _metadata(serial: int | None, commit: str | None, policies: Sequence[Path] | None) -> dict[str, str | int]:
    """What the manifest notes besides digests. `policies` are those to ask git for the commit of."""
    from sidecar.cli import commits

    if commit is not None and policies is not None:
        refuse("--commit and --git exclude each other")
    if commit is not None and not commits.is_name(commit):
        refuse("--commit must be a commit's name: 7 to 64 hexadecimal digits")
    if policies is not None:
        commit = commits.checked_out(policies)
    return {
        **({} if commit is None else {"commit": commit}),
        **({} if serial is None else {"serial": serial}),
    }


def _translated(
    paths: Mapping[str, Path], approval_map: Sequence[str], part: str, metadata: Mapping[str, str | int]
) -> "Bundle | None":
    """The bundle, or None after every problem was told."""
    from sidecar.cli import patterns
    from translator import Part, PolicyRejected, Problem, translate

    texts = {id_: files.read(path) for id_, path in paths.items()}
    bundle, problems = None, list[Problem]()
    try:
        bundle = translate(texts, approval_map=approval_map, part=Part(part), metadata=metadata)
        problems = patterns.problems({id_: compiled.program for id_, compiled in bundle.policies.items()})
    except PolicyRejected as error:
        problems = list(error.problems)
    for problem in problems:
        for line in lines(problem, paths.get(problem.policy)):
            say(line)
    return None if problems else bundle


def _signed(bundle: "Bundle", key: Path, algorithm: str) -> bytes:
    from sidecar import signing
    from translator import pack

    if not key.is_file():
        refuse("--sign must name the file that holds the key; there is no such file")
    text = signing.signatures(bundle.files, files.read(key), algorithm)
    return pack({**bundle.files, signing.PATH: text})
