"""Source: mcp-gateway.md G6, G30, G54."""

import json
from typing import Any

import pytest

from sidecar.core import jsonrpc
from sidecar.core.arguments import NUMBER_RANGE, TOO_DEEP
from sidecar.core.era import Envelope
from sidecar.core.inventory import Inventory
from sidecar.core.messages import Judged, PassThrough, ToolCall, ToolList, classify
from sidecar.errors import Malformed

LEGACY = Envelope(False, "2025-11-25")
MODERN = Envelope(True, "2026-07-28")


def judged(body: bytes, envelope: Envelope = LEGACY, inventory: Inventory | None = None) -> Judged:
    return classify(jsonrpc.parse(body), envelope, inventory or Inventory())


def call(params: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":%b}' % params


def taught(name: str = "pay", *, properties: Any = None) -> Inventory:
    inventory = Inventory()
    tool = {"name": name, "inputSchema": {"type": "object", "properties": properties or {"amount": {}, "to": {}}}}
    inventory.learn(json.dumps({"result": {"tools": [tool]}}).encode())
    return inventory


def test_classify_tool_call_has_all_that_policy_asks() -> None:
    body = call(b'{"name":"pay","arguments":{"amount": 5,"to":{"x":1}}}')
    assert judged(body) == ToolCall(
        raw=body,
        id=7,
        id_raw=b"7",
        tool="pay",
        arguments_raw=b'{"amount": 5,"to":{"x":1}}',
        argument_keys=("amount", "to"),
        arguments_fault=None,
        modern=False,
        task=False,
    )


@pytest.mark.parametrize("params", [b'{"name":"pay"}', b'{"name":"pay","arguments":null}'])
def test_classify_tool_call_without_arguments_has_empty_ones(params: bytes) -> None:
    found = judged(call(params))
    assert isinstance(found, ToolCall)
    assert (found.arguments_raw, found.argument_keys, found.arguments_fault) == (b"{}", (), None)


@pytest.mark.parametrize(
    ("value", "fault"),
    [(b"1e1001", NUMBER_RANGE), (b"9" * 101, NUMBER_RANGE), (b"[" * 128 + b"]" * 128, TOO_DEEP), (b"1e400", None)],
)
def test_classify_arguments_that_policy_refuses_carry_the_fault(value: bytes, fault: str | None) -> None:
    found = judged(call(b'{"name":"pay","arguments":{"a":%b}}' % value))
    assert isinstance(found, ToolCall)
    assert (found.arguments_fault, found.argument_keys) == (fault, ("a",))


@pytest.mark.parametrize(
    ("params", "envelope", "task"),
    [
        (b'{"name":"pay","task":{}}', LEGACY, True),
        (b'{"name":"pay","task":{"ttl":5}}', LEGACY, True),
        (b'{"name":"pay","task":null}', LEGACY, False),
        (b'{"name":"pay"}', LEGACY, False),
        (b'{"name":"pay","task":{}}', MODERN, False),
    ],
)
def test_classify_task_exists_only_in_the_legacy_era(params: bytes, envelope: Envelope, task: bool) -> None:
    found = judged(call(params), envelope)
    assert isinstance(found, ToolCall)
    assert (found.task, found.modern) == (task, envelope.modern)


@pytest.mark.parametrize("envelope", [LEGACY, MODERN])
def test_classify_tool_list_is_one(envelope: Envelope) -> None:
    body = b'{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{"cursor":""}}'
    assert judged(body, envelope) == ToolList(body, "a", b'"a"', envelope.modern)


@pytest.mark.parametrize(
    ("body", "id", "id_raw", "method"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"resources/read"}', 1, b"1", "resources/read"),
        (b'{"jsonrpc":"2.0","id":1,"method":"acme/do"}', 1, b"1", "acme/do"),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/calls"}', 1, b"1", "tools/calls"),
        (b'{"jsonrpc":"2.0","id":1,"method":"x/tools/call"}', 1, b"1", "x/tools/call"),
        (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', None, b"null", "notifications/initialized"),
        (b'{"jsonrpc":"2.0","id":"gw-1","result":{}}', "gw-1", b"null", None),
    ],
)
def test_classify_anything_else_passes(body: bytes, id: object, id_raw: bytes, method: str | None) -> None:
    assert judged(body) == PassThrough(body, id, id_raw, method, False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "method",
    ["Tools/Call", "tools/call ", "tools%2fcall", "tools\uff0fcall", "tools/ca\u200bll", "TOOLS/LIST", "x" * 257],
)
def test_classify_look_alike_method_is_refused(method: str) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": {"name": "pay"}}).encode()
    for envelope, status in ((LEGACY, 400), (MODERN, 404)):
        with pytest.raises(Malformed) as caught:
            judged(body, envelope)
        assert (caught.value.rpc_code, caught.value.http_status, caught.value.id_raw) == (-32601, status, b"7")


@pytest.mark.parametrize("name", ["pay ", " pay", "", "p/ay", "pay\0", "p\u0430y", "x" * 129])
def test_classify_odd_tool_name_passes_only_if_advertised(name: str) -> None:
    body = call(json.dumps({"name": name}).encode())
    with pytest.raises(Malformed) as caught:
        judged(body, inventory=taught("pay"))
    assert (caught.value.rpc_code, caught.value.id_raw, caught.value.method) == (-32602, b"7", "tools/call")
    found = judged(body, inventory=taught(name))
    assert isinstance(found, ToolCall)
    assert found.tool == name


@pytest.mark.parametrize(
    "key", ["AMOUNT", "Amount", "amount\\u0000", "\\u0000amount", "a\\u0000mount", "T\\u004f", "amoun\\u0054"]
)
def test_classify_argument_that_looks_like_a_known_one_is_refused(key: str) -> None:
    for arguments in (f'{{"{key}":9}}', f'{{"amount":1,"to":1,"{key}":9}}'):
        body = call(f'{{"name":"pay","arguments":{arguments}}}'.encode())
        with pytest.raises(Malformed) as caught:
            judged(body, inventory=taught())
        assert (caught.value.rpc_code, caught.value.tool) == (-32602, "pay")
        assert isinstance(judged(body), ToolCall)


@pytest.mark.parametrize(
    ("arguments", "properties"),
    [
        ('{"amount":1,"other":2}', None),
        ('{"nested":{"AMOUNT":1}}', None),
        ('{"AMOUNT":1,"amount":2}', {"AMOUNT": {}, "amount": {}}),
        ('{"am ount":1}', None),
    ],
)
def test_classify_arguments_beside_the_known_ones_pass(arguments: str, properties: Any) -> None:
    body = call(f'{{"name":"pay","arguments":{arguments}}}'.encode())
    assert isinstance(judged(body, inventory=taught(properties=properties)), ToolCall)


@pytest.mark.parametrize(
    "params",
    [
        b'{"name":"pay","arguments":{"__proto__":{"amount":9}}}',
        b'{"name":"pay","arguments":{"\\u005f_proto__":{"amount":9}}}',
        b'{"name":"pay","arguments":{"a":[{"__proto__":1}]}}',
        b'{"name":"pay","__proto__":{"name":"x"}}',
        b'{"name":"pay","_meta":{"__proto__":{}}}',
    ],
)
def test_classify_tool_call_that_reaches_a_prototype_is_refused(params: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        judged(call(params))
    assert caught.value.rpc_code == -32602


@pytest.mark.parametrize("value", [b'"__proto__"', b'"\\u00e9"', b'{"proto":1}'])
def test_classify_tool_call_that_only_mentions_a_prototype_passes(value: bytes) -> None:
    assert isinstance(judged(call(b'{"name":"pay","arguments":{"a":%b}}' % value)), ToolCall)
