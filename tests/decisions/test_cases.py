"""Every case file through the real translator, a real OPA and the real counters.

Source: policy-semantics, section 13.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from sidecar.proving.cases import Case, read
from sidecar.proving.trial import Result, run

CASES = Path(__file__).parent / "cases"


def cases_of(path: Path) -> list[Case]:
    cases, faults = read(path.read_bytes())
    assert faults == []
    return cases


BY_FILE = {path.stem: cases_of(path) for path in sorted(CASES.glob("*.jsonl"))}
ALL = {case.id: case for cases in BY_FILE.values() for case in cases}


@pytest.fixture(scope="module")
def results(opa_path: Path) -> Mapping[str, Result]:
    """What became of every case."""
    return {result.case.id: result for result in asyncio.run(run(list(ALL.values()), opa_path))}


@pytest.mark.parametrize("id_", ALL)
def test_case_judged_as_the_reference_says(id_: str, results: Mapping[str, Result]) -> None:
    result = results[id_]
    assert (result.status, result.reason, result.differences) == ("passed", "", ())


def test_case_ids_are_unique_and_the_reference_has_91() -> None:
    assert len(ALL) == sum(map(len, BY_FILE.values()))
    assert len(BY_FILE["policy-cases"]) == 91
