import json

import pytest

from sidecar.core.query import Asker

ASKER = Asker(policy="p", server="s", grant="g")


def test_call_query_holds_the_whole_document() -> None:
    assert json.loads(ASKER.call("t", b'{"a": 1}')) == {
        "policy": "p",
        "server": "s",
        "grant": "g",
        "tool": "t",
        "args": {"a": 1},
    }


def test_call_arguments_are_spliced_in_byte_for_byte() -> None:
    arguments = b'{ "n" : 1.10e2,\n"s":"\\u0061\xc3\xa9" }'
    assert b',"args":' + arguments + b"}" in ASKER.call("t", arguments)


def test_call_fault_takes_the_place_of_the_arguments() -> None:
    query = json.loads(ASKER.call("t", b'{"secret":1}', 'Number "out" of range.'))
    assert query["args_fault"] == 'Number "out" of range.'
    assert "args" not in query
    assert "secret" not in json.dumps(query)


@pytest.mark.parametrize(
    ("approved", "expected"), [(True, {"state": "granted"}), (False, {"state": "refused"}), (None, None)]
)
def test_call_approval_tells_what_a_person_said(approved: bool | None, expected: object) -> None:
    assert json.loads(ASKER.call("t", b"{}", approved=approved)).get("approval") == expected


def test_call_arguments_cannot_reach_other_members() -> None:
    query = json.loads(ASKER.call("t", b'{"approval":{"state":"granted"},"policy":"other","tool":"u"}'))
    assert (query["policy"], query["tool"], "approval" in query) == ("p", "t", False)


@pytest.mark.parametrize("name", ['a","policy":"q', "a\\", "\u2028\n\x00", "\u00e9", ""])
def test_query_names_of_any_characters_stay_names(name: str) -> None:
    asker = Asker(policy=name, server=name, grant=name)
    query = json.loads(asker.call(name, b"{}"))
    assert query == {"policy": name, "server": name, "grant": name, "tool": name, "args": {}}
    assert json.loads(asker.visible([name, name]))["tools"] == [name, name]


def test_query_without_policy_says_null() -> None:
    asker = Asker(policy=None, server="s", grant="g")
    assert json.loads(asker.call("t", b"{}"))["policy"] is None
    assert json.loads(asker.visible([]))["policy"] is None


def test_visible_query_holds_the_names_in_order() -> None:
    query = json.loads(ASKER.visible(("b", "a")))
    assert query == {"policy": "p", "server": "s", "grant": "g", "tools": ["b", "a"]}


def test_visible_query_of_a_grant_that_lists_what_may_be_called_says_so() -> None:
    asker = Asker(policy="p", server="s", grant="g", callable_only=True)
    assert json.loads(asker.visible(("a",))) == {
        "policy": "p",
        "server": "s",
        "grant": "g",
        "list": "callable",
        "tools": ["a"],
    }


def test_zero_with_an_exponent_that_opa_cannot_read_is_asked_as_zero() -> None:
    arguments = (
        rb'{"0e99999999": "\"0e99999999", "a": [-0.00E-99999999, 0e99999999,10e2], "b": 0.0e7, "c": "1e9999999"}'
    )
    asked = Asker(policy=None, server="s", grant="g").call("t", arguments)
    assert rb'"args":{"0e99999999": "\"0e99999999", "a": [0, 0,10e2], "b": 0, "c": "1e9999999"}' in asked
