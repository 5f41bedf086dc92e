"""Members of an object are found, put in, replaced and cut out, and every other byte stays."""

import json

import pytest

from sidecar.core import members
from sidecar.core.members import Ambiguous, Member

TEXT = b' { "a" : 1.0 ,\n"b\\u0063": {"x":[1, {"y":2}], "q" : "}\\"," } , "c":null\t} '


def test_members_are_found_where_they_lie() -> None:
    found = members.members(TEXT)
    assert [member.name for member in found] == ["a", "bc", "c"]
    assert [TEXT[m.value : m.end] for m in found] == [b"1.0", b'{"x":[1, {"y":2}], "q" : "}\\"," }', b"null"]
    assert TEXT[found[1].begin :].startswith(b'"b\\u0063"')
    assert members.members(b'{"a":1}') == [Member("a", 1, 5, 6)]


@pytest.mark.parametrize("text", [b"{}", b" { } "])
def test_members_of_an_empty_object_are_none(text: bytes) -> None:
    assert members.members(text) == []


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"[]", b"1", b"{", b'{"a":1,"a":2}', b'{"a":1,"a":1}', b'{"a":1,"\\u0061":1}'),
        *(b'{"a":1,"b":2,"a":1}', b"\xff", b"[" * 100_000),
    ],
)
def test_members_of_what_is_not_one_plain_object_are_ambiguous(text: bytes) -> None:
    with pytest.raises(Ambiguous):
        members.members(text)


def test_get_finds_a_value_as_it_is_written() -> None:
    assert members.get(TEXT, "bc", "q") == b'"}\\","'
    assert members.get(TEXT, "bc", "z") is None
    assert members.get(TEXT, "z", "q") is None


def test_put_replaces_a_value_and_nothing_else() -> None:
    assert members.put(TEXT, ("bc", "x"), b"0") == TEXT.replace(b'[1, {"y":2}]', b"0")


@pytest.mark.parametrize(
    ("text", "expected"), [(b"{ }", b'{"n":1 }'), (b'{"a":1}', b'{"n":1,"a":1}'), (b' {\n"a":1}', b' {"n":1,\n"a":1}')]
)
def test_put_of_a_new_member_is_the_first(text: bytes, expected: bytes) -> None:
    assert members.put(text, ("n",), b"1") == expected


def test_put_into_an_object_that_is_not_there_is_ambiguous() -> None:
    with pytest.raises(Ambiguous):
        members.put(TEXT, ("z", "q"), b"1")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("a",), {"bc": {"x": [1, {"y": 2}], "q": '}",'}, "c": None}),
        (("bc", "x"), {"a": 1.0, "bc": {"q": '}",'}, "c": None}),
        (("bc",), {"a": 1.0, "c": None}),
        (("c",), {"a": 1.0, "bc": {"x": [1, {"y": 2}], "q": '}",'}}),
        (("z",), json.loads(TEXT)),
    ],
)
def test_cut_leaves_the_others(path: tuple[str, ...], expected: object) -> None:
    assert json.loads(members.cut(TEXT, path)) == expected


def test_cut_of_the_only_member_leaves_an_object() -> None:
    assert members.cut(b'{ "a" : 1 }', ("a",)) == b"{  }"
