"""Two opinions on what policies mean: the reference read into plain Python, and the product. They must agree.

`--calls=100000` asks for more generated calls than the few of every run, and for new ones each time;
`--log-cli-level=info` tells how far it is. A case on which they differ is printed as a line for a case file.
"""

import asyncio
import logging
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from msgspec import UNSET
from msgspec.structs import asdict

import rego
from sidecar.proving.cases import Case, read
from sidecar.proving.trial import run
from tests.archives import unpack
from tests.decisions import generated
from tests.decisions.reference import Gateway, parsed
from translator import parse
from translator.bundle import build

CASES = Path(__file__).parent / "cases"
FEW_CALLS = 2500
LOG = logging.getLogger(__name__)
TOGETHER = 300
"""Cases whose policies are in one bundle."""


FILES = [case for path in sorted(CASES.glob("*.jsonl")) for case in read(path.read_bytes())[0]]
READ = [case for case in FILES if case.invalid_at is None and case.dialect == "json"]


@pytest.mark.parametrize("case", READ, ids=lambda case: case.id)
def test_reference_itself_answers_as_the_case_files_say(case: Case) -> None:
    gateway = Gateway(None if case.policy is None else parsed(case.policy.decode()), case.approval_map)
    for call, expected in zip(case.calls, case.expect, strict=True):
        answer = gateway.call({**asdict(call), "text": call.arguments_text().decode()})
        wanted = {name: value for name, value in asdict(expected).items() if value is not UNSET}
        assert {name: answer[name] for name in wanted} == wanted
    if case.listing is not None:
        assert gateway.visible(case.listing.upstream) == case.listing.visible


def made(count: int) -> list[str]:
    """Lines of case files, new ones each time."""
    return _drawn(count, again=False)


@cache
def made_again(count: int) -> list[str]:
    """Lines of case files, the same ones each time."""
    return _drawn(count, again=True)


def _drawn(count: int, *, again: bool) -> list[str]:
    lines: list[str] = []
    slow = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
    quietly = settings(deadline=None, database=None, phases=[Phase.generate], suppress_health_check=slow)

    @settings(quietly, max_examples=count, derandomize=again)
    @given(generated.cases())
    def keep(case: dict[str, Any]) -> None:
        lines.append(generated.line(case, f"generated-{len(lines)}"))

    keep()
    return lines


def disagreements(lines: list[str], opa: Path) -> tuple[list[str], Counter[str]]:
    """The lines on which the two differ, each with how; and what was decided how often."""
    cases, faults = read("\n".join(lines).encode())
    assert faults == []
    results = asyncio.run(run(cases, opa))
    told = [
        f"{lines[result.case.line - 1]}\n  {result.reason}{result.differences}"
        for result in results
        if result.status != "passed"
    ]
    return told, Counter(kind(answer.outcome, answer.rule) for result in results for answer in result.answers)


def kind(outcome: str, rule: str) -> str:
    place = rule.split("/")
    return f"{outcome} {rule if rule.startswith('(') else place[-2] if len(place) > 2 else ''}".strip()


@pytest.mark.timeout(7200)
def test_generated_calls_are_judged_as_the_reference_says(opa_path: Path, pytestconfig: pytest.Config) -> None:
    wanted = pytestconfig.getoption("calls")
    compared: Counter[str] = Counter()
    while compared.total() < max(wanted, FEW_CALLS):
        told, counts = disagreements(made(TOGETHER) if wanted else made_again(TOGETHER), opa_path)
        assert not told, f"{len(told)} of {TOGETHER} cases, the first:\n{told[0]}"
        compared += counts
        LOG.info("%d calls: %s", compared.total(), dict(compared))
    assert len(compared) >= 10


def test_modules_of_generated_policies_are_as_opa_formats_and_checks_them(opa_path: Path, tmp_path: Path) -> None:
    cases, _ = read("\n".join(made_again(TOGETHER)).encode())
    texts = {case.policy: case.approval_map for case in cases if case.policy is not None}
    bundle = build({f"p {n}": parse(text, approval_map=map_) for n, (text, map_) in enumerate(texts.items())})
    unpack(bundle.data, tmp_path)
    assert output(opa_path, "fmt", "--fail", "--list", tmp_path) == ""
    schemas = rego.ROOT / "schemas"
    output(opa_path, "check", "--strict", "--capabilities", rego.CAPABILITIES, "--schema", schemas, tmp_path)


def output(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[:2000] + done.stderr[:2000]
    return done.stdout
