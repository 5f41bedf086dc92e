"""Source → bundle, fuzzed: a document is refused with its problems, or OPA takes what is made of it and finds it there.

`--fuzz-seconds` and `--fuzz-seed` make it long, and another. A failure prints the documents to repeat it with.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.archives import unpack
from tests.hostile.documents import documents
from translator import Bundle, PolicyRejected, Program, parse
from translator.bundle import build
from translator.program import Guard, Limit, Section

SECONDS = 8.0
TOGETHER = 150
EVERYTHING = """[{"policy": id, "fallback": policy.fallback, "hide": hide, "tools": tools} |
    some id, policy in data.mcp.policies
    hide := object.keys(policy.hide)
    tools := object.keys(policy.tools)]"""
STOPS = """[{"stop": stop, "limits": limits} |
    some call in input
    stop := [each | some each in data.mcp.policies[call.policy].stop] with input as call
    limits := [each | some each in data.mcp.policies[call.policy].limits] with input as call]"""


@pytest.fixture
def budget(pytestconfig: pytest.Config) -> tuple[float, int]:
    """How long to try, and from which seed on."""
    return pytestconfig.getoption("fuzz_seconds") or SECONDS, pytestconfig.getoption("fuzz_seed")


def well_told(error: PolicyRejected) -> None:
    assert error.problems
    assert all(problem.message and problem.line >= 1 and problem.column >= 1 for problem in error.problems)
    assert all(line.isprintable() for line in str(error).split("\n"))


def accepted(source: Iterator[bytes]) -> Iterator[tuple[bytes, Program]]:
    for document in source:
        try:
            yield document, parse(document)
        except PolicyRejected as error:
            well_told(error)


def opa(path: Path, *arguments: str | Path, asked: object = None) -> str:
    command = [path, *arguments]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def texts(programs: dict[str, Program]) -> dict[str, set[tuple[str, str]]]:
    """What each policy can say: rule and message."""
    said: dict[str, set[tuple[str, str]]] = {}
    for id_, program in programs.items():
        sections: list[Section] = [*program.tools.values(), program.all_tools]
        items: list[Guard | Limit] = []
        for section in sections:
            items += [*section.guards, *section.limits]
        said[id_] = {(item.rule, item.message) for item in items}
    return said


def judged(opa_path: Path, bundle: Bundle, programs: dict[str, Program], folder: Path) -> None:
    """OPA takes the bundle, leaves its text alone, and finds in it what the documents say, to the letter."""
    path = folder / "bundle.tar.gz"
    path.write_bytes(bundle.data)
    assert opa(opa_path, "check", "--strict", "--bundle", path) == ""
    unpack(bundle.data, folder / "unpacked")
    assert opa(opa_path, "fmt", "--list", "--fail", folder / "unpacked") == ""
    held = json.loads(opa(opa_path, "eval", "--bundle", path, "--format", "raw", EVERYTHING))
    assert {one["policy"]: (one["fallback"], set(one["hide"]), set(one["tools"])) for one in held} == {
        id_: (program.fallback, set(program.hide), set(program.tools)) for id_, program in programs.items()
    }
    said = texts(programs)
    calls = [
        {"policy": id_, "tool": tool, "args": {"a": 1}}
        for id_, program in programs.items()
        for tool in (*program.tools, "another")
    ]
    answers: list[Any] = json.loads(
        opa(opa_path, "eval", "--bundle", path, "--format", "raw", "--stdin-input", STOPS, asked=calls)
    )
    assert len(answers) == len(calls)
    for call, answer in zip(calls, answers, strict=True):
        for _, _, _, rule, message, *_ in answer["stop"]:
            known = (rule, message) in said[str(call["policy"])]
            assert known or message.startswith("Cannot count this call: "), (rule, message)
        for _, _, limit in answer["limits"]:
            assert (limit["rule"], limit["message"]) in said[str(call["policy"])]


def test_every_accepted_document_makes_a_bundle_that_opa_takes(
    opa_path: Path, tmp_path: Path, budget: tuple[float, int]
) -> None:
    seconds, seed = budget
    source = accepted(documents(seed))
    until = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < until:
        batch = list(islice(source, TOGETHER))
        programs = {f"p{number}": program for number, (_, program) in enumerate(batch)}
        folder = tmp_path / str(tried)
        folder.mkdir()
        try:
            judged(opa_path, build(programs), programs, folder)
        except AssertionError:
            (tmp_path / "documents.jsonl").write_bytes(b"\n".join(document for document, _ in batch))
            print(f"seed {seed}: one of {tmp_path / 'documents.jsonl'}")  # noqa: T201
            raise
        tried += len(batch)
    assert tried >= TOGETHER


def test_same_seed_makes_the_same_documents() -> None:
    assert list(islice(documents(7), 50)) == list(islice(documents(7), 50))
    assert list(islice(documents(7), 50)) != list(islice(documents(8), 50))
