import json
from decimal import Decimal
from typing import Any

from sidecar.proving.parts import AMOUNT, ASK, DENY, REQUIRE, Item, Part, items, parts, section, side
from translator import Program, parse
from translator.program import Section


def program(**members: Any) -> Program:
    return parse(json.dumps({"version": "1", "default": "deny", **members}).encode())


def when(path: str, value: Any = 1) -> dict[str, Any]:
    return {"path": f"args.{path}", "op": "gt", "value": value}


def one(**tool: Any) -> Program:
    return program(tools={"t": tool})


def members(found: list[Part]) -> list[tuple[str, ...]]:
    return [part.members for part in found]


def test_side_of_a_tool_that_no_rule_is_asked_about() -> None:
    made = program(hide=["h"], tools={"h": {"require": ["args.x"]}, "t": {}})
    assert [side(made, tool).reached for tool in ("h", "t", "other")] == [False, True, False]
    assert not side(program(hide=["*"], tools={"t": {}}), "t").reached
    assert side(program(default="allow", all_tools={"require": ["args.x"]}), "other").guards


def test_sides_that_judge_alike_have_one_key_whatever_they_say() -> None:
    said = one(deny_if=[{"conditions": [when("a"), when("b")], "on_deny": "No.", "name": "n"}])
    assert side(said, "t").key == side(one(deny_if=[{"conditions": [when("b"), when("a", 1.0)]}]), "t").key
    assert side(said, "t").key != side(one(deny_if=[{"conditions": [when("a")]}]), "t").key
    limited = [one(limits=[{"counter": "c", "window": window, "max": 5.0}]) for window in ("day", "hour")]
    assert side(limited[0], "t").key != side(limited[1], "t").key


def test_a_requirement_is_one_item_for_each_condition_a_denial_one_for_all() -> None:
    made = one(
        require=[{"conditions": [when("a"), when("b")]}, {"conditions": [when("a")]}],
        deny_if=[{"conditions": [when("a"), when("b")]}],
        require_approval=[{}],
        limits=[
            {"counter": "c", "window": "day", "max": 5, "increment_from": "args.a"},
            {"counter": "d", "window": "day", "max": 5},
        ],
    )
    assert [item.kind for item in items(side(made, "t"))] == [REQUIRE, REQUIRE, DENY, ASK, AMOUNT]


def test_parts_share_no_argument_and_meet_where_one_rule_looks_at_two() -> None:
    old = side(one(require=["args.a", "args.b.c"], deny_if=[{"conditions": [when("d")]}]), "t")
    new = side(one(deny_if=[{"conditions": [when("a"), when("d")]}, {"conditions": []}]), "t")
    assert members(parts(old, new)) == [(), ("a", "d"), ("b",)]
    assert [part.is_common for part in parts(old, old)] == [True, True, True]
    assert parts(side(one(), "t"), side(one(), "t")) == []


def test_part_knows_the_questions_about_each_argument_once() -> None:
    made = side(
        one(deny_if=[{"conditions": [when("a"), when("b.c")]}], require_approval=[{"conditions": [when("a")]}]), "t"
    )
    part = parts(made, made)[0]
    assert [item.kind for item in part.atoms("a")] == [DENY]
    assert part.place("b").children["c"].size() == 1


def test_amounts_bring_the_numbers_that_matter_to_them() -> None:
    def spend(most: float) -> Program:
        return one(
            limits=[{"counter": "c", "window": "day", "max": most, "increment_from": "args.a.b", "as": "number"}]
        )

    part = parts(side(spend(1000), "t"), side(spend(1000.5), "t"))[0]
    assert part.bounds == (Decimal(0), Decimal("0.5"), Decimal(1000), Decimal("1000.5"))
    place = part.place("a").children["b"]
    assert (place.numeric_text, place.amounts) == (True, list(part.bounds))


def test_section_asks_opa_about_the_items_alone() -> None:
    made = section([Item(DENY, ()), Item(ASK, ()), Item(AMOUNT, (), ("a",), True)])
    assert [guard.rule for guard in made.guards] == [DENY, ASK]
    assert [(limit.rule, limit.amount_path, limit.as_number) for limit in made.limits] == [(AMOUNT, ("a",), True)]
    assert section([]) == Section()
