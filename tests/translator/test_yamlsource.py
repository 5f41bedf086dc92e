"""Source: YAML 1.1; policy-semantics, sections 10, 15.1 and 15.14. Every test runs with both parsers of PyYAML."""

import json
import re
import time
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from translator import yamlsource
from translator.program import Number
from translator.report import Report
from translator.source import MAX_DEPTH
from translator.tree import Node, plain
from translator.yamlsource import MAX_COPIED, read

PYTHON = "tag:yaml.org,2002:python/object:os.system"
Told = list[tuple[str, int, int, str]]


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    loader: str = request.param
    if not hasattr(yaml, loader):
        pytest.skip("this PyYAML was built without libyaml")
    monkeypatch.setattr(yamlsource, "_LOADER", getattr(yaml, loader))
    return loader


def _read(text: str) -> tuple[Node | None, Told, Told]:
    report, remarks = Report(), Report()
    root = read(text, report, remarks)
    told, remarked = (
        [(each.pointer, each.line, each.column, each.message) for each in one.problems(text, "")]
        for one in (report, remarks)
    )
    return root, told, remarked


def _loose(node: Node | None) -> Any:
    assert node is not None
    value = node.value
    if isinstance(value, list):
        return [_loose(each) for each in value]
    if isinstance(value, dict):
        return {name: _loose(each) for name, each in value.items()}
    return json.loads(value.text) if isinstance(value, Number) else value


def _good(text: str) -> Any:
    root, told, _ = _read(text)
    assert told == []
    return _loose(root)


def _told(text: str) -> Told:
    return _read(text)[1]


def test_read_gives_the_values_of_a_plain_document() -> None:
    assert _good('# x\nversion: "1"\nn: [1, -2.50, 9007199254740993]\nt: {a: true, b: ~}\nm: |\n  x\n  y\n') == {
        "version": "1",
        "n": [1, -2.5, 9007199254740993],
        "t": {"a": True, "b": None},
        "m": "x\ny\n",
    }


def test_read_keeps_numbers_as_written() -> None:
    root, _, _ = _read("n: 1.50e+400")
    assert root is not None
    assert isinstance(root.value, dict)
    number = root.value["n"].value
    assert isinstance(number, Number)
    assert number.text == "1.50e+400"


def test_read_keeps_positions_and_pointers_after_wide_characters_and_any_line_end() -> None:
    text = '"😀": x\r\ntools:\n  "a/b":\n    - k: {z: 1}\n'
    root, _, _ = _read(text)
    assert root is not None
    places = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        places[node.pointer()] = (text[node.start :][:3], text[node.key_start :][:3])
        if isinstance(node.value, dict | list):
            waiting.extend(node.value.values() if isinstance(node.value, dict) else node.value)
    del places[""]
    assert places == {
        "/😀": ("x\r\n", '"😀"'),
        "/tools": ('"a/', "too"),
        "/tools/a~1b": ("- k", '"a/'),
        "/tools/a~1b/0": ("k: ", " k:"),
        "/tools/a~1b/0/k": ("{z:", "k: "),
        "/tools/a~1b/0/k/z": ("1}\n", "z: "),
    }


def test_read_tells_a_container_before_what_is_in_it() -> None:
    report = Report()
    root = read("- a: 1\n", report, Report())
    assert root is not None
    assert isinstance(root.value, list)
    element = root.value[0]
    assert isinstance(element.value, dict)
    for node in (element.value["a"], element, root):
        report.add(node, "x")
    report.unreadable(3, "y")
    assert [each.pointer for each in report.problems("", "")] == ["", "", "/0", "/0/a"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: !!str 5", "5"),
        ("a: !!int '5'", 5),
        ("a: ! '5'", "5"),
        ("a: ! 5", "5"),
        ("a: '5'", "5"),
        ("a: !!map {b: !!seq [1]}", {"b": [1]}),
        ('a: "\\u00e9\\0"', "é\0"),
        ("a: *x\nb: 1", None),
    ],
)
def test_read_of_tags_and_quotes(text: str, value: Any) -> None:
    assert _good(f"x: &x ~\n{text}")["a"] == value


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("a: yes", ("/a", 1, 4, '"yes" is read as true')),
        ("a: [0777]", ("/a/0", 1, 5, '"0777" is read as 511')),
        ("a: 1:30", ("/a", 1, 4, '"1:30" is read as 90')),
        ("a: 1e400", ("/a", 1, 4, '"1e400" is read as a number')),
    ],
)
def test_read_remarks_on_what_others_read_otherwise(text: str, remark: Any) -> None:
    _, told, remarks = _read(text)
    assert (told, remarks) == ([], [remark])


