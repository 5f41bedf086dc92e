"""Source: policy-semantics, sections 3 and 15.6."""

from decimal import Decimal

import pytest

from translator.model import Item, Limit, Rules
from translator.naming import place, rule_ids
from translator.program import Condition, Number, Op
from translator.tree import Node

ROOT = Node({}, 0)
ONE = Number("1", Decimal(1))


def _limits(*counters: str) -> Rules:
    return Rules(limits=tuple(Limit(ROOT, counter, "day", ONE, "grant", ONE) for counter in counters))


def _item(*conditions: tuple[str, Op]) -> Item:
    return Item(ROOT, tuple(Condition(tuple(path.split(".")), op, True) for path, op in conditions))


@pytest.mark.parametrize(
    ("tool", "where"),
    [("pay", "/tools/pay"), ("a/b~c", "/tools/a~1b~0c"), ("é x", "/tools/é x"), (None, "/all_tools")],
)
def test_place_of_a_tool_is_its_pointer(tool: str | None, where: str) -> None:
    assert place(tool) == where


def test_rule_ids_of_items_join_their_conditions() -> None:
    rules = Rules(
        require=(_item(("a/b.*", Op.EXISTS)),),
        deny_if=(_item(), _item(("amount", Op.GT), ("to~", Op.NOT_IN))),
        require_approval=(_item(),),
    )
    assert rule_ids("/tools/t", rules, "require") == ["/tools/t/require/args.a~1b.*-exists"]
    assert rule_ids("/tools/t", rules, "deny_if") == [
        "/tools/t/deny_if/always",
        "/tools/t/deny_if/args.amount-gt+args.to~0-not_in",
    ]
    assert rule_ids("/all_tools", rules, "require_approval") == ["/all_tools/require_approval/always"]
    assert rule_ids("/all_tools", rules, "limits") == []


@pytest.mark.parametrize(
    ("counters", "names"),
    [
        (["a/b", "~"], ["a~1b", "~0"]),
        (["c", "d", "c", "c", "d"], ["c", "d", "c#2", "c#3", "d#2"]),
        (["c", "c", "c#2", "c"], ["c", "c#3", "c#2", "c#4"]),
        (["c#2", "c", "c"], ["c#2", "c", "c#3"]),
        (["c#2", "c#2", "c", "c"], ["c#2", "c#2#2", "c", "c#3"]),
        (["c", "c", "c#2", "c#3", "c#2"], ["c", "c#4", "c#2", "c#3", "c#2#2"]),
    ],
)
def test_rule_ids_of_repeated_names_get_the_next_free_number(counters: list[str], names: list[str]) -> None:
    assert rule_ids("", _limits(*counters), "limits") == [f"/limits/{name}" for name in names]


def test_rule_ids_of_many_repeated_names_are_distinct() -> None:
    counters = ["c"] * 3000 + [f"c#{n}" for n in range(3000)]
    assert len(set(rule_ids("", _limits(*counters), "limits"))) == 6000
