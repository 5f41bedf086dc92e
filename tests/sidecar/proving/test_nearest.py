"""The search, before a judge that is a few lines of Python. Real policies are searched in test_explanation."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sidecar.core.decision import Decision
from sidecar.path.judgement import Verdict
from sidecar.proving import nearest
from translator import parse
from translator.program import Guard, Limit

POLICY = {
    "version": "1",
    "default": "deny",
    "tools": {
        "t": {
            "require": [
                {"conditions": [{"path": "args.a", "op": "eq", "value": 1}, {"path": "args.b", "op": "eq", "value": 2}]}
            ],
            "deny_if": [{"path": "args.c", "op": "gt", "value": 5}, {"conditions": []}],
            "limits": [
                {"counter": "spent", "window": "day", "max": 9, "increment_from": "args.a"},
                {"counter": "n", "window": "day", "max": 1},
            ],
        }
    },
}
ITEMS: tuple[Guard | Limit, ...] = (
    *parse(json.dumps(POLICY).encode()).tools["t"].guards,
    *parse(json.dumps(POLICY).encode()).tools["t"].limits,
)
REQUIRE, DENY, ALWAYS, SPENT, COUNT = (item.rule for item in ITEMS)
LEFT = {SPENT: Decimal(4), COUNT: Decimal(0)}


def verdict(rule: str) -> Verdict:
    return Verdict(Decision("deny" if rule else "allow", rule, rule, "r", ()))


def judge(stops: Callable[[dict[str, Any]], str]) -> tuple[nearest.Ask, list[bytes]]:
    tape: list[bytes] = []

    async def ask(arguments: bytes) -> Verdict:
        tape.append(arguments)
        return verdict(stops(json.loads(arguments)))

    return ask, tape


async def found(stops: Callable[[dict[str, Any]], str], arguments: bytes) -> list[nearest.Passing]:
    ask, _ = judge(stops)
    return await nearest.search(ask, ITEMS, arguments, verdict(stops(json.loads(arguments))), LEFT)


async def test_least_change_comes_first() -> None:
    passing = await found(lambda args: DENY if args.get("c", 0) > 5 else "", b'{"c":6}')
    assert [(each.words, each.arguments) for each in passing] == [
        (("args.c ≤ 5",), b'{"c":5}'),
        (("drop args.c",), b"{}"),
    ]


async def test_one_rule_after_the_other_is_met() -> None:
    def stops(args: dict[str, Any]) -> str:
        if (args.get("a"), args.get("b")) != (1, 2):
            return REQUIRE
        return DENY if args.get("c", 0) > 5 else ""

    (first, *_) = await found(stops, b'{"c":6}')
    assert first.words == ("add args.a = 1 and add args.b = 2", "args.c ≤ 5")
    assert json.loads(first.arguments) == {"a": 1, "b": 2, "c": 5}


async def test_what_is_dropped_and_added_again_was_changed() -> None:
    def stops(args: dict[str, Any]) -> str:
        if "a" in args and args["a"] > 4:
            return SPENT
        return "" if "a" in args else SPENT

    passing = await found(stops, b'{"a":7}')
    assert [each.words for each in passing] == [("args.a ≤ 4",), ("args.a = 1",), ("args.a = 0",)]


async def test_rule_that_no_argument_changes_is_not_tried() -> None:
    for rule in (ALWAYS, COUNT, "(hidden)", ""):
        ask, tape = judge(lambda _, rule=rule: rule)  # type: ignore[misc]
        assert await nearest.search(ask, ITEMS, b"{}", verdict(rule), LEFT) == []
        assert tape == []


async def test_search_ends_where_nothing_helps() -> None:
    ask, tape = judge(lambda _: DENY)
    assert await nearest.search(ask, ITEMS, b'{"c":6}', verdict(DENY), LEFT) == []
    assert len(tape) == 2


async def test_large_arguments_are_left_alone() -> None:
    ask, tape = judge(lambda _: "")
    arguments = b'{"c":6,"x":"' + b"x" * 300_000 + b'"}'
    assert await nearest.search(ask, ITEMS, arguments, verdict(DENY), LEFT) == []
    assert tape == []


def test_counter_that_is_over_its_maximum_takes_nothing_more() -> None:
    assert nearest.left(Decimal(10), Decimal("2.5")) == Decimal("7.5")
    assert nearest.left(Decimal(10), Decimal(11)) == 0


async def test_elements_that_are_dropped_one_by_one_are_all_told() -> None:
    rules = {"require": [{"path": "args.x.*", "op": "lt", "value": 0}] * 2}
    items = parse(json.dumps({"version": "1", "default": "allow", "all_tools": rules}).encode()).all_tools.guards
    by_length = {3: items[0].rule, 2: items[1].rule}
    ask, _ = judge(lambda args: by_length.get(len(args["x"]), ""))
    passing = await nearest.search(ask, items, b'{"x":[1,2,3]}', verdict(items[0].rule), {})
    assert ("drop args.x.0", "drop args.x.0") in [each.words for each in passing]