def test_read_of_an_alias_copies_what_it_stands_for_with_pointers_of_its_own() -> None:
    root, told, _ = _read("a: &x {k: [1, &y 2]}\nb: *x\nc: [*y, *x]\n")
    assert told == []
    value = {"k": [1, 2]}
    assert _loose(root) == {"a": value, "b": value, "c": [2, value]}
    assert root is not None
    assert isinstance(root.value, dict)
    copy = root.value["c"].value[1]  # type: ignore[index]
    assert (copy.pointer(), copy.value["k"].pointer()) == ("/c/1", "/c/1/k")  # type: ignore[index, union-attr, call-overload]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("&a [*a]", 5, 'the alias "a" stands for what it is part of'),
        ("a: &a {b: {c: [*a]}}", 16, 'the alias "a" stands for what it is part of'),
        ("a: *b", 4, 'the alias "b" stands for nothing'),
    ],
)
def test_read_of_an_alias_that_stands_for_no_value_is_unreadable(text: str, column: int, message: str) -> None:
    root, told, _ = _read(text)
    assert (root, told) == (None, [("", 1, column, message)])


def test_read_of_billions_of_laughs_ends_early() -> None:
    lines = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    before = time.process_time()
    root, told, _ = _read("\n".join(lines))
    assert time.process_time() - before < 5
    assert root is None
    assert [each[3] for each in told] == [f"aliases stand for more than {MAX_COPIED} values"]


def test_read_of_aliases_that_nest_too_deeply_ends_there() -> None:
    lines = ["a0: &a0 []"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200)]
    root, told, _ = _read("\n".join(lines))
    assert root is None
    ((pointer, _, _, message),) = told
    assert message == "nested deeper than 128 levels"
    assert pointer == "/a127" + "/0" * (MAX_DEPTH - 1)


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", "? "])
def test_read_of_a_deep_document_points_at_the_first_place_too_deep(opening: str) -> None:
    before = time.process_time()
    root, told, _ = _read(opening * 100_000)
    assert time.process_time() - before < 5
    assert root is None
    pointer, _, column, message = told[-1]
    assert message == "nested deeper than 128 levels"
    if opening != "? ":
        assert (pointer, column) == (("/a" if "a" in opening else "/0") * MAX_DEPTH, MAX_DEPTH * len(opening) + 1)


def test_read_of_a_document_of_the_greatest_depth_is_fine() -> None:
    assert _good("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tools:\n  1: {}\n", ("/tools", 2, 3, 'the name "1" is not a string')),
        ("tools:\n  a: {}\n  on: {}\n", ("/tools", 3, 3, 'the name "on" is not a string')),
        ("tools:\n  1e3: {}\n", ("/tools", 2, 3, 'the name "1e3" is not a string')),
        ("tools:\n  ~: {}\n", ("/tools", 2, 3, 'the name "~" is not a string')),
        ("tools:\n  2026-01-01: {}\n", ("/tools", 2, 3, 'the name "2026-01-01" is a date, and JSON has none')),
        ("tools:\n  ? [a, {b: [c]}]\n  : {}\n", ("/tools", 2, 5, "a name that is no plain text")),
        ("x: &x a\ntools: {*x : {}}\n", ("/tools", 2, 9, "a name that is no plain text")),
        ("x: &x {}\ntools:\n  <<: *x\n", ("/tools", 3, 3, 'members are not merged with "<<" here')),
        ("a: !!binary x", ("/a", 1, 4, '"x" has the tag tag:yaml.org,2002:binary, which is not read here')),
        ("a: !!python/object:os.system {x: 1}", ("/a", 1, 4, f'has the tag "{PYTHON}", which is not read here')),
        ("a: !!set {x}", ("/a", 1, 4, 'has the tag "tag:yaml.org,2002:set", which is not read here')),
        ("a: .inf", ("/a", 1, 4, '".inf" is no number that JSON has')),
        ("a: 2026-01-01", ("/a", 1, 4, '"2026-01-01" is a date, and JSON has none')),
        ("a: 1e1001", ("/a", 1, 4, '"1e1001" number out of range')),
        ("a: {b: 1,\n  'b': 2}", ("", 2, 3, 'the name "b" is repeated')),
    ],
)
def test_read_tells_a_fault_and_goes_on(text: str, told: Any) -> None:
    root, faults, _ = _read(text + "\nlast: {x: 1, x: 2}")
    assert root is not None
    assert sorted(faults) == sorted([told, ("", text.count("\n") + 2, 14, 'the name "x" is repeated')])


