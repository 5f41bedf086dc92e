"""Source: policy-semantics, sections 2 and 5."""

import itertools
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translator.lint import reach as module
from translator.lint.review import review


def _is(path: str, op: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"path": f"args.{path}", "op": op, "value": value, **more}


def _all(*conditions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"conditions": list(conditions), **more}


LIMIT = {"counter": "c", "window": "day", "max": 1}
ALWAYS = _all()
OVER_10, OVER_20 = _is("a", "gt", 10), _is("a", "gt", 20)
SHADOWED, NEVER, DENIES = "shadowed_rule", "never_fires", "always_denies"
NEQ = "neq_without_require"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"deny_if": [OVER_10, OVER_20]}, [(SHADOWED, "deny_if/1")]),
        ({"deny_if": [OVER_20, OVER_10]}, []),
        ({"deny_if": [OVER_10, OVER_10]}, [(SHADOWED, "deny_if/1")]),
        ({"deny_if": [_is("a", "lt", 5), _is("a", "gte", 5), _is("a", "eq", 3)]}, [(SHADOWED, "deny_if/2")]),
        ({"deny_if": [_is("a", "exists", True), OVER_10]}, [(SHADOWED, "deny_if/1")]),
        ({"deny_if": [_is("b", "exists", True), OVER_10]}, []),
        ({"deny_if": [ALWAYS, OVER_10], "limits": [LIMIT]}, [(SHADOWED, "deny_if/1"), (SHADOWED, "limits/0")]),
        ({"deny_if": [ALWAYS], "require_approval": [{}]}, [(SHADOWED, "require_approval/0")]),
        ({"deny_if": [{**ALWAYS, "on_deny": "Requires human approval."}, OVER_10], "limits": [LIMIT]}, []),
        ({"require_approval": [{}, OVER_10], "limits": [LIMIT]}, [(SHADOWED, "require_approval/1")]),
        ({"require": [_is("a", "lte", 10)], "deny_if": [OVER_10]}, [(SHADOWED, "deny_if/0")]),
        ({"require": [_is("a", "lte", 11)], "deny_if": [OVER_10]}, []),
        ({"require": [_is("a", "lte", 10), _is("a", "lte", 20)]}, [(SHADOWED, "require/1")]),
        ({"require": [_is("a", "lte", 20), _is("a", "lte", 10)]}, []),
        ({"require": [_is("a", "lte", 10), "args.a"]}, [(SHADOWED, "require/1")]),
        ({"require": ["args.a", _is("a", "lte", 10)]}, []),
        ({"require": ["args.a"], "deny_if": [_is("a", "exists", False)]}, [(SHADOWED, "deny_if/0")]),
        ({"require": [_is("a", "gt", 10), _is("a", "lt", 10)]}, [(DENIES, "require/1")]),
        ({"require": [_all(_is("a", "gt", 10), _is("a", "lt", 10))]}, [(DENIES, "require/0")]),
        ({"require": [_is("a", "in", [])], "limits": [LIMIT]}, [(DENIES, "require/0"), (SHADOWED, "limits/0")]),
        ({"require": [_is("a.*", "gt", 10), _is("a.*", "lt", 10)]}, [(DENIES, "require/1")]),
        ({"deny_if": [_all(_is("a", "gt", 10), _is("a", "lt", 10))]}, [(NEVER, "deny_if/0")]),
        ({"deny_if": [_all(_is("a.*", "gt", 10), _is("a.*", "lt", 10))]}, []),
        ({"deny_if": [_all(_is("a", "gte", 10), _is("a", "lte", 10))]}, []),
        ({"deny_if": [_is("a", "in", [])]}, [(NEVER, "deny_if/0")]),
        ({"require_approval": [_is("a.*", "in", [])]}, [(NEVER, "require_approval/0")]),
        ({"deny_if": [_all(OVER_10, _is("b", "eq", 1)), _all(OVER_20, _is("b", "eq", 1))]}, [(SHADOWED, "deny_if/1")]),
        ({"deny_if": [_all(OVER_10, _is("b", "eq", 1)), _all(OVER_20, _is("b", "eq", 2))]}, []),
        ({"deny_if": [_all(OVER_10, _is("b", "eq", 1)), OVER_20]}, []),
        (
            {"require": [_is("b", "eq", 1)], "deny_if": [_all(OVER_10, _is("b", "gt", 0)), OVER_20]},
            [],
        ),
        (
            {"deny_if": [_is("a.*", "gt", 10), _is("a.*", "gt", 20), _is("a", "exists", False)]},
            [(SHADOWED, "deny_if/1")],
        ),
        ({"deny_if": [_is("a", "gt", 10, **{"as": "number"}), _is("a", "gt", 20)]}, []),
    ],
)
def test_rules_that_decide_nothing_are_told_and_their_neighbours_not(
    rules: dict[str, Any], expected: list[tuple[str, str]], told: Any
) -> None:
    found = told({"tools": {"t": rules, "u": {}}})
    assert found == [(code, f"/tools/t/{place}") for code, place in expected]


