"""Source: policy-semantics, sections 7 and 15.11."""

import json
from typing import Any

import pytest

from translator import check as module
from translator.check import check
from translator.document import policy
from translator.report import Report
from translator.source import read

BOTH = 'the counter "c" is used both for counts and for spend'
OTHER = 'the counter "c" meets another increment of itself on one tool'


def _limit(**more: Any) -> dict[str, Any]:
    return {"counter": "c", "window": "minute", "max": 10, **more}


def _told(**members: Any) -> list[tuple[str, str]]:
    text = json.dumps({"version": "1", "default": "deny", **members})
    report = Report()
    root = read(text, report)
    assert root is not None
    found = policy(root, report)
    assert found is not None
    assert not report
    check(found, report)
    return [(each.pointer, each.message) for each in report.problems(text, "")]


def _tool(*limits: dict[str, Any]) -> dict[str, Any]:
    return {"limits": list(limits)}


SPEND = _limit(increment_from="args.a")


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"tools": {"t": _tool(_limit(), _limit(max=5)), "u": _tool(_limit())}},
        {"tools": {"t": _tool(_limit(), _limit(window="hour", increment=2))}},
        {"tools": {"t": _tool(_limit(), _limit(scope="session", increment=2))}},
        {"tools": {"t": _tool(_limit(), _limit(counter="C", increment=2))}},
        {"tools": {"t": _tool(_limit(), SPEND | {"window": 61}, SPEND | {"scope": "server"})}},
        {"tools": {"t": _tool(_limit(increment=1)), "u": _tool(_limit(increment=2))}},
        {"tools": {"t": _tool(_limit(increment=2), _limit(increment=2))}, "all_tools": _tool(_limit(increment=2))},
        {"tools": {"t": _tool(SPEND), "u": _tool(_limit(increment_from="args.b"))}},
    ],
)
def test_check_of_counters_that_agree_finds_nothing(members: dict[str, Any]) -> None:
    assert _told(**members) == []


def test_check_takes_increments_by_value() -> None:
    text = (
        '{"version": "1", "default": "deny", "tools": {"t": {"limits": ['
        '{"counter": "c", "window": "day", "max": 1, "increment": 2},'
        '{"counter": "c", "window": 86400, "max": 1, "increment": 2.0}]}}}'
    )
    report = Report()
    root = read(text, report)
    assert root is not None
    found = policy(root, report)
    assert found is not None
    check(found, report)
    assert not report


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"tools": {"t": _tool(_limit()), "a/b": _tool(SPEND)}}, [("/tools/a~1b/limits/c", BOTH)]),
        ({"tools": {"t": _tool(_limit(), SPEND, _limit())}}, [("/tools/t/limits/c#2", BOTH)]),
        ({"tools": {"t": _tool(SPEND, _limit(window=60))}}, [("/tools/t/limits/c#2", BOTH)]),
        ({"all_tools": _tool(_limit()), "tools": {"t": _tool(SPEND)}}, [("/tools/t/limits/c", BOTH)]),
        ({"tools": {"t": _tool(SPEND)}, "all_tools": _tool(_limit())}, [("/all_tools/limits/c", BOTH)]),
        ({"tools": {"t": _tool(_limit(), _limit(increment=2))}}, [("/tools/t/limits/c#2", OTHER)]),
        ({"tools": {"t": _tool(SPEND, _limit(increment_from="args.b"))}}, [("/tools/t/limits/c#2", OTHER)]),
        ({"tools": {"t": _tool(SPEND, SPEND | {"as": "number"})}}, [("/tools/t/limits/c#2", OTHER)]),
        ({"all_tools": _tool(_limit(), _limit(increment=2))}, [("/all_tools/limits/c#2", OTHER)]),
        (
            {"tools": {"t": _tool(_limit())}, "all_tools": _tool(_limit(increment=2))},
            [("/all_tools/limits/c", OTHER)],
        ),
        (
            {"all_tools": _tool(_limit()), "tools": {"t": _tool(_limit(increment=2)), "u": _tool(_limit(increment=3))}},
            [("/tools/t/limits/c", OTHER), ("/tools/u/limits/c", OTHER)],
        ),
        (
            {
                "tools": {"t": _tool(_limit()), "u": _tool(_limit(increment=2))},
                "all_tools": _tool(_limit(increment=2)),
            },
            [("/all_tools/limits/c", OTHER)],
        ),
    ],
)
def test_check_of_counters_that_clash_names_the_later_limit(
    members: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    assert _told(**members) == told


def test_check_of_a_rate_limit_takes_later_as_later_in_the_document() -> None:
    rate = {"max": 1, "window": 60}
    written = _limit(counter="t_rate", scope="session", increment=2)
    first, second = _told(tools={"t": {"rate_limit": rate, "limits": [written]}}), None
    second = _told(tools={"t": {"limits": [written], "rate_limit": rate}})
    assert [pointer for pointer, _ in first] == ["/tools/t/limits/t_rate"]
    assert [pointer for pointer, _ in second] == ["/tools/t/limits/t_rate#2"]


def test_check_of_rule_ids_past_all_measure_refuses_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RULE_ID_CHARS", 60)
    tool = {"require": ["args.a"], "deny_if": [{"conditions": []}]}
    assert _told(tools={"t": tool, "u": tool}) == []
    assert _told(tools={"t": tool, "u" * 40: tool, "v": tool}) == [
        (f"/tools/{'u' * 40}", "its name is too long for so many rules")
    ]
    assert _told(all_tools={"require": ["args.a"] * 7}) == [("/all_tools", "its name is too long for so many rules")]


def test_check_of_more_rules_than_opa_can_hold_refuses_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RULES", 4)
    condition = {"path": "args.a", "op": "eq", "value": 1}
    three = {"require": ["args.a"], "deny_if": [{"conditions": [condition, condition]}]}
    two = {"deny_if": [{"conditions": []}], "limits": [{"counter": "c", "window": "day", "max": 1}]}
    more = "with it the policy has more than 4 rules and conditions"
    assert _told(tools={"t": three}) == []
    assert _told(tools={"t": two, "u": two}) == []
    assert _told(tools={"t": three, "u": two}) == [("/tools/u", more)]
    assert _told(tools={"t": three}, all_tools=two) == [("/all_tools", more)]