def test_read_of_a_collection_with_a_tag_gives_no_value() -> None:
    root, _, _ = _read("a: !!set {x: 1}\nb: [!own [2]]\nc: 3")
    assert root is not None
    assert plain(root) == {"a": None, "b": [None], "c": Number("3", Decimal(3))}


def test_read_of_a_quoted_merge_sign_is_a_name() -> None:
    assert _good('"<<": 1') == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("", 1, 1),
        ("# only\n", 1, 1),
        ("a: 1\n--- \nb: 2\n", 2, 1),
        ("a: b: c", 1, 5),
        ("a: [1\nb: 2", 2, 2),
        ("\ta", 1, 1),
        ("a: @", 1, 4),
    ],
)
def test_read_of_what_is_no_yaml_says_where(text: str, line: int, column: int) -> None:
    root, told, _ = _read(text)
    assert root is None
    ((pointer, *place, _),) = told
    assert (pointer, place) == ("", [line, column])


@pytest.mark.parametrize("text", ["a: \x00", "a: \ufffe", "a: \x1b[2J"])
def test_read_of_a_control_character_points_at_it(text: str) -> None:
    root, told, _ = _read(text)
    assert root is None
    assert told == [("", 1, 4, f"the character U+{ord(text[3]):04X} cannot stand in YAML")]


@pytest.mark.parametrize(
    "text", ['a: "\\ud800"', '"\\ud800": a', 'a: "\\UFFFFFFFF"', f"%YAML 1.{'9' * 5000}\n---\na: 1", 'a: "\\U00110000"']
)
def test_read_of_impossible_escapes_and_directives_is_unreadable(text: str) -> None:
    root, told, _ = _read(text)
    assert root is None
    assert [each[0] for each in told] == [""]


def test_read_of_megabytes_is_bounded() -> None:
    text = "tools:\n" + "".join(f"  t{n}:\n    rules:\n      - rate_limit: 5/hour\n" for n in range(10_000))
    before = time.process_time()
    assert len(_good(text)["tools"]) == 10_000
    assert time.process_time() - before < 20


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029")).filter(
    lambda text: not re.fullmatch(r"-?[0-9.]+[eE][+-]?[0-9]+", text)
)
"""Text that PyYAML does not write as what this reader takes for a number."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=30,
)


@given(value=JSON, flow=st.sampled_from([None, True, False]))
def test_read_of_any_document_gives_back_what_was_written(value: Any, flow: bool | None) -> None:
    assert _good(yaml.safe_dump(value, allow_unicode=True, default_flow_style=flow, sort_keys=False)) == value


@given(text=st.text("ab:-[]{},&*|>'\"#%@?<~.0123 \n\t\\é", max_size=40))
def test_read_of_any_text_agrees_with_pyyaml_or_says_why(text: str) -> None:
    root, told, _ = _read(text)
    assert (root is None) <= bool(told)
    if not told:
        try:
            expected = yaml.load(text, Loader=yamlsource._LOADER)
        except yaml.constructor.ConstructorError:
            return
        assert (
            _loose(root) == pytest.approx(expected, nan_ok=True)
            if isinstance(expected, float)
            else _loose(root) == expected
        )
