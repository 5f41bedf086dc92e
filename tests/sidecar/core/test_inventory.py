"""Source: mcp-gateway.md G13."""

import json
from typing import Any

import pytest
from mcp.shared import inbound

from sidecar.core import listing
from sidecar.core.inventory import HeaderParam, Inventory


def taught(*tools: Any) -> Inventory:
    inventory = Inventory()
    inventory.learn(json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).encode())
    return inventory


def test_learn_list_makes_its_tools_known() -> None:
    inventory = taught({"name": "a", "inputSchema": {"properties": {"n": {}, "m": {}}}}, {"name": "b "})
    assert [inventory.advertised(name) for name in ("a", "b ", "b", "A")] == [True, True, False, False]
    known = inventory.properties("a")
    assert known is not None
    assert known.exact == {"n", "m"}


def test_learn_listing_is_as_good_as_its_bytes() -> None:
    inventory = Inventory()
    found = listing.read(b'{"result":{"tools":[{"name":"a"}]}}')
    assert found is not None
    inventory.learn(found)
    assert inventory.advertised("a")


def test_learn_pages_add_up_and_the_newest_schema_counts() -> None:
    inventory = taught({"name": "a", "inputSchema": {"properties": {"n": {}}}})
    for name, argument in (("b", "x"), ("a", "m")):
        page = {"result": {"tools": [{"name": name, "inputSchema": {"properties": {argument: {}}}}]}}
        inventory.learn(json.dumps(page).encode())
    known = inventory.properties("a")
    assert known is not None
    assert known.exact == {"m"}
    assert inventory.advertised("b")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"result":{"tools":[',
        b'{"result":{"tools":{"a":1}}}',
        b'{"result":{"tools":[null,5,{"name":5},{"name":"a","name":"b"}]}}',
        b'{"result":{"content":[]}}',
    ],
)
def test_learn_anything_else_teaches_nothing(data: bytes) -> None:
    inventory = Inventory()
    inventory.learn(data)
    assert not inventory.advertised("a")
    assert not inventory.advertised("b")


@pytest.mark.parametrize("schema", [None, True, [], "x", {}, {"properties": None}, {"properties": [1]}])
def test_learn_tool_without_a_readable_schema_knows_no_arguments(schema: Any) -> None:
    inventory = taught({"name": "a", "inputSchema": schema})
    assert inventory.advertised("a")
    assert inventory.properties("a") is None
    assert inventory.header_params("a") == ()


def test_properties_of_an_unknown_tool_are_unknown() -> None:
    assert Inventory().properties("a") is None
    assert Inventory().header_params("a") == ()


def test_learn_keeps_ten_thousand_tools_and_renews_those() -> None:
    inventory = taught(*({"name": f"t{number}"} for number in range(10_000)))
    assert inventory.advertised("t9999")
    inventory.learn(b'{"result":{"tools":[{"name":"t0","inputSchema":{"properties":{"n":{}}}},{"name":"late"}]}}')
    assert inventory.properties("t0") is not None
    assert not inventory.advertised("late")


STRING = {"type": "string", "x-mcp-header": "Region"}
VALID = [
    ({"properties": {"r": STRING}}, {("r",): ("region", False)}),
    ({"properties": {"o": {"properties": {"i": {"type": "integer", "x-mcp-header": "N"}}}}}, {("o", "i"): ("n", True)}),
    (
        {"properties": {"b": {"type": "boolean", "x-mcp-header": "b"}, "r": STRING}},
        {("b",): ("b", False), ("r",): ("region", False)},
    ),
    ({"properties": {"x-mcp-header": {"type": "string"}}}, {}),
    ({"properties": {"r": {"type": "string", "default": {"x-mcp-header": "x"}, "enum": [{"x-mcp-header": 1}]}}}, {}),
    (
        {"properties": {"r": STRING}, "allOf": {"x-mcp-header": "x"}, "$defs": [1], "items": True},
        {("r",): ("region", False)},
    ),
]
INVALID: list[dict[str, Any]] = [
    {"x-mcp-header": "Root", "type": "string"},
    {"properties": {"r": {"type": "number", "x-mcp-header": "N"}}},
    {"properties": {"r": {"x-mcp-header": "N"}}},
    {"properties": {"r": {"type": ["string"], "x-mcp-header": "N"}}},
    {"properties": {"r": {"type": "string", "x-mcp-header": ""}}},
    {"properties": {"r": {"type": "string", "x-mcp-header": "a b"}}},
    {"properties": {"r": {"type": "string", "x-mcp-header": "a\n"}}},
    {"properties": {"r": {"type": "string", "x-mcp-header": 5}}},
    {"properties": {"r": {"type": "string", "x-mcp-header": "N"}, "s": {"type": "string", "x-mcp-header": "n"}}},
    {"properties": {"r": {"items": STRING}}},
    {"properties": {"r": {"anyOf": [STRING, {"type": "null"}]}}},
    {"properties": {"r": {"$ref": "#/$defs/R"}}, "$defs": {"R": STRING}},
    {"items": {"properties": {"r": STRING}}},
]


@pytest.mark.parametrize(("schema", "expected"), VALID)
def test_header_params_of_a_valid_schema_are_found(schema: dict[str, Any], expected: dict[Any, Any]) -> None:
    found = {param.path: param for param in taught({"name": "a", "inputSchema": schema}).header_params("a")}
    assert found == {
        path: HeaderParam(b"mcp-param-" + header.encode(), path, integer)
        for path, (header, integer) in expected.items()
    }
    assert inbound.find_invalid_x_mcp_header(schema) is None
    assert {path: token.lower() for path, token in inbound.x_mcp_header_map(schema).items()} == {
        path: header for path, (header, _) in expected.items()
    }


@pytest.mark.parametrize("schema", INVALID)
def test_header_params_of_an_invalid_schema_are_none(schema: dict[str, Any]) -> None:
    assert taught({"name": "a", "inputSchema": schema}).header_params("a") == ()
    assert inbound.find_invalid_x_mcp_header(schema) is not None


def test_header_params_of_an_escaped_annotation_are_found() -> None:
    inventory = Inventory()
    inventory.learn(
        b'{"result":{"tools":[{"name":"a","inputSchema":{"properties":{"r":{"type":"string","\\u0078-mcp-header":"R"}}}}]}}'
    )
    assert [param.header for param in inventory.header_params("a")] == [b"mcp-param-r"]


def test_header_params_of_a_deep_schema_never_crash() -> None:
    schema: dict[str, Any] = {"x-mcp-header": 1}
    for _ in range(300):
        schema = {"properties": {"a": schema}}
    assert taught({"name": "a", "inputSchema": schema}).header_params("a") == ()


@pytest.mark.parametrize(
    ("answer", "announces"),
    [
        (b'{"result":{"capabilities":{"tools":{"listChanged":true}}}}', True),
        (b'{"result":{"capabilities":{"tools":{"listChanged":false}}}}', False),
        (b'{"result":{"capabilities":{"tools":{}}}}', False),
        (b'{"result":{}}', False),
        (b"", False),
    ],
)
def test_learn_abilities_says_whether_changes_are_announced(answer: bytes, announces: bool) -> None:
    inventory = Inventory()
    inventory.learn_abilities(answer)
    assert inventory.announces_changes is announces


def test_names_are_those_of_all_tools_that_are_known() -> None:
    inventory = Inventory()
    inventory.learn(b'{"result":{"tools":[{"name":"b"},{"name":"a"}]}}')
    assert inventory.names == ["b", "a"]
