"""Parts of a JSON text, taken out as they were written."""

import pytest

from sidecar.proving.members import Malformed, elements, members, plain

DEEP = "[" * 50_000 + "]" * 50_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{}", {}),
        (' { "a" : 1e400 , "b":[1,{"x":"]\\""}]\r}\n', {"a": "1e400", "b": '[1,{"x":"]\\""}]'}),
        ('{"\\u0061": {"a": 1, "a": 2}}', {"a": '{"a": 1, "a": 2}'}),
        ('{"a": "\\ud800"}', {"a": '"\\ud800"'}),
        ('{"a": true, "b": null}', {"a": "true", "b": "null"}),
        (f'{{"a": {DEEP}}}', {"a": DEEP}),
    ],
    ids=range(6),
)
def test_member_keeps_the_text_it_was_written_in(text: str, found: dict[str, str]) -> None:
    assert members(text) == found


def test_element_keeps_the_text_it_was_written_in() -> None:
    assert elements(' [ 1.0 ,"a,]", [ ] ] ') == ["1.0", '"a,]"', "[ ]"]
    assert elements("[]") == []


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("[]", 0),
        ("{", 1),
        ('{"a" 1}', 5),
        ('{"a\n": 1}', 3),
        ('{"a":}', 5),
        ('{"a":1,}', 7),
        ('{"a":1 2}', 7),
        ('{"a":NaN}', 5),
        ('{"a":[1}', 7),
        ('{"a":01}', 6),
        ('{"a":"x', 5),
        ('{"a":1} 2', 8),
        ('{"a":1,"\\u0061":2}', 16),
    ],
)
def test_text_that_is_no_object_is_refused_where_it_goes_wrong(text: str, at: int) -> None:
    with pytest.raises(Malformed) as refused:
        members(text)
    assert refused.value.at == at


@pytest.mark.parametrize("text", ["{}", "[1", "[1,]", "[1] 2", "[1 2]"])
def test_text_that_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        elements(text)


def test_value_without_numbers_is_read_and_a_bottomless_one_refused() -> None:
    assert plain('["a", null, {"b": true}]') == ["a", None, {"b": True}]
    assert plain("9" * 10_000) == 0
    with pytest.raises(Malformed, match="too deeply"):
        plain(DEEP)
