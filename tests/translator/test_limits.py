"""Source: policy-semantics, sections 7, 15.2 and 15.5."""

import json
from decimal import Decimal
from typing import Any

import pytest

from translator.limits import limits
from translator.members import members
from translator.model import Limit
from translator.report import Report
from translator.source import read

BASE = {"counter": "c", "window": "day", "max": 1}


def _limits(text: str) -> tuple[tuple[Limit, ...], list[tuple[str, str]]]:
    report = Report()
    root = read(text, report)
    assert root is not None
    found = members(root, ("limits",), report)
    assert found is not None
    return limits(found, report), [(each.pointer, each.message) for each in report.problems(text, "")]


def _one(**more: Any) -> Limit:
    (limit,), told = _limits(json.dumps({"limits": [{**BASE, **more}]}))
    assert told == []
    return limit


def test_limit_with_the_least_has_defaults() -> None:
    limit = _one()
    assert (limit.counter, limit.window, limit.max.text, limit.scope) == ("c", "day", "1", "grant")
    assert (limit.increment.value, limit.amount_path, limit.as_number) == (1, None, False)
    assert (limit.text, limit.name) == ("", "")


def test_limit_with_everything_keeps_it() -> None:
    more = {"scope": "session", "increment_from": "args.list.*.qty", "as": "number", "on_deny": "No.", "name": "n"}
    limit = _one(**more, max=10.5)
    assert (limit.scope, limit.amount_path, limit.as_number) == ("session", ("list", "*", "qty"), True)
    assert (limit.text, limit.name, limit.max.value) == ("No.", "n", Decimal("10.5"))


@pytest.mark.parametrize("more", [{"increment": 2}, {"increment": 0.5}, {"scope": "server"}, {"max": 0}, {"max": -0.0}])
def test_limit_with_a_value_at_its_edge_is_good(more: dict[str, Any]) -> None:
    assert _one(**more)


@pytest.mark.parametrize("counter", ["a b", " a", "\x1c", "😀" * 128])
def test_limit_with_any_counter_that_is_not_blank_is_good(counter: str) -> None:
    assert _one(counter=counter).counter == counter


@pytest.mark.parametrize(("written", "window"), [(1, 1), (60.0, 60), (2678400, 2678400), ("minute", "minute")])
def test_limit_with_a_window_keeps_its_form(written: Any, window: Any) -> None:
    assert _one(window=written).window == window


def test_limit_with_whole_numbers_in_any_notation_is_good() -> None:
    (limit,), told = _limits('{"limits": [{"counter": "c", "window": 36e2, "max": 1.0e1}]}')
    assert told == []
    assert (limit.window, limit.max.text) == (3600, "1.0e1")


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("counter", " \u3000", "must not be blank"),
        ("counter", "", "must not be blank"),
        ("counter", "c" * 129, "must have at most 128 characters, not 129"),
        ("counter", None, "must be a string, not null"),
        ("window", "Minute", 'unknown value "Minute"'),
        ("window", "60", 'unknown value "60"'),
        ("window", 0, "must be a whole number of seconds from 1 to 2678400"),
        ("window", 2678401, "must be a whole number of seconds from 1 to 2678400"),
        ("window", 1.5, "must be a whole number of seconds from 1 to 2678400"),
        ("window", None, 'must be one of "minute", "hour", "day", not null'),
        ("max", -1, "must not be negative"),
        ("max", 1.5, "must be whole, because calls are counted"),
        ("max", "1", "must be a number, not a string"),
        ("max", True, "must be a number, not a boolean"),
        ("scope", "user", 'unknown value "user"'),
        ("scope", None, 'must be one of "grant", "session", "server", not null'),
        ("increment_from", "amount", 'the path "amount" does not start with "args."'),
        ("increment_from", None, "must be a path such as args.amount, not null"),
        ("increment", 0, "must be above 0"),
        ("increment", -1, "must be above 0"),
        ("increment", None, "must be a number, not null"),
        ("as", "number", 'has no meaning without "increment_from"'),
        ("as", "text", 'unknown value "text"'),
        ("on_deny", None, "must be a string, not null"),
        ("name", [], "must be a string, not an array"),
        ("message", "x", 'unknown member "message"'),
        ("conditions", [], 'unknown member "conditions"'),
    ],
)
def test_limit_with_a_fault_names_its_place(member: str, value: Any, message: str) -> None:
    _, told = _limits(json.dumps({"limits": [{**BASE, member: value}]}))
    assert told == [(f"/limits/0/{member}", message)]


@pytest.mark.parametrize("increment", [1, 0, None])
def test_limit_with_both_increments_is_refused_at_increment(increment: Any) -> None:
    _, told = _limits(json.dumps({"limits": [{**BASE, "increment": increment, "increment_from": "args.a"}]}))
    assert told == [("/limits/0/increment", 'excludes "increment_from"')]


def test_limit_that_lacks_members_is_reported_for_each() -> None:
    _, told = _limits('{"limits": [{}, 1]}')
    assert told == [
        ("/limits/0", 'lacks the member "counter"'),
        ("/limits/0", 'lacks the member "window"'),
        ("/limits/0", 'lacks the member "max"'),
        ("/limits/1", "must be an object, not a number"),
    ]
