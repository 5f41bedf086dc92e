import json
from typing import Any

import pytest

from sidecar.proving.budgets import Most, at_least_as_strict, budgets, most_calls, most_spend
from sidecar.proving.parts import Side, side
from translator import parse


def of(*limits: dict[str, Any], **other: list[dict[str, Any]]) -> dict[str, Side]:
    tools = {"t": {"limits": list(limits)}, **{name: {"limits": each} for name, each in other.items()}}
    made = parse(json.dumps({"version": "1", "default": "deny", "tools": tools}).encode())
    return {tool: side(made, tool) for tool in tools}


def limit(most: float = 10, window: str | int = "minute", counter: str = "c", **more: Any) -> dict[str, Any]:
    return {"counter": counter, "window": window, "max": most, **more}


def spend(most: float, path: str = "args.a", **more: Any) -> dict[str, Any]:
    return limit(most, "day", "s", increment_from=path, **more)


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ([limit(10)], [], True),
        ([], [limit(10)], False),
        ([limit(10)], [limit(10)], True),
        ([limit(10)], [limit(9)], False),
        ([limit(10, counter="d")], [limit(10)], True),
        ([limit(10)], [limit(600, "hour")], True),
        ([limit(10)], [limit(599, "hour")], False),
        ([limit(10, 120)], [limit(10)], True),
        ([limit(10, 90)], [limit(10)], False),
        ([limit(10, scope="server")], [limit(10, scope="session")], True),
        ([limit(10, scope="session")], [limit(10)], False),
        ([limit(61, increment=2)], [limit(60, increment=2)], True),
        ([limit(60, increment=2)], [limit(30)], True),
        ([limit(60)], [limit(60, increment=2)], False),
        ([spend(100)], [spend(100.5)], True),
        ([spend(100)], [spend(100, "args.b")], False),
        ([limit(1, "day")], [spend(100)], False),
    ],
)
def test_limits_that_surely_refuse_what_others_refuse(one: list[Any], other: list[Any], wanted: bool) -> None:
    assert at_least_as_strict(budgets(of(*one)), budgets(of(*other)), "t") is wanted


def test_a_counter_that_another_tool_feeds_refuses_more() -> None:
    shared, alone = budgets(of(limit(), u=[limit()])), budgets(of(limit(), u=[]))
    assert at_least_as_strict(shared, alone, "t")
    assert not at_least_as_strict(alone, shared, "t")


def test_a_tool_that_cannot_be_called_has_no_limits() -> None:
    assert budgets({"t": Side(reached=False)}).limits == {"t": {}}


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ([], Most(None, "")),
        ([limit(10)], Most("14400", "c")),
        ([limit(10), limit(50, "day", "d")], Most("50", "d")),
        ([limit(9, increment=2)], Most("5760", "c")),
        ([limit(10, 172800)], Most("10", "c")),
        ([limit(10, 100000)], Most("20", "c")),
        ([limit(10, 50000)], Most("30", "c")),
        ([limit(10, scope="session")], Most(None, "")),
        ([limit(10, scope="server")], Most("14400", "c")),
        ([spend(5)], Most(None, "")),
        ([limit(0)], Most("0", "c")),
    ],
)
def test_most_calls_in_a_day(limits: list[Any], wanted: Most) -> None:
    assert most_calls(of(*limits)["t"]) == wanted


def test_most_spend_in_a_day_is_exact_and_by_amount() -> None:
    hourly = limit(0.1, "hour", "h", increment_from="args.a")
    other = limit(7, "day", "o", increment_from="args.b.*", scope="session")
    assert most_spend(of(spend(1e30), hourly, other)["t"]) == [Most("2.4", "args.a by h"), Most(None, "args.b.*")]
    also = limit(5, "day", "p", increment_from="args.a", scope="session")
    assert most_spend(of(spend(3), also)["t"]) == [Most("3", "args.a by s")]
