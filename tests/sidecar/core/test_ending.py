import pytest

from sidecar.core.ending import Ending, asks, ending


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', "result"),
        (b'{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":false}}', "result"),
        (b'{"jsonrpc":"2.0","id":1,"result":{"isError":true}}', "tool_error"),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"x"}}', "error"),
        (b'{"result":{"isError":true},"id":1}', "tool_error"),
        (b'{"id":1,"result":{"resultType":"input_required","isError":true}}', "input_required"),
        (b'{"id":1,"result":{"resultType":"task"}}', "result"),
    ],
)
def test_ending_answer_of_the_call_tells_how_it_ended(message: bytes, expected: Ending) -> None:
    assert ending(message, 1) == expected


@pytest.mark.parametrize(
    "message",
    [
        b'{"id":1,"error":{"code":1,"message":"x"},"result":{}}',
        b'{"id":1,"error":{"code":1,"message":"x"},"result":null}',
        b'{"id":1,"result":{"isError":"yes"}}',
        b'{"id":1,"result":[1,2]}',
        b'{"id":1,"result":{"isError":null}}',
        b'{"id":1,"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=["both", "both_null", "odd_flag", "array", "null_flag", "deep"],
)
def test_ending_answer_that_may_have_run_never_counts_as_error(message: bytes) -> None:
    assert ending(message, 1) in ("result", None)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b"not JSON",
        b'[{"jsonrpc":"2.0","id":1,"error":{}}]',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":2,"error":{}}',
        b'{"jsonrpc":"2.0","id":"1","error":{}}',
        b'{"jsonrpc":"2.0","id":1.0,"error":{}}',
        b'{"jsonrpc":"2.0","id":true,"error":{}}',
        b'{"jsonrpc":"2.0","id":null,"error":{}}',
        b'{"jsonrpc":"2.0","error":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"elicitation/create","error":{}}',
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"id":1,"error":{}}}',
        b'{"id":' + b"[" * 100_000,
    ],
)
def test_ending_message_that_is_not_the_calls_answer_says_nothing(message: bytes) -> None:
    assert ending(message, 1) is None


@pytest.mark.parametrize(
    ("written", "request_id"),
    [
        (b'"a"', "a"),
        (b'"\\u0061"', "a"),
        (b'"1"', "1"),
        (b'""', ""),
        (b"0", 0),
        (b"-7", -7),
        (b"9007199254740993", 2**53 + 1),
        (b"1" + b"0" * 40, 10**40),
        ('"\u00e9\U0001f600"'.encode(), "\u00e9\U0001f600"),
    ],
)
def test_ending_id_compares_by_type_and_exact_value(written: bytes, request_id: str | int) -> None:
    message = b'{"jsonrpc":"2.0","id":%b,"error":{"code":1,"message":"x"}}' % written
    assert ending(message, request_id) == "error"
    assert ending(message, f"{request_id}x") is None


def test_ending_number_and_its_text_are_different_ids() -> None:
    assert ending(b'{"id":1,"error":{}}', "1") is None
    assert ending(b'{"id":"1","error":{}}', 1) is None


def test_ending_nearby_large_ids_are_different() -> None:
    assert ending(b'{"id":9007199254740993,"error":{}}', 2**53) is None


@pytest.mark.parametrize(
    ("data", "is_request"),
    [
        (b'{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{}}', True),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', True),
        (b'{"jsonrpc":"2.0","method":"notifications/progress"}', False),
        (b'{"jsonrpc":"2.0","id":1,"result":{"method":"ping"}}', False),
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', False),
        (b'{"id":1,"method":"ping"', False),
        (b"", False),
    ],
)
def test_asks_only_by_a_request(data: bytes, is_request: bool) -> None:
    assert asks(data) is is_request
