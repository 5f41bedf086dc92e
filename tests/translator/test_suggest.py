"""Source: policy-semantics, section 11; MCP 2025-11-25, ToolAnnotations."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from translator import canonical, parse
from translator.inventory import Inventory, Tool, read
from translator.lint.review import review
from translator.suggest import suggest

CATALOGUE = Path(__file__).parents[2] / "examples" / "catalogue"


def _made(default: Literal["allow", "deny"] = "deny", **hints: tuple[bool | None, bool | None]) -> Any:
    tools = {name: Tool(name, None, "", read_only, destructive) for name, (read_only, destructive) in hints.items()}
    return suggest(Inventory(tools), default)


def test_suggestion_without_tools_is_a_small_policy_that_denies() -> None:
    made = suggest()
    document = json.loads(made.text)
    assert document["default"] == "deny"
    assert document["tools"] == {}
    assert document["description"]
    assert review(made.text.encode()).findings == ()
    assert json.loads(suggest(default="allow").text)["default"] == "allow"


@pytest.mark.parametrize(
    ("hints", "fate", "tools", "hide"),
    [
        ((True, None), "allowed", {"t": {}}, []),
        ((True, False), "allowed", {"t": {}}, []),
        ((False, True), "hidden", {}, ["t"]),
        ((None, True), "hidden", {}, ["t"]),
        (
            (False, False),
            "limited",
            {"t": {"limits": [{"counter": "t_rate", "window": "minute", "max": 30, "scope": "grant"}]}},
            [],
        ),
        ((None, False), "denied", {"t": {"action": "deny", "reason": "Not reviewed yet."}}, []),
        ((False, None), "denied", {"t": {"action": "deny", "reason": "Not reviewed yet."}}, []),
        ((None, None), "denied", {"t": {"action": "deny", "reason": "Not reviewed yet."}}, []),
        ((True, True), "denied", {"t": {"action": "deny", "reason": "Not reviewed yet."}}, []),
    ],
)
def test_suggestion_trusts_hints_only_where_they_leave_no_doubt(
    hints: tuple[bool | None, bool | None], fate: str, tools: dict[str, Any], hide: list[str]
) -> None:
    made = _made(t=hints)
    document = json.loads(made.text)
    assert (document["tools"], document["hide"]) == (tools, hide)
    assert made.fates["t"][0] == fate
    assert parse(made.text.encode()).fallback == "deny"


def test_suggestion_that_allows_by_default_still_denies_what_is_not_reviewed() -> None:
    document = json.loads(_made("allow", a=(True, None), b=(None, None), c=(False, True), d=(False, False)).text)
    assert list(document["tools"]) == ["b", "d"]
    assert document["tools"]["b"]["action"] == "deny"
    assert document["hide"] == ["c"]


def test_suggestion_leaves_out_names_that_no_policy_can_list() -> None:
    made = suggest(Inventory({name: Tool(name) for name in ("*", " ", "", "a")}))
    assert list(made.fates) == ["a"]
    assert parse(made.text.encode()).tools.keys() == {"a"}


@pytest.mark.parametrize("file", ["bybit-tools.json", "ccxt-tools.json"])
def test_suggestion_for_a_catalogue_is_valid_canonical_and_names_every_tool(file: str) -> None:
    inventory = read((CATALOGUE / file).read_bytes())
    made = suggest(inventory)
    found = review(made.text.encode(), inventory=inventory)
    assert made.fates.keys() == inventory.tools.keys()
    assert {each.code for each in found.findings} <= {"permits_nothing"}
    assert made.text == canonical.text(json.loads(made.text))