def test_rules_of_all_tools_are_judged_among_themselves(told: Any) -> None:
    policy = {"tools": {"t": {"deny_if": [OVER_10]}}, "all_tools": {"deny_if": [OVER_10, OVER_20]}}
    assert told(policy) == [(SHADOWED, "/all_tools/deny_if/1")]


def test_mapped_denial_asks_and_stops_only_later_approvals(told: Any) -> None:
    rules = {"deny_if": [{**ALWAYS, "on_deny": "Ask."}, OVER_10], "require_approval": [{}], "limits": [LIMIT]}
    found = told({"tools": {"t": rules}}, approval_map=["Ask."])
    assert found == [(SHADOWED, "/tools/t/require_approval/0")]


def test_message_names_the_rule_that_decides_or_all_that_do_together() -> None:
    rules = {"deny_if": [_is("a", "lt", n) for n in range(4)] + [_is("a", "gte", 3), _is("a", "exists", True)]}
    text = json.dumps({"version": "1", "default": "deny", "tools": {"t": rules}}).encode()
    (found,) = review(text).findings
    assert found.message == (
        "never decides a call: what it would stop was stopped before by "
        "/tools/t/deny_if/args.a-lt, /tools/t/deny_if/args.a-lt#2, /tools/t/deny_if/args.a-lt#3 and 2 more"
    )


@pytest.mark.parametrize(
    ("rules", "is_told"),
    [
        ({"deny_if": [_is("a", "neq", 1)]}, True),
        ({"deny_if": [_is("a", "not_in", [1])]}, True),
        ({"require_approval": [_is("a", "neq", 1)]}, True),
        ({"deny_if": [_is("a", "neq", 1)], "require": ["args.a"]}, False),
        ({"deny_if": [_is("a", "neq", 1)], "require": ["args.a.b"]}, False),
        ({"deny_if": [_is("a", "neq", 1)], "require": ["args.ab"]}, True),
        ({"deny_if": [_is("a.*", "neq", 1)], "require": ["args.a.*"]}, False),
        ({"deny_if": [_is("a", "neq", 1)], "require": ["args.a.*"]}, True),
        ({"deny_if": [_is("a", "neq", 1), _is("a", "exists", False)]}, False),
        ({"deny_if": [_all(_is("a", "neq", 1), _is("a", "exists", True))]}, False),
        ({"deny_if": [_is("a", "eq", 1)]}, False),
        ({"require": [_is("a", "neq", 1)]}, False),
    ],
)
def test_neq_that_an_absent_argument_passes_is_told(rules: dict[str, Any], is_told: bool, told: Any) -> None:
    codes = [code for code, _ in told({"tools": {"t": rules}})]
    assert (NEQ in codes) == is_told


def test_neq_is_not_told_where_all_tools_require_the_argument(told: Any) -> None:
    tool = {"t": {"deny_if": [_is("a", "neq", 1)]}}
    assert told({"tools": tool, "all_tools": {"require": ["args.a"]}}) == []
    assert told({"tools": tool, "all_tools": {"require": ["args.b"]}}) == [(NEQ, "/tools/t/deny_if/0")]


