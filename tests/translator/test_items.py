"""Source: policy-semantics, sections 1, 5, 8, 15.3 to 15.5 and 15.9."""

import json
from decimal import Decimal
from typing import Any

import pytest

from translator.items import items
from translator.members import members
from translator.model import Item, ListName
from translator.pattern import Patterns
from translator.program import Condition, Number, Op
from translator.report import Report
from translator.source import read

Told = list[tuple[str, str]]
DAY = {"path": "args.day", "op": "eq", "value": "monday"}
IS_DAY = Condition(("day",), Op.EQ, "monday")


def _items(name: ListName, text: str) -> tuple[tuple[Item, ...], Told]:
    report = Report()
    root = read(text, report)
    assert root is not None
    found = members(root, (name,), report)
    assert found is not None
    made = items(found, name, Patterns(), report)
    return made, [(each.pointer, each.message) for each in report.problems(text, "")]


def _one(name: ListName, element: Any) -> Item:
    (item,), told = _items(name, json.dumps({name: [element]}))
    assert told == []
    return item


def _faults(name: ListName, element: Any) -> Told:
    prefix = f"/{name}/0"
    _, told = _items(name, json.dumps({name: [element]}))
    assert told
    assert all(pointer.startswith(prefix) for pointer, _ in told)
    return [(pointer.removeprefix(prefix), message) for pointer, message in told]


def _condition(op: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"path": "args.a", "op": op, "value": value, **more}


def test_items_of_an_absent_list_are_none() -> None:
    assert _items("require", "{}") == ((), [])


def test_items_of_another_type_are_a_fault() -> None:
    assert _items("require", '{"require": null}') == ((), [("/require", "must be an array, not null")])


@pytest.mark.parametrize("name", ["require", "deny_if"])
def test_item_in_full_keeps_conditions_text_and_name(name: ListName) -> None:
    item = _one(name, {"conditions": [DAY, DAY], "on_deny": "No.", "name": "days"})
    assert (item.conditions, item.text, item.name, item.ttl_s) == ((IS_DAY, IS_DAY), "No.", "days", None)


def test_item_of_an_approval_keeps_message_and_time_to_live() -> None:
    item = _one("require_approval", {"conditions": [DAY], "message": "Ask.", "ttl_seconds": 60.0, "name": "n"})
    assert (item.conditions, item.text, item.name, item.ttl_s) == ((IS_DAY,), "Ask.", "n", 60)


@pytest.mark.parametrize(
    ("name", "element"),
    [("deny_if", {"conditions": []}), ("require_approval", {}), ("require_approval", {"conditions": []})],
)
def test_item_without_conditions_always_fires(name: ListName, element: Any) -> None:
    assert _one(name, element).conditions == ()


@pytest.mark.parametrize("name", ["require", "deny_if", "require_approval"])
def test_item_that_is_a_bare_condition_holds_members_of_both(name: ListName) -> None:
    text = "message" if name == "require_approval" else "on_deny"
    item = _one(name, {**DAY, text: "No.", "name": "n"})
    assert (item.conditions, item.text, item.name) == ((IS_DAY,), "No.", "n")


def test_item_that_is_a_bare_approval_may_say_its_time_to_live() -> None:
    assert _one("require_approval", {**DAY, "ttl_seconds": 5}).ttl_s == 5


def test_item_that_is_a_path_requires_the_argument() -> None:
    assert _one("require", "args.a.*.b").conditions == (Condition(("a", "*", "b"), Op.EXISTS, True),)


def test_item_with_an_empty_text_has_none() -> None:
    assert _one("deny_if", {"conditions": [], "on_deny": ""}).text == ""


def test_item_with_a_boundless_time_to_live_lasts_a_century() -> None:
    (item,), _ = _items("require_approval", '{"require_approval": [{"ttl_seconds": 1e1000}]}')
    assert item.ttl_s == 3_153_600_000


@pytest.mark.parametrize(
    ("op", "value"),
    [
        ("eq", False),
        ("neq", [1, None]),
        ("in", []),
        ("in", [[None], {"a": None}]),
        ("not_in", ["a", 1, True]),
        ("lt", 1),
        ("lte", -1.5),
        ("gt", 0),
        ("gte", 1e300),
        ("regex", "^a$"),
        ("contains", {}),
        ("contains", 1),
        ("exists", False),
    ],
)
def test_condition_with_a_fitting_value_is_good(op: str, value: Any) -> None:
    (condition,) = _one("deny_if", _condition(op, value)).conditions
    assert (condition.op, condition.as_number) == (Op(op), False)


@pytest.mark.parametrize(
    ("op", "value"),
    [(op, 1) for op in ("eq", "neq", "lt", "lte", "gt", "gte")] + [("in", [1, 2.5]), ("not_in", [0])],
)
def test_condition_as_number_with_numbers_is_good(op: str, value: Any) -> None:
    (condition,) = _one("deny_if", _condition(op, value, **{"as": "number"})).conditions
    assert condition.as_number


def test_condition_keeps_the_number_as_written() -> None:
    (item,), _ = _items("deny_if", '{"deny_if": [{"path": "args.a", "op": "gt", "value": 10.50}]}')
    assert item.conditions[0].value == Number("10.50", Decimal("10.5"))


