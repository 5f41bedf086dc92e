import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from translator import dialect, document, items, limits
from translator.compile import checked
from translator.errors import PolicyRejected
from translator.schema import DIALECT, schema

ROOT = Path(__file__).parents[2]
VALIDATOR = jsonschema.Draft202012Validator(schema())
CASES = [
    json.dumps(case["policy"]) if isinstance(case.get("policy"), dict) else case.get("policy_text") or "null"
    for file in sorted((ROOT / "tests" / "decisions" / "cases").glob("*.jsonl"))
    for case in map(json.loads, filter(None, file.read_text(encoding="utf-8").split("\n")))
    if case.get("dialect", "json") == "json"
]
FILES = [*(ROOT / "tests" / "translator" / "cases").glob("*/policy.json"), *(ROOT / "examples").glob("**/policy.json")]
SEEN = [*CASES, *(path.read_text(encoding="utf-8") for path in sorted(FILES))]


def _accepted(text: str) -> bool:
    try:
        checked(text.encode())
    except PolicyRejected:
        return False
    return True


ACCEPTED = [text for text in SEEN if _accepted(text)]


def test_schema_is_one_of_its_draft() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == DIALECT
    assert len(ACCEPTED) > 60


@pytest.mark.parametrize("text", ACCEPTED, ids=range(len(ACCEPTED)))
def test_schema_takes_every_policy_that_the_translator_takes(text: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(json.loads(text))] == []


def test_schema_has_exactly_the_members_that_the_readers_know() -> None:
    made = schema()
    parts = made["$defs"]
    assert set(made["properties"]) == set(document._ROOT)
    assert set(parts["rules"]["properties"]) == set(document._RULES)
    assert set(parts["tool"]["properties"]) == {*document._RULES, *dialect.MEMBERS}
    assert set(parts["condition"]["properties"]) == set(items._CONDITION)
    assert set(parts["limit"]["properties"]) == set(limits._MEMBERS)
    for name, known in items._ITEM.items():
        full, bare = parts[name]["anyOf"][-2:]
        assert set(full["properties"]) == set(known)
        assert set(bare["properties"]) == {*items._CONDITION, *known} - {"conditions"}


def _members(part: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(part, dict):
        if part.get("additionalProperties") is False:
            yield from part["properties"].items()
        for value in part.values():
            yield from _members(value)
    elif isinstance(part, list):
        for value in part:
            yield from _members(value)


def test_schema_describes_every_member() -> None:
    made = schema()
    paths = {"$ref": "#/$defs/path"}
    assert "description" in made["$defs"]["path"]
    assert not [name for name, member in _members(made) if "description" not in member and member != paths]


def _tool(**members: Any) -> dict[str, Any]:
    return {"version": "1", "default": "deny", "tools": {"t": members}}


def _limit(**members: Any) -> dict[str, Any]:
    return _tool(limits=[{"counter": "c", "window": "day", "max": 1, **members}])


def _is(op: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"path": "args.a", "op": op, "value": value, **more}


@pytest.mark.parametrize(
    "policy",
    [
        [],
        {"default": "deny"},
        {"version": 1, "default": "deny"},
        {"version": "1", "default": "Deny"},
        {"version": "1", "default": "deny", "onDeny": ""},
        {"version": "1", "default": "deny", "hide": ["a", "a"]},
        {"version": "1", "default": "deny", "hide": [""]},
        {"version": "1", "default": "deny", "tools": {"*": {}}},
        {"version": "1", "default": "deny", "tools": {"a": None}},
        {"version": "1", "default": "deny", "all_tools": {"action": "deny"}},
        _tool(action="deny", limits=[]),
        _tool(action="require_approval", require_approval=[]),
        _tool(reason="x"),
        _tool(action="allow", reason="x"),
        _tool(rate_limit={"max": 1, "window": "minute"}),
        _tool(require=["amount"]),
        _tool(require=[{"conditions": []}]),
        _tool(deny_if=["args.a"]),
        _tool(deny_if=[{}]),
        _tool(deny_if=[{"conditions": [], "message": ""}]),
        _tool(deny_if=[{"conditions": [], "path": "args.a"}]),
        _tool(deny_if=[_is("eq", None)]),
        _tool(deny_if=[_is("equals", 1)]),
        _tool(deny_if=[_is("in", "a")]),
        _tool(deny_if=[_is("in", [None])]),
        _tool(deny_if=[_is("gt", "1")]),
        _tool(deny_if=[_is("exists", "yes")]),
        _tool(deny_if=[_is("regex", 1)]),
        _tool(deny_if=[{**_is("regex", "1"), "as": "number"}]),
        _tool(deny_if=[{**_is("eq", "1"), "as": "number"}]),
        _tool(deny_if=[{**_is("in", []), "as": "number"}]),
        _tool(deny_if=[{"path": "args" + ".a" * 33, "op": "eq", "value": 1}]),
        _tool(require_approval=[{"ttl_seconds": 0}]),
        _limit(window="week"),
        _limit(window=0),
        _limit(max=-1),
        _limit(max=1.5),
        _limit(counter=""),
        _limit(scope="user"),
        _limit(increment=0),
        _limit(increment=1, increment_from="args.a"),
        _limit(**{"as": "number"}),
    ],
)
def test_schema_refuses_what_the_translator_refuses(policy: Any) -> None:
    assert not _accepted(json.dumps(policy))
    assert not VALIDATOR.is_valid(policy)
