"""Source: policy-semantics, section 5."""

import json
from typing import Any

import pytest

from translator import paths
from translator.report import Report
from translator.source import read


def _path(value: Any) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    report = Report()
    node = read(json.dumps(value), report)
    assert node is not None
    return paths.path(node, report), [(each.message, each.hint) for each in report.problems("", "")]


@pytest.mark.parametrize(
    "text",
    ["args.a", "args.request.*.qty", "args.0.00", "args. ", "args.a b/~é", "args.args", "args" + ".x" * 32],
)
def test_path_that_is_valid_splits_and_writes_back(text: str) -> None:
    segments, told = _path(text)
    assert told == []
    assert segments == tuple(text.split(".")[1:])
    assert paths.written(segments) == text


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        (None, "must be a path such as args.amount, not null", ""),
        ("", "does not start", ""),
        (".a", "does not start", ""),
        ("amount", "does not start", 'write "args.amount"'),
        ("Args.a", "does not start", 'write "args.Args.a"'),
        (" args.a", "does not start", ""),
        ("state.t.n", "does not start", "counters belong in limits"),
        ("args", "names no argument", "write args.name"),
        ("args.", "empty segment", ""),
        ("args..a", "empty segment", ""),
        ("args.a.", "empty segment", ""),
        ("args" + ".x" * 33, "33 segments, more than 32", ""),
    ],
)
def test_path_that_is_not_valid_says_why(value: Any, message: str, hint: str) -> None:
    segments, [told] = _path(value)
    assert segments == ()
    assert message in told[0]
    assert hint in told[1]