@pytest.mark.parametrize(
    ("name", "element", "told"),
    [
        ("deny_if", None, [("", "must be an object, not null")]),
        ("deny_if", "args.a", [("", "must be an object, not a string")]),
        ("require_approval", "args.a", [("", "must be an object, not a string")]),
        ("require", 1, [("", "must be an object or a path, not a number")]),
        ("require", "a", [("", 'the path "a" does not start with "args."')]),
        ("deny_if", {}, [("", 'lacks the member "conditions"')]),
        ("require", {"on_deny": "x"}, [("", 'lacks the member "conditions"')]),
        ("require", {"conditions": []}, [("/conditions", "must not be empty")]),
        ("require", {"conditions": {}}, [("/conditions", "must be an array, not an object")]),
        ("require_approval", {"conditions": None}, [("/conditions", "must be an array, not null")]),
        ("deny_if", {"conditions": [1]}, [("/conditions/0", "must be an object, not a number")]),
        ("deny_if", {"conditions": [], "on_deny": None}, [("/on_deny", "must be a string, not null")]),
        ("deny_if", {"conditions": [], "name": 1}, [("/name", "must be a string, not a number")]),
        ("deny_if", {"conditions": [], "message": "x"}, [("/message", 'unknown member "message"')]),
        ("deny_if", {"conditions": [], "ttl_seconds": 1}, [("/ttl_seconds", 'unknown member "ttl_seconds"')]),
        ("require_approval", {"on_deny": "x"}, [("/on_deny", 'unknown member "on_deny"')]),
        ("deny_if", {"conditions": [], "path": "args.a"}, [("/path", 'unknown member "path"')]),
        ("deny_if", {"conditions": [{**DAY, "on_deny": ""}]}, [("/conditions/0/on_deny", 'unknown member "on_deny"')]),
        ("deny_if", {"path": "args.a"}, [("", 'lacks the member "op"'), ("", 'lacks the member "value"')]),
        ("deny_if", {"as": "number", "op": "eq", "value": 1}, [("", 'lacks the member "path"')]),
        ("require_approval", {"message": None}, [("/message", "must be a string, not null")]),
        ("require_approval", {"ttl_seconds": 0}, [("/ttl_seconds", "must be a whole number of seconds above 0")]),
        ("require_approval", {"ttl_seconds": 1.5}, [("/ttl_seconds", "must be a whole number of seconds above 0")]),
        (
            "require_approval",
            {"ttl_seconds": "1"},
            [("/ttl_seconds", "must be a whole number of seconds, not a string")],
        ),
    ],
)
def test_item_with_a_fault_names_its_place(name: ListName, element: Any, told: Told) -> None:
    assert _faults(name, element) == told


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        (_condition("eq", None), [("/value", "must not be null")]),
        (_condition("Eq", None), [("/op", 'unknown value "Eq"'), ("/value", "must not be null")]),
        (_condition("in", "x"), [("/value", "must be an array of values to choose from, not a string")]),
        (_condition("in", [1, None, None]), [("/value/1", "must not be null"), ("/value/2", "must not be null")]),
        (_condition("lt", "1"), [("/value", 'must be a number for "lt", not a string')]),
        (_condition("gte", True), [("/value", 'must be a number for "gte", not a boolean')]),
        (_condition("regex", 1), [("/value", "must be a pattern (string), not a number")]),
        (_condition("regex", "("), [("/value", "the pattern does not compile: missing ): (")]),
        (_condition("exists", 1), [("/value", 'must be true or false for "exists", not a number')]),
        (_condition("eq", 1, **{"as": "string"}), [("/as", 'unknown value "string"')]),
        (_condition("eq", 1, **{"as": None}), [("/as", 'must be one of "number", not null')]),
        (_condition("eq", "1", **{"as": "number"}), [("/value", 'must be a number beside as "number", not a string')]),
        (_condition("in", [], **{"as": "number"}), [("/value", 'must be a list of numbers beside as "number"')]),
        (_condition("in", ["1"], **{"as": "number"}), [("/value", 'must be a list of numbers beside as "number"')]),
        (_condition("in", [1, None], **{"as": "number"}), [("/value/1", "must not be null")]),
        (_condition("exists", True, **{"as": "number"}), [("/as", 'has no meaning with the operator "exists"')]),
        (_condition("nope", 1, **{"as": "number"}), [("/op", 'unknown value "nope"')]),
        ({"path": 1, "op": 2, "value": 3}, [("/path", None), ("/op", None)]),
    ],
)
def test_condition_with_a_fault_names_its_place(condition: Any, told: list[tuple[str, str | None]]) -> None:
    bare = _faults("deny_if", condition)
    assert [pointer for pointer, _ in bare] == [pointer for pointer, _ in told]
    assert all(wanted in (None, message) for (_, message), (_, wanted) in zip(bare, told, strict=True))
    inner = _faults("require", {"conditions": [condition]})
    assert inner == [(f"/conditions/0{pointer}", message) for pointer, message in bare]


def test_condition_with_a_number_out_of_range_is_reported_once() -> None:
    for op in ("lt", "eq", "exists"):
        text = f'{{"deny_if": [{{"path": "args.a", "op": "{op}", "value": 1e9999}}]}}'
        assert _items("deny_if", text)[1] == [("/deny_if/0/value", "number out of range")]


def test_condition_with_a_number_out_of_range_in_a_list_is_reported_once() -> None:
    text = '{"deny_if": [{"path": "args.a", "op": "in", "as": "number", "value": [1, 1e9999]}]}'
    assert _items("deny_if", text)[1] == [("/deny_if/0/value/1", "number out of range")]
