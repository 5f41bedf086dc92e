"""What the tests of commands share: a folder of their own, and a way to run a command in it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar import cli


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def regate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs a command in this process, in an empty folder, with the state directory `state` there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGATE_STATE", str(tmp_path / "state"))

    def run(*arguments: str) -> Done:
        code = cli.main(arguments)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run
