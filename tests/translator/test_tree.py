from decimal import Decimal

import pytest

from translator.program import Number
from translator.tree import FAULT, Node, Value, escape, kind, plain

ONE = Number("1", Decimal(1))


def test_pointer_of_nested_places_escapes_names_and_counts_elements() -> None:
    root = Node({}, 0)
    member = Node([], 5, "a/b~c", 1, root)
    assert root.pointer() == ""
    assert member.pointer() == "/a~1b~0c"
    assert Node(None, 6, 2, 6, member).pointer() == "/a~1b~0c/2"


def test_escape_of_tilde_and_slash_keeps_everything_else() -> None:
    assert escape("~1/ .#") == "~01~1 .#"


def test_plain_value_drops_positions_and_reads_faults_as_null() -> None:
    root = Node({"a": Node([Node(ONE, 1), Node(FAULT, 2)], 0), "b": Node(False, 0), "c": Node("x", 0)}, 0)
    assert plain(root) == {"a": [ONE, None], "b": False, "c": "x"}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "a boolean"),
        ("", "a string"),
        (ONE, "a number"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_kind_of_each_type_is_named(value: Value, name: str) -> None:
    assert kind(Node(value, 0)) == name
