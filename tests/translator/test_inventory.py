import json
from pathlib import Path

import pytest

from translator import inventory as module
from translator.errors import InventoryRejected
from translator.inventory import Tool, read
from translator.source import MAX_BYTES
from translator.tree import plain

CATALOGUE = Path(__file__).parents[2] / "examples" / "catalogue"
TOOL = '{"name": "a", "inputSchema": {"type": "object"}}'


@pytest.mark.parametrize("shape", ["[%s]", '{"tools": [%s]}', '{"jsonrpc": "2.0", "id": 1, "result": {"tools": [%s]}}'])
def test_inventory_is_read_from_a_list_a_result_or_an_answer(shape: str) -> None:
    found = read((shape % TOOL).encode())
    schema = found.tools["a"].schema
    assert list(found.tools) == ["a"]
    assert schema is not None
    assert plain(schema) == {"type": "object"}


@pytest.mark.parametrize(("file", "count"), [("bybit-tools.json", 382), ("ccxt-tools.json", 19)])
def test_inventory_of_a_catalogue_has_every_tool_in_its_order(file: str, count: int) -> None:
    text = (CATALOGUE / file).read_bytes()
    names = list(read(text).tools)
    assert len(names) == count
    assert names == [tool["name"] for tool in json.loads(text)["tools"]]


def test_inventory_takes_hints_only_as_booleans() -> None:
    tools = [
        {"name": "a", "description": "Reads.", "annotations": {"readOnlyHint": True, "destructiveHint": False}},
        {"name": "b", "description": 1, "annotations": {"readOnlyHint": "yes"}},
        {"name": "c", "annotations": []},
    ]
    assert list(read(json.dumps(tools).encode()).tools.values()) == [
        Tool("a", None, "Reads.", True, False),
        Tool("b"),
        Tool("c"),
    ]


def test_inventory_relies_on_no_schema_of_a_tool_that_is_listed_twice() -> None:
    assert read(f"[{TOOL}, {TOOL}]".encode()).tools == {"a": Tool("a")}


@pytest.mark.parametrize(
    ("text", "pointer", "message"),
    [
        ("", "", "the list of tools is empty"),
        ("{}", "", 'lacks the member "tools"'),
        ('{"result": {}}', "/result", 'lacks the member "tools"'),
        ('"a"', "", "must be an array of tools, not a string"),
        ("[1]", "/0", "must be a tool (object), not a number"),
        ("[{}]", "/0", 'lacks the member "name"'),
        ('[{"name": 1}]', "/0/name", "must be a string, not a number"),
        ('{"tools": [], "nextCursor": "2"}', "/nextCursor", "this is one page of several"),
        ('{"tools": [], "tools": []}', "", 'the member name "tools" is repeated'),
        ("[" * 200 + "]" * 200, "/0" * 128, "nested deeper than 128 levels"),
    ],
)
def test_inventory_that_is_no_list_of_tools_is_refused_with_its_place(text: str, pointer: str, message: str) -> None:
    with pytest.raises(InventoryRejected) as caught:
        read(text.encode())
    assert (pointer, message) in [(each.pointer, each.message) for each in caught.value.problems]
    assert message in str(caught.value)


def test_inventory_of_a_last_page_is_whole() -> None:
    assert read(b'{"tools": [], "nextCursor": null}').tools == {}


def test_inventory_past_its_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InventoryRejected, match="larger than"):
        read(b" " * (MAX_BYTES + 1))
    monkeypatch.setattr(module, "MAX_TOOLS", 1)
    with pytest.raises(InventoryRejected, match="more than 1 tools"):
        read(b'[{"name": "a"}, {"name": "b"}]')
