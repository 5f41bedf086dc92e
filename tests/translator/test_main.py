import runpy
import sys
from pathlib import Path

import pytest

import translator.__main__
from translator import translate
from translator.__main__ import main

GOOD = '{"version": "1", "default": "deny", "tools": {"t": {"deny_if": [{"conditions": [], "on_deny": "Ask."}]}}}'


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "git.json"
    path.write_text(GOOD)
    return path


def test_check_of_a_good_policy_is_silent(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(policy)]) == 0
    assert capsys.readouterr() == ("", "")


def test_build_writes_the_bundle(policy: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tar.gz"
    assert main(["build", str(policy), "-o", str(output), "--approval-map", "Ask."]) == 0
    assert output.read_bytes() == translate({"git": GOOD.encode()}, approval_map=["Ask."]).data


def test_check_names_every_problem_and_builds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"version": "1", "default": "maybe", "tols": {}}')
    assert main(["build", str(path), "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("bad:1:") == 2
    assert not (tmp_path / "out").exists()


def test_file_that_is_missing_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err


def test_two_policies_of_one_name_are_wrong_usage(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["check", str(policy), str(policy.parent / "other" / "git.json")])
    assert exit_.value.code == 2
    assert "two policies of one name" in capsys.readouterr().err


def test_module_runs_as_a_command(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["translator", "check", str(policy)])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_path(translator.__main__.__file__, run_name="__main__")
    assert exit_.value.code == 0
