"""Source: mcp-gateway.md G10–G15, G20, G45."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared import inbound
from mcp_types import version as sdk_version

from sidecar.core import era, jsonrpc
from sidecar.core.inventory import Inventory
from sidecar.errors import HeaderMismatch, Malformed, ProtocolError, UnsupportedVersion

META = {era.VERSION_KEY: "2026-07-28", era.CAPABILITIES_KEY: {}}
V26 = b"2026-07-28"
V25 = b"2025-11-25"


def request(method: str = "tools/list", params: dict[str, Any] | None = None, **more: Any) -> jsonrpc.Message:
    body = {"jsonrpc": "2.0", "id": 3, "method": method, **more}
    return jsonrpc.parse(json.dumps(body if params is None else {**body, "params": params}).encode())


def notification(params: dict[str, Any]) -> jsonrpc.Message:
    return jsonrpc.parse(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).encode())


RESPONSE = jsonrpc.parse(b'{"jsonrpc":"2.0","id":3,"result":{}}')
LEGACY_LIST = request()
MODERN_LIST = request(params={"_meta": META})
MODERN_CALL = request("tools/call", {"name": "pay", "arguments": {}, "_meta": META})


def headers(**values: bytes | list[bytes]) -> dict[bytes, list[bytes]]:
    return {
        name.replace("_", "-").encode(): value if isinstance(value, list) else [value] for name, value in values.items()
    }


def modern(method: bytes = b"tools/list", **more: bytes | list[bytes]) -> dict[bytes, list[bytes]]:
    return headers(mcp_protocol_version=V26, mcp_method=method, **more)


def read(message: jsonrpc.Message, sent: dict[bytes, list[bytes]], inventory: Inventory | None = None) -> era.Envelope:
    return era.read(message, sent, inventory or Inventory())


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_read_legacy_header_is_legacy(version: str) -> None:
    sent = headers(mcp_protocol_version=version.encode())
    for message in (LEGACY_LIST, notification({}), RESPONSE):
        assert read(message, sent) == era.Envelope(False, version)


def test_read_without_a_version_is_the_revision_that_had_none() -> None:
    assert read(LEGACY_LIST, {}) == era.Envelope(False, "2025-03-26")
    assert read(LEGACY_LIST, headers(mcp_protocol_version=[])) == era.Envelope(False, "2025-03-26")


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (MODERN_LIST, modern()),
        (MODERN_CALL, modern(b"tools/call", mcp_name=b"pay")),
        (MODERN_CALL, modern(b"tools/call", mcp_name=b"=?base64?cGF5?=")),
        (
            request("tools/call", {"name": "d\u00e9p", "_meta": META}),
            modern(b"tools/call", mcp_name=era.encode("d\u00e9p").encode()),
        ),
        (
            request("tools/call", {"name": "=?base64?cGF5?=", "_meta": META}),
            modern(b"tools/call", mcp_name=era.encode("=?base64?cGF5?=").encode()),
        ),
        (request("prompts/get", {"name": "p", "_meta": META}), modern(b"prompts/get", mcp_name=b"p")),
        (request("resources/read", {"uri": "a:b", "_meta": META}), modern(b"resources/read", mcp_name=b"a:b")),
        (request("prompts/get", {"_meta": META}), modern(b"prompts/get")),
        (request("tasks/get", {"taskId": "t", "_meta": META}), modern(b"tasks/get", mcp_name=b"t")),
        (request("tasks/get", {"taskId": "t", "_meta": META}), modern(b"tasks/get")),
        (request("unknown/method", {"name": "n", "_meta": META}), modern(b"unknown/method", mcp_name=b"other")),
        (notification({}), headers(mcp_protocol_version=V26)),
        (notification({"_meta": META}), modern(b"notifications/cancelled")),
        (notification({"_meta": {era.VERSION_KEY: "2026-07-28"}}), headers(mcp_protocol_version=V26)),
    ],
)
def test_read_modern_message_is_modern(message: jsonrpc.Message, sent: dict[bytes, list[bytes]]) -> None:
    assert read(message, sent) == era.Envelope(True, "2026-07-28")


LINE_META = [
    ({era.VERSION_KEY: "2026-07-28"}, -32602),
    ({era.VERSION_KEY: "2026-07-28", era.CAPABILITIES_KEY: None}, -32602),
    ({era.VERSION_KEY: "2026-07-28", era.CAPABILITIES_KEY: []}, -32602),
    ({era.VERSION_KEY: None, era.CAPABILITIES_KEY: {}}, -32602),
    ({era.VERSION_KEY: 20260728, era.CAPABILITIES_KEY: {}}, -32602),
]


@pytest.mark.parametrize(("meta", "code"), LINE_META)
def test_read_modern_without_its_fields_is_invalid_params(meta: dict[str, Any], code: int) -> None:
    message = request(params={"_meta": meta})
    for attempt in (lambda: read(message, modern()), lambda: era.read_line(message)):
        with pytest.raises(Malformed) as caught:
            attempt()
        assert (caught.value.rpc_code, caught.value.http_status) == (code, 400)


@pytest.mark.parametrize("params", [None, {}, {"_meta": None}, {"_meta": "x"}, {"_meta": {"progressToken": 1}}])
def test_read_modern_header_over_a_legacy_body_is_invalid_params(params: dict[str, Any] | None) -> None:
    with pytest.raises(Malformed) as caught:
        read(request(params=params), modern())
    assert caught.value.rpc_code == -32602


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (MODERN_LIST, {}),
        (MODERN_LIST, headers(mcp_method=b"tools/list")),
        (MODERN_LIST, headers(mcp_protocol_version=V25, mcp_method=b"tools/list")),
        (MODERN_LIST, headers(mcp_protocol_version=b"2099-01-01", mcp_method=b"tools/list")),
        (MODERN_LIST, headers(mcp_protocol_version=V26)),
        (MODERN_LIST, modern(b"tools/call")),
        (MODERN_LIST, modern(b"Tools/List")),
        (MODERN_LIST, modern([b"tools/list", b"tools/list"])),
        (MODERN_LIST, headers(mcp_protocol_version=[V26, V26], mcp_method=b"tools/list")),
        (MODERN_LIST, headers(mcp_protocol_version=[V25, V26], mcp_method=b"tools/list")),
        (MODERN_LIST, modern(mcp_session_id=[b"a", b"b"])),
        (MODERN_CALL, modern(b"tools/call")),
        (MODERN_CALL, modern(b"tools/call", mcp_name=b"get")),
        (request("tasks/get", {"taskId": "t", "_meta": META}), modern(b"tasks/get", mcp_name=b"u")),
        (request("tasks/update", {"taskId": "t", "_meta": META}), modern(b"tasks/update", mcp_name=b"u")),
        (request("tasks/cancel", {"_meta": META}), modern(b"tasks/cancel", mcp_name=b"u")),
        (MODERN_CALL, modern(b"tools/call", mcp_name=b"Pay")),
        (MODERN_CALL, modern(b"tools/call", mcp_name=b" pay")),
        (MODERN_CALL, modern(b"tools/call", mcp_name=b"")),
        (MODERN_CALL, modern(b"tools/call", mcp_name=[b"pay", b"pay"])),
        (MODERN_CALL, modern(b"tools/call", mcp_name=b"=?BASE64?cGF5?=")),
        (MODERN_CALL, modern(b"tools/call", mcp_name=b"=?base64?cGF5")),
        (MODERN_CALL, modern(b"tools/call", mcp_name=b"=?base64?cG F5?=")),
        (MODERN_CALL, modern(b"tools/call", mcp_name=b"=?base64?cGF6?=")),
        (request("tools/call", {"name": "\u00e9", "_meta": META}), modern(b"tools/call", mcp_name="\u00e9".encode())),
        (request("tools/call", {"name": "\u00e9", "_meta": META}), modern(b"tools/call", mcp_name=b"\xe9")),
        (
            request("tools/call", {"name": "=?base64?cGF5?=", "_meta": META}),
            modern(b"tools/call", mcp_name=b"=?base64?cGF5?="),
        ),
        (request("prompts/get", {"_meta": META}), modern(b"prompts/get", mcp_name=b"p")),
        (request("prompts/get", {"name": None, "_meta": META}), modern(b"prompts/get", mcp_name=b"=?base64?!?=")),
        (request("prompts/get", {"name": 5, "_meta": META}), modern(b"prompts/get", mcp_name=b"5")),
        (request("resources/read", {"uri": "a:b", "_meta": META}), modern(b"resources/read")),
    ],
)
def test_read_modern_headers_that_differ_are_a_mismatch(
    message: jsonrpc.Message, sent: dict[bytes, list[bytes]]
) -> None:
    with pytest.raises(HeaderMismatch) as caught:
        read(message, sent)
    assert (caught.value.rpc_code, caught.value.http_status, caught.value.id_raw) == (-32020, 400, b"3")


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (LEGACY_LIST, headers(mcp_protocol_version=b"2099-01-01")),
        (LEGACY_LIST, headers(mcp_protocol_version=b"2025-11-25 ")),
        (LEGACY_LIST, headers(mcp_protocol_version=b"2025-11-25, 2025-11-25")),
        (LEGACY_LIST, headers(mcp_protocol_version=b"")),
        (LEGACY_LIST, headers(mcp_protocol_version=[V25, V25])),
        (LEGACY_LIST, headers(mcp_protocol_version=[V25, V26])),
        (LEGACY_LIST, headers(mcp_session_id=[b"a", b"b"])),
        (LEGACY_LIST, headers(last_event_id=[b"1", b"2"])),
        (LEGACY_LIST, headers(mcp_method=b"ping")),
        (LEGACY_LIST, headers(mcp_method=[b"tools/list", b"ping"])),
        (RESPONSE, headers(mcp_method=b"tools/list")),
        (RESPONSE, headers(mcp_protocol_version=V26)),
        (notification({"_meta": META}), {}),
        (notification({"_meta": META}), headers(mcp_protocol_version=V25)),
        (notification({"_meta": META}), modern(b"tools/call")),
        (notification({"_meta": {era.VERSION_KEY: "2099-01-01"}}), headers(mcp_protocol_version=b"2099-01-01")),
        (notification({"_meta": {era.VERSION_KEY: 5}}), headers(mcp_protocol_version=b"5")),
    ],
)
def test_read_what_is_no_modern_request_never_gets_a_modern_code(
    message: jsonrpc.Message, sent: dict[bytes, list[bytes]]
) -> None:
    with pytest.raises(Malformed) as caught:
        read(message, sent)
    assert (caught.value.rpc_code, caught.value.http_status) == (-32600, 400)


@pytest.mark.parametrize("version", ["2099-01-01", "2025-11-25", "", "2026-07-28 "])
def test_read_unknown_revision_names_the_supported_ones(version: str) -> None:
    message = request(params={"_meta": {**META, era.VERSION_KEY: version}})
    sent = headers(mcp_protocol_version=version.encode(), mcp_method=b"tools/list")
    for attempt in (lambda: read(message, sent), lambda: era.read_line(message)):
        with pytest.raises(UnsupportedVersion) as caught:
            attempt()
        error = caught.value
        assert (error.rpc_code, error.http_status, error.id_raw) == (-32022, 400, b"3")
        assert error.data == {"supported": ["2026-07-28"], "requested": version}


def test_read_line_goes_by_the_body_alone() -> None:
    assert era.read_line(MODERN_CALL) == era.Envelope(True, "2026-07-28")
    assert era.read_line(notification({"_meta": META})) == era.Envelope(True, "2026-07-28")
    for message in (LEGACY_LIST, RESPONSE, notification({})):
        assert era.read_line(message) == era.Envelope(False, "")


SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        "inner": {"type": "object", "properties": {"id": {"type": "string", "x-mcp-header": "Inner-Id"}}},
        "plain": {"type": "string"},
    },
}


def taught(schema: dict[str, Any] = SCHEMA) -> Inventory:
    inventory = Inventory()
    inventory.learn(json.dumps({"result": {"tools": [{"name": "pay", "inputSchema": schema}]}}).encode())
    return inventory


PARAMS: list[tuple[str, dict[str, bytes | list[bytes]], bool]] = [
    ("null", {}, True),
    ("{}", {}, True),
    ('{"region":"eu"}', {"region": b"eu"}, True),
    ('{"region":"eu"}', {"region": b"=?base64?ZXU=?="}, True),
    ('{"region":"eu","plain":"x"}', {"region": b"eu", "plain": b"y", "other": b"z"}, True),
    ('{"region":null}', {}, True),
    ('{"region":[]}', {}, True),
    ('{"inner":{"id":"7"}}', {"inner-id": b"7"}, True),
    ('{"inner":"x"}', {}, True),
    ('{"count":42}', {"count": b"42"}, True),
    ('{"count":42.0}', {"count": b"42"}, True),
    ('{"count":42}', {"count": b"42.0"}, True),
    ('{"count":4.2e1}', {"count": b"42"}, True),
    ('{"count":9007199254740993}', {"count": b"9007199254740993"}, True),
    ('{"count":4.5}', {"count": b"4.5"}, True),
    ('{"count":"x"}', {"count": b"x"}, True),
    ('{"dry":true}', {"dry": b"true"}, True),
    ('{"dry":false}', {"dry": b"false"}, True),
    ('{"region":5}', {"region": b"5"}, True),
    ('{"region":"eu"}', {}, False),
    ('{"region":"eu"}', {"region": b"us"}, False),
    ('{"region":"eu"}', {"region": b"EU"}, False),
    ('{"region":"eu"}', {"region": [b"eu", b"eu"]}, False),
    ('{"region":"eu"}', {"region": b"=?base64?Z?="}, False),
    ("{}", {"region": b"eu"}, False),
    ("null", {"region": b""}, False),
    ('{"region":null}', {"region": b"null"}, False),
    ('{"region":["eu"]}', {"region": b"eu"}, False),
    ('{"inner":{"id":"7"}}', {}, False),
    ('{"inner":{}}', {"inner-id": b"7"}, False),
    ('{"count":42}', {"count": b"43"}, False),
    ('{"count":42}', {"count": b"4.2e1"}, False),
    ('{"count":42}', {"count": b"42.5"}, False),
    ('{"count":9007199254740993}', {"count": b"9007199254740992"}, False),
    ('{"count":1e2000}', {"count": b"1"}, False),
    ('{"dry":true}', {"dry": b"True"}, False),
    ('{"dry":true}', {"dry": b"1"}, False),
    ('{"region":5}', {"region": b"5.0"}, False),
]


@pytest.mark.parametrize(("arguments", "mirrored", "agrees"), PARAMS)
def test_read_mirrored_arguments_must_agree(
    arguments: str, mirrored: dict[str, bytes | list[bytes]], agrees: bool
) -> None:
    body = '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"pay","arguments":%s,"_meta":%s}}'
    message = jsonrpc.parse((body % (arguments, json.dumps(META))).encode())
    sent = modern(b"tools/call", mcp_name=b"pay")
    for name, value in mirrored.items():
        sent[b"mcp-param-" + name.encode()] = value if isinstance(value, list) else [value]
    assert read(message, sent).modern
    if agrees:
        assert read(message, sent, taught()).modern
        return
    with pytest.raises(HeaderMismatch):
        read(message, sent, taught())


def test_constants_are_those_of_the_sdk() -> None:
    assert era.LEGACY == sdk_version.HANDSHAKE_PROTOCOL_VERSIONS
    assert era.MODERN == sdk_version.MODERN_PROTOCOL_VERSIONS
    assert era.NAME_KEYS == inbound.NAME_BEARING_METHODS


@given(st.text())
def test_encode_is_the_codec_of_the_sdk(value: str) -> None:
    try:
        expected = inbound.encode_header_value(value)
    except UnicodeEncodeError:
        return
    assert era.encode(value) == expected
    assert era.decode(expected.encode()) == value


@given(st.binary(max_size=8) | st.text(max_size=6).map(lambda text: f"=?base64?{text}?=".encode()))
def test_decode_accepts_nothing_that_the_sdk_refuses(header: bytes) -> None:
    said = era.decode(header)
    assert said is None or said == inbound.decode_header_value(header.decode("latin-1"))


def sdk_says(message: jsonrpc.Message, sent: dict[bytes, list[bytes]]) -> int:
    flat = {name.decode(): values[0].decode("latin-1") for name, values in sent.items()}
    said = inbound.classify_inbound_request(json.loads(message.raw), headers=flat)
    return said.code if isinstance(said, inbound.InboundLadderRejection) else 0


@pytest.mark.parametrize("version", [b"2026-07-28", b"2099-01-01", b"2025-11-25", None])
@pytest.mark.parametrize("method", [b"tools/call", b"tools/list", None])
@pytest.mark.parametrize("name", [b"pay", b"get", None])
@pytest.mark.parametrize("body_version", ["2026-07-28", "2099-01-01"])
@pytest.mark.parametrize("complete", [True, False])
def test_read_modern_request_agrees_with_the_sdk(
    version: bytes | None, method: bytes | None, name: bytes | None, body_version: str, complete: bool
) -> None:
    meta = {era.VERSION_KEY: body_version, **({era.CAPABILITIES_KEY: {}} if complete else {})}
    message = request("tools/call", {"name": "pay", "_meta": meta})
    given_headers = {b"mcp-protocol-version": version, b"mcp-method": method, b"mcp-name": name}
    sent = {key: [value] for key, value in given_headers.items() if value is not None}
    try:
        code = 0 if read(message, sent).modern else 1
    except ProtocolError as error:
        code = error.rpc_code
    expected = sdk_says(message, sent)
    assert code == expected or (code, expected) == (-32020, -32602)


PROPERTIES = {
    "count": {"type": "integer", "x-mcp-header": "Count"},
    "deep": {"type": "object", "properties": {"flag": {"type": "boolean", "x-mcp-header": "Flag"}}},
    "region": {"type": "string", "x-mcp-header": "Region"},
}
LISTED = json.dumps(
    {"result": {"tools": [{"name": "pay", "inputSchema": {"type": "object", "properties": PROPERTIES}}]}}
).encode()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/list", {}),
        ("resources/read", {"uri": "file:///ä b"}),
        ("prompts/get", {"name": "=?base64?eA==?="}),
        ("tools/call", {"name": "pay", "arguments": {"count": 5, "deep": {"flag": True}, "region": " a\n"}}),
        ("tools/call", {"name": "pay", "arguments": {"count": None, "deep": 1}}),
        ("tools/call", {"name": "pay"}),
        ("tools/call", {"name": "other", "arguments": {"count": 5}}),
    ],
)
def test_spoken_headers_are_those_that_read_asks_for(method: str, params: dict[str, Any]) -> None:
    inventory = Inventory()
    inventory.learn(LISTED)
    message = request(method, {**params, "_meta": META})
    assert isinstance(message, jsonrpc.Request)
    spoken = era.spoken(message, inventory)
    assert era.read(message, {name: [value] for name, value in spoken}, inventory).modern
    assert all(value.isascii() and value.isprintable() for value in (value.decode() for _, value in spoken))


def test_spoken_headers_follow_the_arguments() -> None:
    inventory = Inventory()
    inventory.learn(LISTED)
    message = request("tools/call", {"name": "pay", "arguments": {"count": 5, "region": "x"}, "_meta": META})
    assert isinstance(message, jsonrpc.Request)
    assert dict(era.spoken(message, inventory)) == {
        b"mcp-protocol-version": V26,
        b"mcp-method": b"tools/call",
        b"mcp-name": b"pay",
        b"mcp-param-count": b"5",
        b"mcp-param-region": b"x",
    }
