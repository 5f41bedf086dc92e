import json
from pathlib import Path

import pytest
import typer

from sidecar.cli.made import finish
from translator.errors import Problem

ERROR = Problem("", "/a", 1, 2, "bad", "fix it")
WARNING = Problem("", "/a", 1, 2, "odd", "look", "import", "warning")
POLICY = '{\n  "n": 9007199254740993\n}\n'


def _ended(policy: str | None, findings: list[Problem], output: Path | None, as_json: bool, file: Path | None) -> int:
    try:
        finish(policy, findings, lambda _: file, output=output, as_json=as_json)
    except typer.Exit as end:
        return end.exit_code
    return 0


def test_policy_is_printed_and_warnings_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended(POLICY, [WARNING], None, False, Path("x")) == 0
    assert capsys.readouterr() == (POLICY, "x:1:2: warning: /a: odd (look)\n")


def test_dash_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended(POLICY, [], Path("-"), False, None) == 0
    assert capsys.readouterr() == (POLICY, "")


def test_policy_is_written_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended(POLICY, [], tmp_path / "p.json", False, None) == 0
    assert (tmp_path / "p.json").read_text(encoding="utf-8") == POLICY
    assert capsys.readouterr() == ("", f"{tmp_path}/p.json: written\n")


def test_no_policy_is_problems_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended(None, [ERROR], tmp_path / "p.json", False, None) == 1
    assert not (tmp_path / "p.json").exists()
    assert capsys.readouterr() == ("", "policies: /a: bad\n  hint: fix it\n")


@pytest.mark.parametrize(("policy", "finding", "code"), [(POLICY, WARNING, 0), (None, ERROR, 1)])
def test_json_has_the_policy_as_text_and_every_finding(
    policy: str | None, finding: Problem, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ended(policy, [finding], None, True, Path("x")) == code
    told = json.loads(capsys.readouterr().out)
    assert (told["policy"], told["written"]) == (policy, None)
    assert [(each["file"], each["severity"]) for each in told["findings"]] == [("x", finding.severity)]
    output = tmp_path / "p.json"
    _ended(policy, [], output, True, None)
    assert json.loads(capsys.readouterr().out)["written"] == (str(output) if policy else None)
    assert output.exists() == (policy is not None)
