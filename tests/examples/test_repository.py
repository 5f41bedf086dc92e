import subprocess
from pathlib import Path

import pytest

from examples import repository


def _git(path: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=path, check=True, stdout=subprocess.PIPE, text=True).stdout


def test_repository_made_twice_has_the_same_commits(tmp_path: Path) -> None:
    one, two = (repository.make(tmp_path / name) for name in ("one", "two"))
    assert _git(one, "rev-parse", "HEAD") == _git(two, "rev-parse", "HEAD")
    assert _git(one, "log", "--format=%s").splitlines()[0] == "fix: greet by name"
    assert _git(one, "status", "--short") == " M README.md\n"


def test_repository_that_exists_is_left_alone(tmp_path: Path) -> None:
    path = repository.make(tmp_path)
    (path / "mine.txt").write_text("kept")
    repository.make(path)
    assert _git(path, "status", "--short") == " M README.md\n?? mine.txt\n"


def test_repository_ignores_a_git_environment_around_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert (repository.make(tmp_path / "here") / ".git").is_dir()
