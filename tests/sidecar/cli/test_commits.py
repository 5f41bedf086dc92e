import subprocess
from pathlib import Path

import pytest

from sidecar.cli import commits


def git(*arguments: str, folder: Path) -> str:
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *who, "-C", folder, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git("init", "-q", folder=tmp_path)
    (tmp_path / "team").mkdir()
    for path in ("a.json", "team/b.json", "[c].json"):
        (tmp_path / path).write_text("{}", encoding="utf-8")
    git("add", ".", folder=tmp_path)
    git("commit", "-qm", "policies", folder=tmp_path)
    return tmp_path


def test_commit_is_the_one_checked_out(repository: Path) -> None:
    paths = [repository / "a.json", repository / "team/b.json", repository / "[c].json"]
    assert commits.checked_out(paths) == git("rev-parse", "HEAD", folder=repository)
    assert commits.is_name(commits.checked_out(paths))


def test_commit_of_a_tree_with_other_changes_is_told(repository: Path) -> None:
    (repository / "a.json").write_text("changed", encoding="utf-8")
    assert commits.checked_out([repository / "team/b.json"])


@pytest.mark.parametrize("staged", [False, True])
def test_commit_of_changed_files_is_refused(repository: Path, staged: bool) -> None:
    (repository / "a.json").write_text("changed", encoding="utf-8")
    if staged:
        git("add", ".", folder=repository)
    with pytest.raises(commits.CommitUnknown, match="differ from the commit"):
        commits.checked_out([repository / "a.json"])


def test_commit_of_files_that_git_does_not_keep_is_refused(repository: Path) -> None:
    (repository / ".gitignore").write_text("n*.json", encoding="utf-8")
    (repository / "new.json").write_text("{}", encoding="utf-8")
    with pytest.raises(commits.CommitUnknown, match="did not match"):
        commits.checked_out([repository / "new.json"])


def test_commit_of_files_outside_of_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(commits.CommitUnknown, match="not a git repository"):
        commits.checked_out([tmp_path / "a.json"])


def test_commit_of_two_repositories_is_refused(repository: Path) -> None:
    inner = repository / "inner"
    inner.mkdir()
    git("init", "-q", folder=inner)
    (inner / "d.json").write_text("{}", encoding="utf-8")
    git("add", ".", folder=inner)
    git("commit", "-qm", "another", folder=inner)
    with pytest.raises(commits.CommitUnknown, match="several commits"):
        commits.checked_out([repository / "a.json", inner / "d.json"])


def test_commit_without_git_is_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(commits.CommitUnknown, match="git does not run here"):
        commits.checked_out([repository / "a.json"])


@pytest.mark.parametrize(
    ("text", "good"), [("c0ffee1", True), ("c0ffee", False), ("C0FFEE1", False), ("HEAD", False), ("a" * 65, False)]
)
def test_name_of_a_commit_is_hexadecimal(text: str, good: bool) -> None:
    assert commits.is_name(text) is good
