import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import CannotDecide
from sidecar.proving import probes
from sidecar.proving.call import Call, read
from sidecar.proving.oracle import judging
from translator import parse
from translator.bundle import build


def policy(**tool: Any) -> bytes:
    return json.dumps({"version": "1", "default": "deny", "tools": {"t": tool}}).encode()


async def asked(document: bytes, call: Call, opa: Path) -> list[probes.Rule]:
    items = probes.ordered(parse(document), call.tool)
    async with judging(build({probes.PROBES: probes.program(items)}), opa) as client:
        return await probes.asked(items, call.judged(), client)


TRUTHS = [
    ({"path": "args.a", "op": "gt", "value": 5}, "6", "true"),
    ({"path": "args.a", "op": "gt", "value": 5}, "5", "false"),
    ({"path": "args.a", "op": "gt", "value": 5}, '"6"', "undetermined"),
    ({"path": "args.a", "op": "gt", "value": 5}, "null", "false"),
    ({"path": "args.a.*", "op": "gt", "value": 5}, "[6, 7]", "true"),
    ({"path": "args.a.*", "op": "gt", "value": 5}, "[6, 1]", "mixed"),
    ({"path": "args.a.*", "op": "gt", "value": 5}, "[]", "false"),
]


async def test_condition_is_told_as_opa_judges_it(opa_path: Path) -> None:
    for condition, value, truth in TRUTHS:
        call = read(b'{"tool": "t", "arguments": {"a": %b}}' % value.encode())
        (rule,) = await asked(policy(deny_if=[condition]), call, opa_path)
        assert (rule.conditions, rule.stops) == ((truth,), truth != "false"), (condition, value)


async def test_every_rule_is_asked_alone_and_in_order(opa_path: Path) -> None:
    document = {
        "version": "1",
        "default": "deny",
        "all_tools": {"deny_if": [{"conditions": []}], "limits": [{"counter": "all", "window": "day", "max": 1}]},
        "tools": {
            "t": {
                "limits": [{"counter": "own", "window": "day", "max": 1, "increment_from": "args.a"}],
                "require_approval": [{}],
                "deny_if": [{"path": "args.a", "op": "eq", "value": 1}],
                "require": ["args.b", "args.a"],
            }
        },
    }
    call = read(b'{"tool": "t", "arguments": {"a": "x"}}')
    rules = await asked(json.dumps(document).encode(), call, opa_path)
    assert [(rule.item.rule, rule.stops) for rule in rules] == [
        ("/tools/t/require/args.b-exists", True),
        ("/tools/t/require/args.a-exists", False),
        ("/tools/t/deny_if/args.a-eq", True),
        ("/all_tools/deny_if/always", True),
        ("/tools/t/require_approval/always", True),
        ("/tools/t/limits/own", True),
        ("/all_tools/limits/all", False),
    ]
    assert [rule.obligation.counter for rule in rules if rule.obligation] == ["all"]


def test_too_many_rules_cannot_be_explained() -> None:
    requires = [f"args.a{number}" for number in range(probes.MAX_RULES + 1)]
    with pytest.raises(CannotDecide, match="The tool has 1001 rules"):
        probes.ordered(parse(policy(require=requires)), "t")
    assert probes.ordered(parse(policy(require=requires)), "another") == []


async def test_arguments_too_large_for_so_many_rules_cannot_be_explained(
    opa_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "MAX_ASKED_BYTES", 20)
    call = read(b'{"tool": "t", "arguments": {"a": 12345}}')
    assert len(await asked(policy(limits=[{"counter": "c", "window": "day", "max": 1}]), call, opa_path)) == 1
    with pytest.raises(CannotDecide, match="The arguments have 12 bytes; too many to ask 1 rules"):
        await asked(policy(require=["args.a"]), call, opa_path)
