"""Edits of arguments, as text. Whether one helps is asked of OPA elsewhere."""

from decimal import Decimal

import pytest

from sidecar.proving import changes
from sidecar.proving.tree import read, written
from translator import parse
from translator.program import Condition


def condition(text: str) -> Condition:
    item = f'{{"version": "1", "default": "allow", "all_tools": {{"deny_if": [{text}]}}}}'
    (found,) = parse(item.encode()).all_tools.guards[0].conditions
    return found


def edits(made: "list[changes.Change]") -> list[tuple[str, str]]:
    return [(change.words, written(change.arguments).decode()) for change in made]


REFUTED = [
    (
        '{"path": "args.a", "op": "gt", "value": 500}',
        '{"a":501}',
        [("args.a ≤ 500", '{"a":500}'), ("drop args.a", "{}")],
    ),
    (
        '{"path": "args.a", "op": "gte", "value": 0.5}',
        '{"a":1}',
        [("args.a < 0.5", '{"a":0.4}'), ("drop args.a", "{}")],
    ),
    ('{"path": "args.a", "op": "lt", "value": 5}', '{"a":"x"}', [("args.a ≥ 5", '{"a":5}'), ("drop args.a", "{}")]),
    ('{"path": "args.a", "op": "lte", "value": 5}', '{"a":1}', [("args.a > 5", '{"a":6}'), ("drop args.a", "{}")]),
    (
        '{"path": "args.a", "op": "gt", "value": 5, "as": "number"}',
        '{"a":"6"}',
        [("args.a ≤ 5", '{"a":"5"}'), ("drop args.a", "{}")],
    ),
    (
        '{"path": "args.a", "op": "eq", "value": true}',
        '{"a":true}',
        [("args.a ≠ true", '{"a":false}'), ("drop args.a", "{}")],
    ),
    (
        '{"path": "args.a", "op": "eq", "value": "x"}',
        '{"a":"x"}',
        [('args.a ≠ "x"', '{"a":"xxxx"}'), ("drop args.a", "{}")],
    ),
    (
        '{"path": "args.a", "op": "eq", "value": []}',
        '{"a":[]}',
        [("args.a ≠ []", '{"a":[]}'), ("args.a ≠ []", '{"a":[true]}'), ("drop args.a", "{}")],
    ),
    (
        '{"path": "args.a", "op": "eq", "value": {}}',
        '{"a":{}}',
        [("args.a ≠ {}", '{"a":{}}'), ("args.a ≠ {}", '{"a":{"x":true}}'), ("drop args.a", "{}")],
    ),
    ('{"path": "args.a", "op": "neq", "value": 1}', '{"a":2}', [("args.a = 1", '{"a":1}'), ("drop args.a", "{}")]),
    (
        '{"path": "args.a", "op": "in", "value": [1, 7]}',
        '{"a":7}',
        [("args.a none of [1, 7]", '{"a":8}'), ("drop args.a", "{}")],
    ),
    (
        '{"path": "args.a", "op": "not_in", "value": ["eur", "usd"]}',
        '{"a":"us"}',
        [('args.a = "usd"', '{"a":"usd"}'), ('args.a = "eur"', '{"a":"eur"}'), ("drop args.a", "{}")],
    ),
    ('{"path": "args.a", "op": "exists", "value": true}', '{"a":1,"b":2}', [("drop args.a", '{"b":2}')]),
    (
        '{"path": "args.a", "op": "contains", "value": "x"}',
        '{"a":"axb"}',
        [('args.a without "x"', '{"a":"ab"}'), ("drop args.a", "{}")],
    ),
    (
        '{"path": "args.a", "op": "contains", "value": 1}',
        '{"a":[1,2]}',
        [("args.a without 1", '{"a":[2]}'), ("drop args.a", "{}")],
    ),
    (
        '{"path": "args.a", "op": "regex", "value": "^rm"}',
        '{"a":"rm x"}',
        [('args.a without "^rm"', '{"a":" x"}'), ("drop args.a", "{}")],
    ),
    (
        '{"path": "args.a.*.b", "op": "gt", "value": 1}',
        '{"a":[{"b":1},{"b":2}]}',
        [
            ("args.a.*.b ≤ 1", '{"a":[{"b":1},{"b":1}]}'),
            ("drop args.a.*.b", '{"a":[{},{}]}'),
            ("drop args.a.0", '{"a":[{"b":2}]}'),
            ("drop args.a.1", '{"a":[{"b":1}]}'),
        ],
    ),
    (
        '{"path": "args.a.0", "op": "eq", "value": false}',
        '{"a":[false]}',
        [("args.a.0 ≠ false", '{"a":[true]}'), ("drop args.a.0", '{"a":[]}')],
    ),
]


