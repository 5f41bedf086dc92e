"""Findings as one SARIF log, for code scanning. Judges nothing and prints nothing.

Source: SARIF 2.1.0 (OASIS), sections 3.11.5 and 3.11.6 for what a message must escape.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sidecar import __version__
from sidecar.cli.terminal import printable

if TYPE_CHECKING:
    from translator.errors import Problem
    from translator.lint.codes import Lint

VERSION = "2.1.0"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ESCAPES = {"{": "{{", "}": "}}", "](": "\\]("}
"""Braces would be placeholders, and a bracket before a parenthesis a link."""


def log(found: Iterable[tuple[Path, "Problem"]], lints: Sequence["Lint"]) -> dict[str, Any]:
    """The log of one run. `lints` are all that there are, found or not."""
    places = {lint.code: at for at, lint in enumerate(lints)}
    rules = [
        {
            "id": lint.code,
            "shortDescription": {"text": lint.meaning},
            "defaultConfiguration": {"level": lint.severity},
        }
        for lint in lints
    ]
    return {
        "$schema": SCHEMA,
        "version": VERSION,
        "runs": [
            {
                "tool": {"driver": {"name": "regate", "version": __version__, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(path, problem, places[problem.code]) for path, problem in found],
            }
        ],
    }


def _result(path: Path, problem: "Problem", rule: int) -> dict[str, Any]:
    text = f"{problem.message}. Hint: {problem.hint}" if problem.hint else problem.message
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(path)},
            "region": {"startLine": problem.line, "startColumn": problem.column},
        }
    }
    if problem.pointer:
        location["logicalLocations"] = [{"fullyQualifiedName": problem.pointer}]
    return {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.severity,
        "message": {"text": _message(text)},
        "locations": [location],
    }


def _message(text: str) -> str:
    told = printable(text)
    for raw, escaped in _ESCAPES.items():
        told = told.replace(raw, escaped)
    return told


def _uri(path: Path) -> str:
    """A relative path stays relative, so that it can be found in a repository."""
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
