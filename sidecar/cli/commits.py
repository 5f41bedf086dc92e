"""The git commit that files belong to, asked of `git`. Changes nothing, and reads no policy."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sidecar.errors import SidecarError

_NAME = re.compile(r"[0-9a-f]{7,64}")
_ANSWER_S = 30.0


class CommitUnknown(SidecarError):
    """There is no commit that these files belong to."""

    code = "commit_unknown"


def is_name(text: str) -> bool:
    """Does the text look like a commit's name?"""
    return _NAME.fullmatch(text) is not None


def checked_out(paths: Sequence[Path]) -> str:
    """The commit that is checked out where these files are, which all must be as it has them. Raises: CommitUnknown."""
    commits = {}
    for folder in {path.parent for path in paths}:
        names = [f":(literal){path.name}" for path in paths if path.parent == folder]
        commits[_git(folder, "rev-parse", "--verify", "HEAD")] = folder
        _git(folder, "ls-files", "--error-unmatch", "--", *names)
        if _git(folder, "status", "--porcelain", "--untracked-files=all", "--", *names):
            raise CommitUnknown(
                f"Policies in {folder} differ from the commit that is checked out.",
                hint="Commit them, or leave out --git.",
            )
    if len(commits) != 1:
        raise CommitUnknown(
            "The policies belong to several commits.", hint="Build from one repository, or use --commit."
        )
    return next(iter(commits))


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWER_S, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommitUnknown("git does not run here.", hint="Install it, or give the commit with --commit.") from error
    if done.returncode != 0:
        said = (done.stderr.splitlines() or ["it says nothing"])[0].removeprefix("fatal: ").removeprefix("error: ")
        raise CommitUnknown(
            f"git cannot tell the commit of the files in {folder}: {said}", hint="Give it with --commit."
        )
    return done.stdout.strip()
