from pathlib import Path

import pytest

from sidecar.cli import findings
from translator.errors import Problem


@pytest.mark.parametrize(
    ("problem", "path", "expected"),
    [
        (Problem("p", "/a", 1, 2, "bad", "fix it"), Path("x.json"), ["x.json:1:2: /a: bad", "  hint: fix it"]),
        (Problem("p", "", 1, 1, "no JSON"), Path("x.json"), ["x.json:1:1: no JSON"]),
        (
            Problem("p", "/a", 1, 2, "odd", "fix it", "glob_name", "warning"),
            Path("x.json"),
            ["x.json:1:2: warning: /a: odd [glob_name]", "  hint: fix it"],
        ),
        (Problem("p", "/a", 1, 2, "bad"), None, ["p: /a: bad"]),
        (Problem("", "", 1, 1, "too many"), None, ["policies: too many"]),
        (Problem("p", "/\x1b", 1, 1, "a\nb"), Path("x\t.json"), ["x\\u0009.json:1:1: /\\u001b: a\\u000ab"]),
    ],
)
def test_lines_of_a_problem_say_where_and_what(problem: Problem, path: Path | None, expected: list[str]) -> None:
    assert list(findings.lines(problem, path)) == expected


def test_warning_is_one_line_with_its_place_and_hint() -> None:
    path = Path("x.json")
    assert findings.warning(Problem("", "/a", 1, 2, "odd", "fix\nit"), path) == (
        "x.json:1:2: warning: /a: odd (fix\\u000ait)"
    )
    assert findings.warning(Problem("", "", 1, 2, "odd"), path) == "x.json:1:2: warning: odd"


def test_document_of_a_problem_has_every_part() -> None:
    problem = Problem("p", "/a", 1, 2, "bad", "fix it")
    told = {
        "line": 1,
        "column": 2,
        "pointer": "/a",
        "severity": "error",
        "code": "invalid_policy",
        "message": "bad",
        "hint": "fix it",
    }
    assert findings.document(problem, Path("x.json")) == {"file": "x.json", **told}
    assert findings.document(problem, None) == {"file": None, **told}
