"""A policy's problems as lines: `PATH:LINE:COLUMN: POINTER: MESSAGE`, then a hint. Judges nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.cli.terminal import printable

if TYPE_CHECKING:
    from translator.errors import Problem


def lines(problem: "Problem", path: Path | None) -> Iterator[str]:
    """What to print of one problem. Without a path it is about the policies together.

    What a lint says has its severity before the pointer and its code at the end.
    """
    where = f"{path}:{problem.line}:{problem.column}" if path is not None else problem.policy or "policies"
    pointer = f" {problem.pointer}:" if problem.pointer else ""
    lint = problem.severity != "error"
    label, code = (f" {problem.severity}:", f" [{problem.code}]") if lint else ("", "")
    yield printable(f"{where}:{label}{pointer} {problem.message}{code}")
    if problem.hint:
        yield printable(f"  hint: {problem.hint}")


def document(problem: "Problem", path: Path | None) -> dict[str, str | int | None]:
    """One problem for programs."""
    return {
        "file": None if path is None else str(path),
        "line": problem.line,
        "column": problem.column,
        "pointer": problem.pointer,
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
    }


def warning(problem: "Problem", path: Path) -> str:
    """One line on what stops nothing but should be known."""
    pointer = f" {problem.pointer}:" if problem.pointer else ""
    hint = f" ({problem.hint})" if problem.hint else ""
    return printable(f"{path}:{problem.line}:{problem.column}: warning:{pointer} {problem.message}{hint}")