@pytest.mark.parametrize(("text", "arguments", "wanted"), REFUTED)
def test_condition_is_refuted_at_its_bound_or_by_leaving_out(
    text: str, arguments: str, wanted: list[tuple[str, str]]
) -> None:
    assert edits(list(changes.refuting(condition(text), read(arguments.encode())))) == wanted


SATISFIED = [
    ('{"path": "args.a", "op": "gt", "value": 500}', "{}", [("add args.a > 500", '{"a":501}')]),
    ('{"path": "args.a.b", "op": "lte", "value": 5}', "{}", [("add args.a.b ≤ 5", '{"a":{"b":5}}')]),
    ('{"path": "args.a.*.b", "op": "eq", "value": 5}', "{}", [("add args.a.*.b = 5", '{"a":[{"b":5}]}')]),
    ('{"path": "args.a.b", "op": "eq", "value": 5}', '{"a":7}', []),
    ('{"path": "args.a.1", "op": "eq", "value": 5}', '{"a":[7]}', [("add args.a.1 = 5", '{"a":[7,5]}')]),
    ('{"path": "args.a", "op": "exists", "value": false}', '{"a":1}', [("drop args.a", "{}")]),
    ('{"path": "args.a", "op": "neq", "value": 1}', '{"a":1}', [("args.a ≠ 1", '{"a":2}')]),
    ('{"path": "args.a", "op": "contains", "value": "x"}', '{"a":"b"}', [('args.a with "x"', '{"a":"bx"}')]),
    ('{"path": "args.a", "op": "contains", "value": "x"}', '{"a":["b"]}', [('args.a with "x"', '{"a":["b","x"]}')]),
    (
        '{"path": "args.a", "op": "contains", "value": "x"}',
        "{}",
        [('add args.a with "x"', '{"a":"x"}'), ('add args.a with "x"', '{"a":["x"]}')],
    ),
    (
        '{"path": "args.a", "op": "regex", "value": "^(?:buy|sell)$"}',
        '{"a":"x"}',
        [("args.a matching", '{"a":"buy"}'), ("args.a matching", '{"a":"sell"}')],
    ),
    ('{"path": "args.a", "op": "regex", "value": "^[a-z]+$"}', '{"a":"9"}', []),
]


@pytest.mark.parametrize(("text", "arguments", "wanted"), SATISFIED)
def test_condition_is_satisfied_by_the_least_change(text: str, arguments: str, wanted: list[tuple[str, str]]) -> None:
    assert edits(list(changes.satisfying(condition(text), read(arguments.encode())))) == wanted


@pytest.mark.parametrize("negated", [True, False])
def test_argument_that_must_be_there_is_added_with_some_value(negated: bool) -> None:
    found = condition(f'{{"path": "args.a", "op": "exists", "value": {str(not negated).lower()}}}')
    made = list((changes.refuting if negated else changes.satisfying)(found, {}))
    assert {change.words for change in made} == {"add args.a"}
    assert [written(change.arguments) for change in made][:2] == [b'{"a":"text"}', b'{"a":1}']


def test_list_of_nothing_is_met_by_anything_else() -> None:
    (first, *_) = changes.satisfying(condition('{"path": "args.a", "op": "not_in", "value": []}'), {})
    assert (first.words, written(first.arguments)) == ("add args.a none of []", b'{"a":"text"}')


@pytest.mark.parametrize(
    ("arguments", "left", "wanted"),
    [
        (
            '{"a":{"b":9}}',
            5,
            [("args.a.b ≤ 5", '{"a":{"b":5}}'), ("args.a.b = 1", '{"a":{"b":1}}'), ("args.a.b = 0", '{"a":{"b":0}}')],
        ),
        ("{}", 0, [("add args.a.b ≤ 0", '{"a":{"b":0}}')]),
    ],
)
def test_amount_is_cut_to_what_is_left(arguments: str, left: int, wanted: list[tuple[str, str]]) -> None:
    assert edits(list(changes.amounts(("a", "b"), Decimal(left), read(arguments.encode())))) == wanted


def test_amount_of_several_elements_is_cut_by_an_element() -> None:
    tree = read(b'{"a":[{"b":3},{"b":4}]}')
    assert edits(list(changes.amounts(("a", "*", "b"), Decimal(5), tree))) == [
        ("drop args.a.0", '{"a":[{"b":4}]}'),
        ("drop args.a.1", '{"a":[{"b":3}]}'),
    ]


def test_numbers_keep_their_text_and_the_original_stays() -> None:
    tree = read(b'{"n":9007199254740993,"m":1e400,"a":2}')
    (change, _) = changes.refuting(condition('{"path": "args.a", "op": "gt", "value": 1}'), tree)
    assert written(change.arguments) == b'{"n":9007199254740993,"m":1e400,"a":1}'
    assert written(tree) == b'{"n":9007199254740993,"m":1e400,"a":2}'