def test_too_many_rules_are_not_compared_and_that_is_told(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STEPS", 10)
    many = {"deny_if": [OVER_10, OVER_10, _is("a", "in", list(range(100))), OVER_20]}
    assert told({"tools": {"t": {"deny_if": [OVER_20, OVER_10]}, "u": many}}) == [("not_examined", "/tools/u")]


DOMAIN = [None, 1, 2, 3, "1", "2", "x", True, [1], [1, 3], ["x"], [], {"b": 1}]


def _found(value: Any, starred: bool) -> list[Any]:
    """The values at the path; None is absent."""
    if not starred:
        return [value]
    return (value or [None]) if isinstance(value, list) else [None]


def _number(value: Any) -> Decimal | None:
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _read(value: Any) -> Decimal | None:
    return Decimal(value) if isinstance(value, str) and value.isdigit() else _number(value)


def _judge(condition: dict[str, Any], value: Any) -> bool | None:
    """True, false, or None for undetermined."""
    op, wanted = condition["op"], condition["value"]
    if op == "exists":
        return (value is not None) is wanted
    if value is None:
        return False
    if "as" in condition:
        number = _read(value)
        if number is None:
            return None
        value = int(number)
    if op in ("lt", "lte", "gt", "gte"):
        number = _number(value)
        if number is None:
            return None
        return {"lt": number < wanted, "lte": number <= wanted, "gt": number > wanted, "gte": number >= wanted}[op]
    several = wanted if op in ("in", "not_in") else [wanted]
    if several and type(value) not in {type(each) for each in several}:
        return None
    return (value in [each for each in several if type(each) is type(value)]) is (op in ("eq", "in"))


def _holds(condition: dict[str, Any], arguments: dict[str, Any]) -> bool:
    values = _found(arguments[condition["path"][5]], condition["path"].endswith("*"))
    return all(_judge(condition, value) is True for value in values)


def _fires(condition: dict[str, Any], arguments: dict[str, Any]) -> bool:
    values = _found(arguments[condition["path"][5]], condition["path"].endswith("*"))
    return any(_judge(condition, value) is not False for value in values)


def _decides(rules: dict[str, Any], arguments: dict[str, Any]) -> str | None:
    """The place of the rule that stops the call."""
    for name, number, item in ((n, at, each) for n in ("require", "deny_if") for at, each in enumerate(rules[n])):
        conditions = item["conditions"]
        if name == "require" and not all(_holds(each, arguments) for each in conditions):
            return f"{name}/{number}"
        if name == "deny_if" and all(_fires(each, arguments) for each in conditions):
            return f"{name}/{number}"
    return None


_VALUE = st.sampled_from([1, 2, "1", True])
_PATH = st.sampled_from(["args.a", "args.a", "args.a.*", "args.b"])
_CONDITION = st.one_of(
    st.fixed_dictionaries({"path": _PATH, "op": st.sampled_from(["eq", "neq"]), "value": _VALUE}),
    st.fixed_dictionaries(
        {"path": _PATH, "op": st.sampled_from(["in", "not_in"]), "value": st.lists(_VALUE, max_size=3)}
    ),
    st.fixed_dictionaries({"path": _PATH, "op": st.just("exists"), "value": st.booleans()}),
    st.fixed_dictionaries(
        {"path": _PATH, "op": st.sampled_from(["lt", "lte", "gt", "gte"]), "value": st.integers(1, 2)},
        optional={"as": st.just("number")},
    ),
)
_ITEMS = st.lists(st.fixed_dictionaries({"conditions": st.lists(_CONDITION, min_size=1, max_size=2)}), max_size=3)


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({"require": _ITEMS, "deny_if": _ITEMS}))
def test_rule_that_is_told_decides_no_call_whatever_its_arguments(rules: dict[str, Any]) -> None:
    policy = {"version": "1", "default": "deny", "tools": {"t": rules}}
    found = review(json.dumps(policy).encode()).findings
    told = {code: set() for code in (SHADOWED, DENIES)}
    for each in found:
        is_never = each.code == NEVER and each.message.startswith("can never fire")
        told.setdefault(SHADOWED if is_never else each.code, set()).add(each.pointer.removeprefix("/tools/t/"))
    decided = {_decides(rules, {"a": a, "b": b}) for a, b in itertools.product(DOMAIN, DOMAIN)}
    assert not told[SHADOWED] & decided
    assert not told[DENIES] or None not in decided
