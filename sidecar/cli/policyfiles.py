"""Policy files that a command line names, by the ids that their names give. Reads none."""

from collections.abc import Sequence
from pathlib import Path

from sidecar.cli.terminal import refuse


def by_id(paths: Sequence[Path]) -> dict[str, Path]:
    """The files under their ids, which are their names without the ending. Raises: Usage."""
    found: dict[str, Path] = {}
    for path in paths:
        try:
            path.stem.encode()
        except UnicodeEncodeError:
            refuse(f"{path}: its name is the policy's id and must be UTF-8; rename it")
        other = found.setdefault(path.stem, path)
        if other != path:
            refuse(f"{other} and {path} would have the same id, {path.stem}; rename one")
    return found
