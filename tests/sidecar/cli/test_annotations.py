"""Source: actions/toolkit, packages/core/src/command.ts."""

from pathlib import Path

import pytest

from sidecar.cli.annotations import command
from translator.errors import Problem


@pytest.mark.parametrize(
    ("problem", "path", "expected"),
    [
        (
            Problem("p", "/hide", 3, 4, "odd", "fix it", "glob_name", "warning"),
            "a/p.json",
            "::warning file=a/p.json,line=3,col=4,title=glob_name::/hide: odd%0Ahint: fix it",
        ),
        (Problem("p", "", 1, 1, "no"), "p.json", "::error file=p.json,line=1,col=1,title=invalid_policy::no"),
        (
            Problem("p", "", 1, 1, "no", "", "x", "note"),
            "a,b:c%.json",
            "::notice file=a%2Cb%3Ac%25.json,line=1,col=1,title=x::no",
        ),
        (
            Problem("p", "/a\n::error::x", 1, 1, "100%: a,b\r\n::stop-commands::x"),
            "p",
            "::error file=p,line=1,col=1,title=invalid_policy::"
            "/a\\u000a::error::x: 100%25: a,b\\u000d\\u000a::stop-commands::x",
        ),
    ],
)
def test_command_is_one_line_whatever_it_tells(problem: Problem, path: str, expected: str) -> None:
    assert command(Path(path), problem) == expected
