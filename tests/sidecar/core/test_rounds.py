"""Source: mcp-gateway.md G38."""

import pytest

from sidecar.core import rounds

OWN = b'"dev.regate/approval":{"action":"accept"}'
ESCAPED = b'"dev.regate\\/approval" : 1'


def call(params: bytes) -> bytes:
    return b'{"id":1,"jsonrpc":"2.0" , "method":"tools/call","params":{"name":"pay",%b"arguments":{"n":1.0}}}' % params


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        (b'"requestState":"rg1.abc",', "rg1.abc"),
        (b'"requestSt\\u0061te" : "\\u0072g1.abc",', "rg1.abc"),
        (b'"requestState":"theirs",', None),
        (b'"requestState":5,', None),
        (b'"requestState":null,', None),
        (b"", None),
    ],
)
def test_state_of_the_gateway_is_told_from_others(member: bytes, expected: str | None) -> None:
    assert rounds.state_in(call(member)) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"requestState":"rg1.abc",', b'"requestState":{"a": [1]},'),
        (b'"requestState":"rg1.abc","inputResponses":{%b},' % OWN, b'"requestState":{"a": [1]},'),
        (
            b'"inputResponses": {"q": {"b" :1} , %b},"requestState" : "rg1.abc" ,' % OWN,
            b'"inputResponses": {"q": {"b" :1}},"requestState" : {"a": [1]} ,',
        ),
        (
            b'"requestState":"rg1.abc","inputResponses":{%b, "q":2},' % ESCAPED,
            b'"requestState":{"a": [1]},"inputResponses":{"q":2},',
        ),
    ],
)
def test_server_gets_its_own_state_and_answers_byte_for_byte(before: bytes, after: bytes) -> None:
    assert rounds.taken_off(call(before), b'{"a": [1]}') == call(after)


def test_server_that_gave_no_state_gets_none() -> None:
    assert rounds.taken_off(call(b'"requestState":"rg1.abc",'), None) == call(b"")


@pytest.mark.parametrize(
    "member", [b"", b'"inputResponses":{"q":1},', b'"inputResponses":[1],', b'"inputResponses":null,']
)
def test_answers_that_are_not_to_the_gateway_stay(member: bytes) -> None:
    assert rounds.own_taken_off(call(member)) == call(member)
    assert rounds.answer_in(call(member)) is None


def test_answer_to_the_gateway_is_found() -> None:
    assert rounds.answer_in(call(b'"inputResponses":{%b},' % OWN)) == b'{"action":"accept"}'


@pytest.mark.parametrize(
    ("answer", "theirs", "expected"),
    [
        (b'{"id":1,"result":{"requestState":"s" }}', b'"s"', b'{"id":1,"result":{"requestState":"rg1.x" }}'),
        (b'{"id":1,"result":{"requestState":null}}', None, b'{"id":1,"result":{"requestState":"rg1.x"}}'),
        (b'{"id":1,"result":{ "k":1}}', None, b'{"id":1,"result":{"requestState":"rg1.x", "k":1}}'),
    ],
)
def test_answer_gets_the_gateways_state_in_place_of_the_servers(
    answer: bytes, theirs: bytes | None, expected: bytes
) -> None:
    assert rounds.theirs_in(answer) == theirs
    assert rounds.put_on(answer, "rg1.x") == expected
