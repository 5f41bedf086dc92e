"""Findings as workflow commands that GitHub shows beside the lines of a pull request. Judges nothing.

Source: GitHub's "Workflow commands for GitHub Actions" and the escapes of actions/toolkit (core/src/command.ts).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.cli.terminal import printable

if TYPE_CHECKING:
    from translator.errors import Problem

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def command(path: Path, problem: "Problem") -> str:
    """The line that makes one annotation."""
    properties = {
        "file": printable(path.as_posix()),
        "line": str(problem.line),
        "col": str(problem.column),
        "title": problem.code,
    }
    told = ",".join(f"{name}={value.translate(_PROPERTY)}" for name, value in properties.items())
    pointer = f"{problem.pointer}: " if problem.pointer else ""
    hint = f"\nhint: {printable(problem.hint)}" if problem.hint else ""
    message = printable(pointer + problem.message) + hint
    return f"::{_COMMANDS[problem.severity]} {told}::{message.translate(_DATA)}"
