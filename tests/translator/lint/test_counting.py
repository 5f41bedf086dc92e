from typing import Any

import pytest

from translator.lint import counting as module


def _limit(most: float = 10, window: str | int = "minute", **more: Any) -> dict[str, Any]:
    return {"counter": "c", "window": window, "max": most, **more}


def _tools(**limits: Any) -> dict[str, Any]:
    return {"tools": {name: {"limits": each if isinstance(each, list) else [each]} for name, each in limits.items()}}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (_tools(a=_limit(scope="session")), [("session_limit", "/tools/a/limits/0")]),
        ({"tools": {"a": {"rate_limit": {"max": 1, "window": 60}}}}, [("session_limit", "/tools/a/rate_limit")]),
        (_tools(a=_limit(scope="server")), []),
        (_tools(a=_limit(2, increment=3), z=[]), [("always_denies", "/tools/a/limits/0")]),
        (_tools(a=_limit(3, increment=3)), []),
        (_tools(a=_limit(0), b=_limit(1, counter="d")), []),
        (_tools(a=_limit(2, increment_from="args.n")), []),
        (_tools(a=[_limit(5), _limit(5)]), [("shadowed_rule", "/tools/a/limits/1")]),
        (_tools(a=[_limit(5), _limit(4), _limit(4)]), [("shadowed_rule", "/tools/a/limits/2")]),
        (_tools(a=[_limit(5), _limit(4)]), []),
        (_tools(a=[_limit(5), _limit(5, 60)]), [("shadowed_rule", "/tools/a/limits/1")]),
        (_tools(a=[_limit(5), _limit(50, counter="d")]), []),
        (_tools(a=[_limit(50), _limit(50, "hour")]), [("never_fires", "/tools/a/limits/0")]),
        (_tools(a=[_limit(50), _limit(51, "hour")]), []),
        (_tools(a=[_limit(50, 7), _limit(50, "hour")]), []),
        (_tools(a=[_limit(50), _limit(50, "hour", scope="server")]), []),
        (_tools(a=[_limit(50), _limit(50, "hour", increment=2)]), []),
        (_tools(a=[_limit(50, increment_from="args.n"), _limit(50, "hour", increment_from="args.m")]), []),
    ],
)
def test_limits_that_bound_nothing_or_less_than_they_seem_are_told(
    policy: dict[str, Any], expected: list[tuple[str, str]], told: Any
) -> None:
    assert told(policy) == expected


def test_limit_is_not_said_to_be_out_of_reach_while_other_tools_count_on_it(told: Any) -> None:
    assert told(_tools(a=[_limit(50), _limit(50, "hour")], b=_limit(50))) == [("common_counter", "/tools/b/limits/0")]


def test_limits_by_the_hundred_are_not_compared(monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    monkeypatch.setattr(module, "_MAX_CAPS", 1)
    assert told(_tools(a=[_limit(50), _limit(50, "hour")])) == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (_tools(a=_limit(5), b=_limit(5)), [("common_counter", "/tools/b/limits/0")]),
        (_tools(a=_limit(5), b=_limit(6)), [("shared_counter", "/tools/b/limits/0")]),
        (_tools(a=_limit(5), b=_limit(5), d=_limit(6)), [("shared_counter", "/tools/d/limits/0")]),
        (_tools(a=[_limit(5), _limit(4)], b=_limit(5)), [("common_counter", "/tools/a/limits/1")]),
        (_tools(a=_limit(5), b=_limit(5, "hour")), []),
        (_tools(a=_limit(5), b=_limit(5, scope="server")), []),
        (_tools(a=_limit(5, counter="b_rate"), b={"counter": "b_rate2", "window": "day", "max": 1}), []),
    ],
)
def test_counters_that_tools_share_are_told(policy: dict[str, Any], expected: list[tuple[str, str]], told: Any) -> None:
    assert told(policy) == expected


def test_counter_of_every_tool_in_one_tool_is_told_at_the_tool(told: Any) -> None:
    every = {"all_tools": {"limits": [_limit(100)]}}
    assert told({**_tools(a=_limit(5)), **every}) == [("shared_counter", "/tools/a/limits/0")]
    assert told({**_tools(a=_limit(5, counter="d")), **every}) == []


@pytest.mark.parametrize(
    ("counter", "is_told"),
    [
        ("create_charge_rate", True),
        ("Create_Charge", True),
        ("create_charges", False),
        ("refund_rate", False),
        ("charges", False),
        ("create_charge_and_refund", True),
        ("xy_rate", False),
    ],
)
def test_counter_named_for_another_tool_is_told(counter: str, is_told: bool, told: Any) -> None:
    policy = _tools(refund=_limit(counter=counter), xy=_limit(counter="x"), create_charge=_limit(counter="y"))
    assert told(policy) == ([("shared_counter", "/tools/refund/limits/0")] if is_told else [])


def test_counter_named_for_another_tool_is_not_told_of_all_tools(told: Any) -> None:
    assert told({"tools": {"refund": {}}, "all_tools": {"limits": [_limit(counter="refund_rate")]}}) == []


def test_counters_are_not_compared_while_the_policy_has_errors(told: Any) -> None:
    assert told({**_tools(a=_limit(5), b=_limit(6)), "hide": 1}) == [("invalid_policy", "/hide")]


def test_shared_counter_of_many_tools_names_some_of_them() -> None:
    assert module._listed(["a", "b", "a", "c", "d"]) == '"a", "b", "c" and 1 more'
