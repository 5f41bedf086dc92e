"""Source: policy-semantics, sections 9 and 15.13."""

import json
from typing import Any

import pytest

from translator.dialect import Short, short
from translator.members import members
from translator.report import Report
from translator.source import read

ALL = ("require", "deny_if", "limits", "require_approval", "action", "reason", "rate_limit")


def _short(tool: Any, name: str = "T") -> tuple[Short, list[tuple[str, str]]]:
    report = Report()
    text = json.dumps(tool)
    root = read(text, report)
    assert root is not None
    found = members(root, ALL, report)
    assert found is not None
    return short(name, found, report), [(each.pointer, each.message) for each in report.problems(text, "")]


def _good(tool: Any, name: str = "T") -> Short:
    made, told = _short(tool, name)
    assert told == []
    return made


@pytest.mark.parametrize("tool", [{}, {"action": "allow"}, {"action": "allow", "limits": [], "require": []}])
def test_short_form_that_allows_stands_for_nothing(tool: Any) -> None:
    assert _good(tool) == Short()


@pytest.mark.parametrize("reason", ["Never.", ""])
def test_short_form_deny_is_a_denial_that_always_fires(reason: str) -> None:
    made = _good({"action": "deny", "reason": reason})
    (item,) = made.deny_if
    assert (item.conditions, item.text, made.require_approval, made.hide) == ((), reason, (), False)


def test_short_form_hide_hides() -> None:
    assert _good({"action": "hide", "reason": "ignored"}) == Short(hide=True)


def test_short_form_approval_keeps_its_reason_and_the_rules_beside_it() -> None:
    made = _good({"action": "require_approval", "reason": "Ask.", "deny_if": [], "rate_limit": {"max": 1, "window": 1}})
    (item,) = made.require_approval
    assert (item.conditions, item.text, made.deny_if, len(made.limits)) == ((), "Ask.", (), 1)


@pytest.mark.parametrize(
    ("window", "kept"), [(60, "minute"), (3600, "hour"), (86400.0, "day"), (61, 61), (1, 1), (2678400, 2678400)]
)
def test_short_form_rate_limit_is_a_session_limit(window: Any, kept: Any) -> None:
    (limit,) = _good({"rate_limit": {"max": 10, "window": window}}, "CreateİΣ").limits
    assert (limit.counter, limit.scope, limit.max.text) == ("createi\u0307ς_rate", "session", "10")
    assert (limit.window, limit.increment.value, limit.amount_path) == (kept, 1, None)


@pytest.mark.parametrize("action", ["deny", "hide"])
@pytest.mark.parametrize("beside", ["require", "deny_if", "limits", "require_approval"])
def test_short_form_that_stops_calls_excludes_rules_even_empty_ones(action: str, beside: str) -> None:
    _, told = _short({beside: [], "action": action})
    assert told == [("/action", f'"{action}" excludes "{beside}"')]


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        ({"action": "deny", "rate_limit": {"max": 1, "window": 60}}, [("/action", '"deny" excludes "rate_limit"')]),
        (
            {"action": "require_approval", "require_approval": []},
            [("/action", '"require_approval" excludes "require_approval"')],
        ),
        ({"action": "Deny", "reason": "x"}, [("/action", 'unknown value "Deny"')]),
        ({"action": None, "reason": "x", "limits": []}, [("/action", None)]),
        ({"reason": "x"}, [("/reason", "has no meaning without an action that stops calls")]),
        ({"reason": ""}, [("/reason", "has no meaning without an action that stops calls")]),
        ({"action": "allow", "reason": "x"}, [("/reason", "has no meaning without an action that stops calls")]),
        ({"reason": None}, [("/reason", "must be a string, not null")]),
        ({"rate_limit": None}, [("/rate_limit", "must be an object, not null")]),
        ({"rate_limit": "10/minute"}, [("/rate_limit", "must be an object, not a string")]),
        ({"rate_limit": {}}, [("/rate_limit", 'lacks the member "max"'), ("/rate_limit", 'lacks the member "window"')]),
        ({"rate_limit": {"max": 1.5, "window": 1}}, [("/rate_limit/max", None)]),
        ({"rate_limit": {"max": 1, "window": "minute"}}, [("/rate_limit/window", "must be a whole number of seconds")]),
        ({"rate_limit": {"max": 1, "window": "x"}}, [("/rate_limit/window", None)]),
        ({"rate_limit": {"max": 1, "window": 0}}, [("/rate_limit/window", None)]),
        ({"rate_limit": {"max": 1, "window": 1, "scope": "grant"}}, [("/rate_limit/scope", 'unknown member "scope"')]),
    ],
)
def test_short_form_with_a_fault_names_its_place(tool: Any, told: list[tuple[str, str | None]]) -> None:
    _, found = _short(tool)
    assert [pointer for pointer, _ in found] == [pointer for pointer, _ in told]
    assert all(wanted in (None, message) for (_, message), (_, wanted) in zip(found, told, strict=True))


def test_short_form_rate_limit_of_a_long_tool_name_is_refused() -> None:
    tool = {"rate_limit": {"max": 1, "window": 60}}
    assert len(_good(tool, "t" * 123).limits) == 1
    _, told = _short(tool, "t" * 124)
    assert told == [("/rate_limit", "its counter would have more than 128 characters")]
