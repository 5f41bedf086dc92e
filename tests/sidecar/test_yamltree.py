import datetime

import pytest

from sidecar.yamltree import read


def test_read_plain_document_gives_values_and_places() -> None:
    tree = read("a: 1\nb:\n  - x\n  - {c: true}\n")
    assert tree.value == {"a": 1, "b": ["x", {"c": True}]}
    assert tree.faults == []
    assert tree.place(("b", 1, "c")) == (4, 6)
    assert tree.place(("b",)) == (2, 1)


def test_place_of_something_absent_is_that_of_what_holds_it() -> None:
    tree = read("a:\n  b: 1\n")
    assert tree.place(("a", "missing")) == (1, 1)
    assert tree.place(("nothing",)) == (1, 1)


def test_read_nothing_gives_none() -> None:
    tree = read("# only a comment\n")
    assert tree.value is None
    assert tree.faults == []
    assert tree.place(()) == (1, 1)


def test_read_date_gives_a_value_that_is_no_text() -> None:
    assert read("a: 2001-01-01").value == {"a": datetime.date(2001, 1, 1)}


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\na: 2\n", 2, 1, "given twice"),
        ("a: &x [1]\nb: *x\n", 1, 4, "an alias (*name) is not accepted; write the value out"),
        ("a: &x {b: *x}\n", 1, 4, "an alias (*name) is not accepted; write the value out"),
        ("a: !!python/object:os.system x\n", 1, 4, "not a value of a kind known here; put text in quotes"),
        ("a: 2020-99-99\n", 1, 4, "not a value of a kind known here; put text in quotes"),
        ("<<: {a: 1}\n", 1, 1, "a name must be plain text"),
        ("[a]: 1\n", 1, 1, "a name must be plain text"),
        ("a: {\n", 2, 1, "not valid YAML: expected the node content, but found '<stream end>'"),
        ("a: 1\n---\nb: 2\n", 2, 1, "not valid YAML: but found another document"),
        ("\x00", 1, 1, "not valid YAML: a character at offset 0 is not allowed"),
        ("- " * 5000, 1, 1, "nested too deeply"),
        ("a: " + "[" * 40 + "]" * 40, 1, 36, "nested too deeply"),
    ],
)
def test_read_what_is_no_tree_names_the_fault(text: str, line: int, column: int, message: str) -> None:
    fault = read(text).faults[0]
    assert (fault.line, fault.column, fault.message) == (line, column, message)


def test_read_name_given_twice_keeps_the_first() -> None:
    assert read("a: 1\nb: 2\na: 3\n").value == {"a": 1, "b": 2}
