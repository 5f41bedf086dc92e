"""Source: policy-semantics, sections 1, 4 and 15.1; RFC 8259."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.errors import Problem
from translator.program import Number
from translator.report import Report
from translator.source import MAX_BYTES, MAX_DEPTH, decode, read
from translator.tree import FAULT, Node


def _read(document: bytes) -> tuple[Node | None, list[Problem]]:
    report = Report()
    text = decode(document, report)
    root = None if report else read(text, report)
    return root, list(report.problems(text, ""))


def _loose(node: Node) -> Any:
    """The value as `json.loads` gives it."""
    value = node.value
    if isinstance(value, list):
        return [_loose(each) for each in value]
    if isinstance(value, dict):
        return {name: _loose(each) for name, each in value.items()}
    return json.loads(value.text) if isinstance(value, Number) else value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(JSON, st.sampled_from([None, 0, 3]), st.booleans())
def test_read_of_any_document_agrees_with_the_standard_library(
    value: Any, indent: int | None, ascii_only: bool
) -> None:
    root, problems = _read(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode())
    assert problems == []
    assert root is not None
    assert _loose(root) == value


@given(st.binary(max_size=60) | st.text('[]{},:"\\u0e+-.1tn \n', max_size=40).map(str.encode))
def test_read_of_any_bytes_agrees_with_a_strict_reader_or_says_why(document: bytes) -> None:
    root, problems = _read(document)
    try:
        text = document.decode()
        good = (
            not text.startswith("\ufeff") and json.loads(text, parse_constant=lambda _: 1 / 0, parse_int=str) is not ...
        )
    except (ValueError, ZeroDivisionError, RecursionError):
        good = False
    if not good:
        assert root is None
    assert (root is None) <= bool(problems)


def test_read_keeps_the_place_of_every_part() -> None:
    root, _ = _read(b' {"a": [true,\n  {"b": -1.50}], "\\u00e9": null}')
    assert root is not None
    assert isinstance(root.value, dict)
    array = root.value["a"]
    assert (root.start, array.key_start, array.start) == (1, 2, 7)
    assert isinstance(array.value, list)
    assert [(each.key, each.key_start, each.start, each.parent) for each in array.value] == [
        (0, 8, 8, array),
        (1, 16, 16, array),
    ]
    inner = array.value[1].value
    assert isinstance(inner, dict)
    assert inner["b"].value == Number("-1.50", inner["b"].value.value)  # type: ignore[union-attr]
    assert inner["b"].pointer() == "/a/1/b"
    assert root.value["é"].value is None


@pytest.mark.parametrize(
    ("document", "line", "column", "message"),
    [
        (b"", 1, 1, "the document is empty"),
        (b" \n\t ", 1, 1, "the document is empty"),
        (b"\xef\xbb\xbf{}", 1, 1, "byte order mark"),
        (b'{\n"a\xff": 1}', 2, 3, "not UTF-8"),
        (b'{"\xed\xa0\x80": 1}', 1, 3, "not UTF-8"),
        ("{}".encode("utf-16"), 1, 1, "not UTF-8"),
        (b" " * (MAX_BYTES + 1), 1, 1, "larger than"),
        (b"version: 1", 1, 1, "expected a JSON object"),
        (b"# no", 1, 1, "expected a JSON object"),
        (b'{"a": NaN}', 1, 7, 'found "NaN"'),
        (b'{"a": -Infinity}', 1, 7, 'found "-Infinity"'),
        (b'{"a": True}', 1, 7, 'found "True"'),
        (b"{'a': 1}", 1, 2, "a member name in double quotes"),
        (b"{\"a\": '1'}", 1, 7, "expected a value"),
        (b'{"a": 1 // x\n}', 1, 9, 'expected "," or "}"'),
        (b"[1 2]", 1, 4, 'expected "," or "]"'),
        (b'{"a" 1}', 1, 6, 'expected ":"'),
        (b'{"a": 1,}', 1, 8, "a comma after the last entry"),
        (b"[1,]", 1, 3, "a comma after the last entry"),
        (b"[,1]", 1, 2, "expected a value"),
        (b"[1}", 1, 3, 'expected "," or "]"'),
        (b"[01]", 1, 2, 'found "01"'),
        (b"[1.]", 1, 2, 'found "1."'),
        (b"[+1]", 1, 2, 'found "+1"'),
        (b"[.5]", 1, 2, 'found ".5"'),
        (b"[1e]", 1, 2, 'found "1e"'),
        (b"[0x1]", 1, 2, 'found "0x1"'),
        ("[١]".encode(), 1, 2, "expected a value"),
        (b'{"a":', 1, 6, "the document ends"),
        (b"{", 1, 2, "the document ends"),
        (b"[1", 1, 3, "the document ends"),
        (b"{}\n{}", 2, 1, "text after the end"),
        (b'["abc', 1, 2, "without its closing quote"),
        (b'["a\nb"]', 1, 2, "without its closing quote"),
        (b'["a\tb"]', 1, 4, "control character U+0009"),
        (b'["a\x00b"]', 1, 4, "control character U+0000"),
        (b'["a\\qb"]', 1, 4, "unknown escape"),
        (b'["a\\u12g4"]', 1, 4, "unknown escape"),
        (b'["\\ud800"]', 1, 2, "unpaired surrogate"),
        (b'["\\udc00\\ud800"]', 1, 2, "unpaired surrogate"),
        (b'{"\\ud83d": 1}', 1, 2, "unpaired surrogate"),
    ],
)
def test_read_of_an_unreadable_document_names_the_place_and_points_at_the_root(
    document: bytes, line: int, column: int, message: str
) -> None:
    root, problems = _read(document)
    assert root is None
    (problem,) = problems
    assert (problem.pointer, problem.line, problem.column) == ("", line, column)
    assert message in problem.message


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        (b"version: 1", "regate import reads YAML"),
        (b"// x", "JSON has no comments"),
        (b'{"a": Infinity}', "JSON has no Infinity"),
        (b'{"a": None}', "write null"),
        (b"{'a': 1}", "double quotes"),
        (b'{"a": @}', ""),
    ],
)
def test_read_of_a_common_slip_hints_at_the_remedy(document: bytes, hint: str) -> None:
    assert hint in _read(document)[1][0].hint


def test_read_of_a_surrogate_pair_gives_the_character() -> None:
    root, problems = _read(b'"\\ud83d\\ude00"')
    assert problems == []
    assert root is not None
    assert root.value == "😀"


def test_read_of_repeated_names_reports_each_and_keeps_the_first() -> None:
    root, problems = _read(b'{"a": 1, "\\u0061": {"b": 2, "b": 3}, "a": 4}')
    assert root is not None
    assert _loose(root) == {"a": 1}
    assert [(each.pointer, each.column) for each in problems] == [("", 10), ("", 29), ("", 38)]


def test_read_of_numbers_out_of_range_reports_each_at_its_place() -> None:
    root, problems = _read(b'{"a": [1e1001, 1, 1e1001], "b": ' + b"1" * 101 + b"}")
    assert [each.pointer for each in problems] == ["/a/0", "/a/2", "/b"]
    assert root is not None
    assert _loose(root) == {"a": [FAULT, 1, FAULT], "b": FAULT}


def test_read_of_the_deepest_allowed_nesting_is_good() -> None:
    _, problems = _read(b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH)
    assert problems == []


def test_read_below_the_deepest_allowed_nesting_reports_each_place_once() -> None:
    deep = b"[" * (MAX_DEPTH - 1) + b'[1e9999], {"a": [1e9999]}' + b"]" * (MAX_DEPTH - 1)
    root, problems = _read(b"[" + deep + b"]")
    assert root is not None
    assert [each.pointer for each in problems] == ["/0" * MAX_DEPTH, "/0" * (MAX_DEPTH - 1) + "/1"]


@pytest.mark.parametrize(
    "document",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" + b"9" * 100_000 + b"]",
        b"[1e" + b"9" * 100_000 + b"]",
        b'"' + b"\\n" * 200_000,
        b"-" * 200_000,
    ],
    ids=["open", "arrays", "objects", "digits", "exponent", "string", "minus"],
)
def test_read_of_a_hostile_document_ends_with_problems(document: bytes) -> None:
    assert _read(document)[1]
