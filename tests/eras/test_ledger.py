"""Ledger and tests say the same of which requirement is held where. A test file names its own in docstrings."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.eras.ledger import LEDGER

TESTS = Path(__file__).parents[1]
SELF = {"eras/ledger.py", "eras/test_ledger.py", "scripts/test_without_guards.py"}
_named = re.compile(r"\bG(\d{1,2})\b(?:[–-]G(\d{1,2})\b)?")
FILES = sorted(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py"))
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def functions(path: str) -> dict[str, FUNCTION]:
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, FUNCTION)}


@cache
def named(path: str) -> frozenset[str]:
    """The requirements that a test file says it is about: in docstrings, comments and markers."""
    text = (TESTS / path).read_text(encoding="utf-8")
    return frozenset(
        f"G{number}" for first, last in _named.findall(text) for number in range(int(first), int(last or first) + 1)
    )


def held_by(id: str) -> set[str]:
    return {test.partition("::")[0] for test in LEDGER[id].tests}


def disagreements() -> Iterator[str]:
    for path in FILES:
        if path in SELF:
            continue
        for id in named(path):
            if id not in LEDGER:
                yield f"{path} names {id}, which is no requirement"
            elif path not in held_by(id):
                yield f"{path} names {id}; add one of its tests to {id} in tests/eras/ledger.py"
    for id in LEDGER:
        for path in held_by(id):
            if id not in named(path):
                yield f"{path} holds {id} by the ledger; name {id} in its docstring"


def test_ledger_and_tests_agree_both_ways() -> None:
    assert sorted(disagreements()) == []


def test_ledger_has_every_requirement_once_and_in_order() -> None:
    assert list(LEDGER) == [f"G{number}" for number in range(1, 55)]


@pytest.mark.parametrize("id", LEDGER)
def test_requirement_has_tests_that_exist_or_says_why_not(id: str) -> None:
    requirement = LEDGER[id]
    assert requirement.source
    assert requirement.behaviour.endswith(".")
    assert requirement.tests or requirement.missing
    for test in requirement.tests:
        path, _, name = test.partition("::")
        assert name in functions(path), f"there is no {test}"
