"""The parts that both dialects share. Source: policy-semantics, section 10."""

import json
from typing import Any

import pytest

from translator.errors import PolicyRejected
from translator.importing import Dialect, import_policy

BOTH = pytest.mark.parametrize("dialect", [Dialect.INTERCEPT, Dialect.RULES])


def _good(text: str, dialect: Dialect) -> Any:
    return json.loads(import_policy(text.encode(), dialect=dialect).text)


def _told(text: str, dialect: Dialect) -> list[tuple[str, int, int, str]]:
    with pytest.raises(PolicyRejected) as rejected:
        import_policy(text.encode(), dialect=dialect)
    return [(each.pointer, each.line, each.column, each.message) for each in rejected.value.problems]


@BOTH
def test_document_without_default_allows(dialect: Dialect) -> None:
    assert _good('version: "1"', dialect) == {"version": "1", "default": "allow"}


@BOTH
def test_document_keeps_its_other_members(dialect: Dialect) -> None:
    text = (
        'version: "1"\ndefault: deny\ndescription: d\nhide: [x, "*"]\ntools: {b: {}, a: {rules: []}, "*": {rules: []}}'
    )
    assert list(_good(text, dialect).items()) == [
        ("version", "1"),
        ("description", "d"),
        ("default", "deny"),
        ("hide", ["x", "*"]),
        ("all_tools", {}),
        ("tools", {"b": {}, "a": {}}),
    ]


@BOTH
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: 1", [("/version", 1, 10, 'must be the string "1"')]),
        ("default: deny", [("", 1, 1, 'lacks the member "version"')]),
        ('version: "1"\ndefault: Deny', [("/default", 2, 10, 'unknown value "Deny"')]),
        ('version: "1"\ndefault: no', [("/default", 2, 10, 'must be one of "allow", "deny", not a boolean')]),
        ('version: "1"\nhide: [a, b, a]', [("/hide/2", 2, 14, '"a" is repeated')]),
        (
            'version: "1"\nhide: [1, ""]',
            [("/hide/0", 2, 8, "must be a tool name, not a number"), ("/hide/1", 2, 11, "must not be blank")],
        ),
        ('version: "1"\nhide: x', [("/hide", 2, 7, "must be an array, not a string")]),
        ('version: "1"\ndescription: [x]', [("/description", 2, 14, "must be a string, not an array")]),
        ('version: "1"\n$schema: x', [("/$schema", 2, 1, 'unknown member "$schema"')]),
        ('version: "1"\nall_tools: {}', [("/all_tools", 2, 1, 'unknown member "all_tools"')]),
        ('version: "1"\ntools: []', [("/tools", 2, 8, "must be an object, not an array")]),
        ('version: "1"\ntools:\n  t:\n', [("/tools/t", 3, 5, "must be an object, not null")]),
        ('version: "1"\ntools:\n  t: {rules: {}}\n', [("/tools/t/rules", 3, 14, "must be an array, not an object")]),
        ('version: "1"\ntools:\n  t: {limits: []}\n', [("/tools/t/limits", 3, 7, 'unknown member "limits"')]),
        ('version: "1"\ntools:\n  " ": {}\n', [("/tools/ ", 3, 3, "the name of a tool must not be blank")]),
        ('version: "1"\ntools:\n  5: {}\n', [("/tools", 3, 3, 'the name "5" is not a string')]),
        ("[]", [("", 1, 1, "must be an object, not an array")]),
        (
            "x: 1\ndefault: y",
            [
                ("", 1, 1, 'lacks the member "version"'),
                ("/x", 1, 1, 'unknown member "x"'),
                ("/default", 2, 10, 'unknown value "y"'),
            ],
        ),
        (
            'version: "1"\ndefault: .inf\nhide: [.nan]',
            [
                ("/default", 2, 10, '".inf" is no number that JSON has'),
                ("/hide/0", 3, 8, '".nan" is no number that JSON has'),
            ],
        ),
        (
            'version: "1"\ntools: {a: {}, a: {rules: 5}}\nhide: 5',
            [("", 2, 16, 'the name "a" is repeated'), ("/hide", 3, 7, "must be an array, not a number")],
        ),
    ],
)
def test_document_of_the_wrong_shape_is_refused_with_every_place(text: str, told: Any, dialect: Dialect) -> None:
    assert _told(text, dialect) == told
