import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import jsonrpc
from sidecar.core.jsonrpc import Notification, Request, Response, addressed, parse
from sidecar.errors import BatchRefused, Malformed, ProtocolError

CALL = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"pay","arguments":{"amount":5.0}}}'


def test_parse_tool_call_keeps_every_byte() -> None:
    raw = b' {"params" : {"arguments" : { "amount":1e1 , "\\u0061":"\\u00e9" },"name":"p\\u0061y"},'
    raw += b'"method":"tools\\/call","id" : "\\u0031" ,"jsonrpc":"2.0"}\n'
    message = parse(raw)
    assert isinstance(message, Request)
    assert message.raw is raw
    assert (message.id, message.id_raw) == ("1", b'"\\u0031"')
    assert (message.method, message.params["name"]) == ("tools/call", "pay")
    assert message.arguments_raw == b'{ "amount":1e1 , "\\u0061":"\\u00e9" }'


@pytest.mark.parametrize("arguments", [b"", b',"arguments":null', b',"arguments" : null '])
def test_parse_tool_call_without_arguments_has_empty_ones(arguments: bytes) -> None:
    message = parse(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"%b}}' % arguments)
    assert isinstance(message, Request)
    assert message.arguments_raw == b"{}"


@pytest.mark.parametrize(
    ("id_raw", "expected"),
    [
        (b"0", 0),
        (b"-1", -1),
        (b"9007199254740993", 9007199254740993),
        (b"9" * 100, int("9" * 100)),
        (b'""', ""),
        (b'"1"', "1"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
    ],
)
def test_parse_id_of_either_type_is_kept(id_raw: bytes, expected: str | int) -> None:
    message = parse(b'{"jsonrpc":"2.0","id":%b,"method":"ping"}' % id_raw)
    assert isinstance(message, Request)
    assert (message.id, message.id_raw) == (expected, id_raw)
    assert message.params == {}


@pytest.mark.parametrize(
    "id_raw", [b"null", b"1.0", b"1e0", b"1E2", b"-0", b"true", b"false", b"{}", b"[]", b"[1]", b"9" * 101]
)
def test_parse_id_of_another_kind_is_refused(id_raw: bytes) -> None:
    for rest in (b'"method":"ping"', b'"method":"notifications/x"', b'"result":{}'):
        with pytest.raises(Malformed) as caught:
            parse(b'{"jsonrpc":"2.0","id":%b,%b}' % (id_raw, rest))
        assert (caught.value.rpc_code, caught.value.id_raw) == (-32600, b"null")


def test_parse_notification_is_one() -> None:
    raw = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    assert parse(raw) == Notification(raw, "notifications/cancelled", {"requestId": parse_number("1")})


def parse_number(text: str) -> object:
    return jsonrpc.Number(text)


@pytest.mark.parametrize(
    ("member", "is_error"), [(b'"result":{}', False), (b'"error":{"code":1}', True), (b'"result":null', False)]
)
def test_parse_response_is_one(member: bytes, is_error: bool) -> None:
    raw = b'{"jsonrpc":"2.0","id":"gw-1",%b}' % member
    assert parse(raw) == Response(raw, "gw-1", is_error)


REFUSED = [
    # What is not strict JSON
    (b"", -32700),
    (b"not json", -32700),
    (CALL.decode().encode("utf-16"), -32700),
    (b"\xef\xbb\xbf" + CALL, -32700),
    (CALL + b"x", -32700),
    (CALL + CALL, -32700),
    (CALL.replace(b"5.0", b"NaN"), -32700),
    (CALL.replace(b"5.0", b'"\\ud800"'), -32700),
    (CALL.replace(b"5.0", b"[" * 5000 + b"]" * 5000), -32700),
    # Names that occur twice (G2)
    (CALL.replace(b'"id":7', b'"id":7,"id":7'), -32600),
    (CALL.replace(b'"name":"pay"', b'"name":"get","name":"pay"'), -32600),
    (CALL.replace(b'"name":"pay"', b'"name":"get","n\\u0061me":"pay"'), -32600),
    (CALL.replace(b'"amount":5.0', b'"amount":5.0,"amount":6'), -32600),
    (CALL.replace(b"5.0", b'[{"x":{"a":1,"a":2}}]'), -32600),
    (CALL.replace(b'"method":"tools/call"', b'"method":"ping","method":"tools/call"'), -32600),
    # Names that look (G2) like known ones
    (CALL.replace(b'"id":7', b'"id":7,"Method":"ping"'), -32600),
    (CALL.replace(b'"id":7', b'"id":7,"METHOD":"ping"'), -32600),
    (CALL.replace(b'"id":7', b'"id":7,"method\\u0000":"ping"'), -32600),
    (CALL.replace(b'"id":7', b'"id":7,"\\u0000method":"ping"'), -32600),
    (CALL.replace(b'"id":7', '"id":7,"param\u017f":{"name":"x"}'.encode()), -32600),
    (CALL.replace(b'"id":7', b'"id":7,"param\\u017f":{"name":"x"}'), -32600),
    (CALL.replace(b'"id":7', b'"id":7,"Params":{}'), -32600),
    (CALL.replace(b'"id":7', b'"id":7,"\\u0130d":8'), -32600),
    (CALL.replace(b'"id":7', b'"id":7,"Result":{}'), -32600),
    (CALL.replace(b'"id":7', b'"ID":7'), -32600),
    (CALL.replace(b'"name":"pay"', b'"name":"pay","Name":"x"'), -32600),
    (CALL.replace(b'"name":"pay"', b'"name":"pay","name\\u0000":"x"'), -32600),
    (CALL.replace(b'"name":"pay"', b'"name":"pay","Arguments":{}'), -32600),
    (CALL.replace(b'"name":"pay"', b'"name":"pay","tas\\u212a":{}'), -32600),
    (CALL.replace(b'"name":"pay"', b'"name":"pay","_Meta":{}'), -32600),
    (CALL.replace(b'"name":"pay"', b'"name":"pay","_meta":{"ProgressToken":1}'), -32600),
    (CALL.replace(b'"name"', b'"_meta":{"io.modelcontextprotocol/protocolversion":"2026-07-28"},"name"'), -32600),
    # Source of the next four, batches: G3.
    (b"[]", -32600),
    (b"[" + CALL + b"]", -32600),
    (b"[[" + CALL + b"]]", -32600),
    (b" \n[" + CALL + b"]", -32600),
    # not an object
    (b'"tools/call"', -32600),
    (b"null", -32600),
    (b"5", -32600),
    # What is wrong with an envelope: G4.
    (CALL.replace(b'"id":7,', b""), -32600),
    (b'{"jsonrpc":"2.0","method":"tools/list"}', -32600),
    (b'{"jsonrpc":"2.0","method":"Notifications/x"}', -32600),
    (b'{"jsonrpc":"2.0","method":"ping"}', -32600),
    (CALL.replace(b'"2.0"', b"2.0"), -32600),
    (CALL.replace(b'"2.0"', b'"2.00"'), -32600),
    (CALL.replace(b'"2.0"', b'"1.0"'), -32600),
    (CALL.replace(b'"jsonrpc":"2.0",', b""), -32600),
    (CALL.replace(b'"id":7', b'"id":7,"result":{}'), -32600),
    (CALL.replace(b'"id":7', b'"id":7,"error":null'), -32600),
    (CALL.replace(b'"tools/call"', b"5"), -32600),
    (CALL.replace(b'"tools/call"', b"null"), -32600),
    (CALL.replace(b'"tools/call"', b'["tools/call"]'), -32600),
    (b'{"jsonrpc":"2.0","id":1}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', -32600),
    (b'{"jsonrpc":"2.0","result":{}}', -32600),
    (b'{"jsonrpc":"2.0","id":null,"error":{}}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"params":{}}', -32600),
    # What is wrong with params: G5.
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":null}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32602),
    (b'{"jsonrpc":"2.0","method":"notifications/x","params":"x"}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["pay"]}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}', -32602),
    (CALL.replace(b'"pay"', b"5"), -32602),
    (CALL.replace(b'"pay"', b"null"), -32602),
    (CALL.replace(b'"pay"', b'["pay"]'), -32602),
    (CALL.replace(b'{"amount":5.0}', b"[]"), -32602),
    (CALL.replace(b'{"amount":5.0}', b'"{}"'), -32602),
    (CALL.replace(b'{"amount":5.0}', b"0"), -32602),
    (CALL.replace(b'{"amount":5.0}', b"false"), -32602),
]


@pytest.mark.parametrize(("body", "code"), REFUSED)
def test_parse_anything_else_is_refused(body: bytes, code: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(body)
    assert (caught.value.rpc_code, caught.value.http_status) == (code, 400)


def test_parse_batch_is_its_own_error() -> None:
    with pytest.raises(BatchRefused):
        parse(b"[" + CALL + b"]")


PASSED = [
    CALL.replace(b'"id":7', b'"id":7,"extension":true'),
    CALL.replace(b'"name":"pay"', b'"name":"pay","extension":{"Name":"x"}'),
    CALL.replace(b'"amount":5.0', b'"amount":5.0,"Amount":6'),
    CALL.replace(b'"name":"pay"', b'"name":"pay","_meta":null'),
    CALL.replace(b'"name":"pay"', b'"name":"pay","_meta":{"com.example/x":{"a":1},"progressToken":1.5}'),
    b'{"jsonrpc":"2.0","id":1,"method":"","params":{}}',
    b'{"jsonrpc":"2.0","id":1,"method":"x/y","params":{"name":5,"arguments":[1]}}',
]


@pytest.mark.parametrize("body", PASSED)
def test_parse_legitimate_neighbours_pass(body: bytes) -> None:
    assert parse(body).raw == body


@pytest.mark.parametrize(
    ("body", "id_raw", "method", "tool"),
    [
        (CALL.replace(b'{"amount":5.0}', b"[]"), b"7", "tools/call", "pay"),
        (CALL.replace(b'"pay"', b"5"), b"7", "tools/call", ""),
        (CALL.replace(b'"pay"', b'"%b"' % (b"x" * 500)).replace(b'"2.0"', b"2"), b"7", "tools/call", "x" * 128),
        (b'{"jsonrpc":"2.0","id":"a\\"","method":"ping","params":[]}', b'"a\\""', "ping", ""),
        (b'{"jsonrpc":"2.0","id":1.0,"method":5}', b"null", "", ""),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":5}', b"1", "tools/call", ""),
        (b"[1]", b"null", "", ""),
    ],
)
def test_parse_refusal_says_which_message(body: bytes, id_raw: bytes, method: str, tool: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(body)
    error = caught.value
    assert (error.id_raw, error.method, error.tool) == (id_raw, method, tool)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (CALL, (b"7", "tools/call", "pay")),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', (b"1", "ping", "")),
        (b'{"jsonrpc":"2.0","method":"notifications/x"}', (b"null", "notifications/x", "")),
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', (b"null", "", "")),
    ],
)
def test_addressed_error_says_which_message(body: bytes, expected: tuple[bytes, str, str]) -> None:
    error = addressed(Malformed("No."), parse(body))
    assert (error.id_raw, error.method, error.tool) == expected


def _raises(error: Exception) -> Callable[[bytes], object]:
    def read(_: bytes) -> object:
        raise error

    return read


class _Params:
    name = "get"
    arguments = msgspec.Raw(b"{}")


class _Other:
    id = msgspec.Raw(b"7")
    method = "tools/call"
    params = _Params()


@pytest.mark.parametrize(
    "second",
    [
        _raises(RecursionError()),
        _raises(msgspec.DecodeError()),
        _raises(UnicodeDecodeError("utf-8", b"", 0, 0, "")),
        lambda _: _Other(),
    ],
)
def test_parse_two_readings_that_differ_are_refused(
    second: Callable[[bytes], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonrpc, "_read_call", second)
    monkeypatch.setattr(jsonrpc, "_read_request", second)
    for body in (CALL, b'{"jsonrpc":"2.0","id":7,"method":"ping"}'):
        with pytest.raises(Malformed) as caught:
            parse(body)
        assert caught.value.rpc_code == -32700


@pytest.mark.parametrize("depth", range(100, 1100, 50))
def test_parse_any_depth_never_crashes(depth: int) -> None:
    body = CALL.replace(b"5.0", b"[" * depth + b"]" * depth)
    try:
        message = parse(body)
    except Malformed:
        return
    assert isinstance(message, Request)
    assert message.arguments_raw == b'{"amount":' + b"[" * depth + b"]" * depth + b"}"


# fmt: off
SNIPPETS = [
    b'"jsonrpc"', b'"2.0"', b'"id"', b"1", b"1.0", b"null", b'"method"', b'"tools/call"', b'"params"', b'"name"',
    b'"Name"', b'"arguments"', b"{", b"}", b"[", b"]", b":", b",", b'"result"', b'"error"', b'"\\u0061"',
    b'"\\ud800"', b" ", b"\n", b"NaN", b"\xff", b"\xef\xbb\xbf", b'"a', b"true", b"-0", b"1e999", b'"_meta"',
    b"\\", b"\0",
]
# fmt: on


def _mutants() -> st.SearchStrategy[bytes]:
    cut = st.tuples(st.integers(0, len(CALL)), st.integers(0, 12), st.sampled_from(SNIPPETS) | st.binary(max_size=3))
    one = cut.map(lambda change: CALL[: change[0]] + change[2] + CALL[change[0] + change[1] :])
    return one | st.lists(st.sampled_from(SNIPPETS), max_size=20).map(b"".join) | st.binary(max_size=60)


@given(_mutants())
def test_parse_any_bytes_give_a_message_or_a_refusal(body: bytes) -> None:
    try:
        message = parse(body)
    except ProtocolError:
        return
    loose, other = json.loads(message.raw), msgspec.json.decode(message.raw)
    assert loose["jsonrpc"] == other["jsonrpc"] == "2.0"
    if not isinstance(message, Notification):
        assert loose["id"] == other["id"] == message.id
    if not isinstance(message, Response):
        assert loose["method"] == other["method"] == message.method
    if isinstance(message, Request) and message.method == "tools/call":
        assert loose["params"]["name"] == other["params"]["name"] == message.params["name"]
        assert (loose["params"].get("arguments") or {}) == json.loads(message.arguments_raw)
        assert message.arguments_raw == b"{}" or message.arguments_raw in body
