"""A small git repository for the examples: `python -m examples.repository DIRECTORY`.

Same name, dates and content every time, so its commits have the same ids everywhere. Does nothing where one exists.
"""

import os
import subprocess
import sys
from pathlib import Path

_COMMITS = (
    ("docs: say what this is", {"README.md": "# Notes\n\nA repository to try a policy on.\n"}),
    ("feat: greet", {"greet.py": 'print("hello")\n'}),
    ("fix: greet by name", {"greet.py": 'import sys\n\nprint("hello", *sys.argv[1:])\n'}),
)
_EPOCH_S = 1_767_225_600


def make(directory: Path) -> Path:
    """The repository at `directory`: three commits on `main` and one change not yet staged."""
    if (directory / ".git").exists():
        return directory
    directory.mkdir(parents=True, exist_ok=True)
    _git(directory, 0, "init", "--quiet", "--initial-branch=main")
    for number, (message, files) in enumerate(_COMMITS):
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")
        _git(directory, number, "add", "--all")
        _git(directory, number, "commit", "--quiet", "--message", message)
    with (directory / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("\nNot committed yet.\n")
    return directory


def _git(directory: Path, hour: int, *arguments: str) -> None:
    date = f"@{_EPOCH_S + hour * 3600} +0000"
    identity = {
        "GIT_AUTHOR_NAME": "Example",
        "GIT_AUTHOR_EMAIL": "example@example.invalid",
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_NAME": "Example",
        "GIT_COMMITTER_EMAIL": "example@example.invalid",
        "GIT_COMMITTER_DATE": date,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", *arguments], cwd=directory, env=inherited | identity, check=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
