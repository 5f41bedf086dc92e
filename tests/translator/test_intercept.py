"""Source: policy-semantics, sections 10 and 15.14; Intercept's POLICY.md for its shapes."""

import json
from typing import Any

import pytest

from translator import parse
from translator.errors import PolicyRejected
from translator.importing import Dialect, import_policy

HEAD = 'version: "1"\ndefault: deny\ntools:\n'


def _document(rules: str, tool: str = "t") -> bytes:
    lines = rules.strip("\n").splitlines()
    return (HEAD + f"  {tool}:\n    rules:\n" + "".join(f"      {line}\n" for line in lines)).encode()


def _import(rules: str, tool: str = "t") -> tuple[Any, list[tuple[str, str]]]:
    made = import_policy(_document(rules, tool), dialect=Dialect.INTERCEPT)
    parse(made.text.encode())
    policy = json.loads(made.text)
    got = policy["all_tools"] if tool == '"*"' else policy["tools"][tool]
    return got, [(each.pointer, each.message) for each in made.warnings]


def _good(rules: str, tool: str = "t") -> Any:
    got, warnings = _import(rules, tool)
    assert warnings == []
    return got


def _told(rules: str) -> list[tuple[str, str]]:
    with pytest.raises(PolicyRejected) as rejected:
        import_policy(_document(rules), dialect=Dialect.INTERCEPT)
    return [(each.pointer.removeprefix("/tools/t/rules"), each.message) for each in rejected.value.problems]


def test_deny_becomes_a_denial_that_always_fires() -> None:
    assert _good('- {action: deny, on_deny: "No.", name: n}') == {
        "deny_if": [{"name": "n", "conditions": [], "on_deny": "No."}]
    }
    assert _good("- action: deny") == {"deny_if": [{"conditions": []}]}


def test_evaluate_becomes_one_requirement_with_all_its_conditions() -> None:
    rules = """
- name: n
  action: evaluate
  conditions:
    - {path: args.amount, op: lte, value: 9007199254740993}
    - {path: args.currency, op: in, value: [usd, "5", 5.50, true]}
  on_deny: No.
- conditions: [{path: args.note.x, op: exists, value: false}]
"""
    assert _good(rules) == {
        "require": [
            {
                "name": "n",
                "conditions": [
                    {"path": "args.amount", "op": "lte", "value": 9007199254740993},
                    {"path": "args.currency", "op": "in", "value": ["usd", "5", 5.5, True]},
                ],
                "on_deny": "No.",
            },
            {"conditions": [{"path": "args.note.x", "op": "exists", "value": False}]},
        ]
    }


@pytest.mark.parametrize(("op", "most"), [("lte", 60000), ("lt", 59999)])
def test_condition_on_the_own_counter_becomes_a_limit(op: str, most: int) -> None:
    rules = f"""
- name: n
  conditions: [{{path: state.t.calls, op: {op}, value: 60000}}]
  on_deny: Cap.
  state: {{counter: calls, window: hour, increment: 5}}
"""
    limit = {
        "name": "n",
        "counter": "t.calls",
        "window": "hour",
        "max": most,
        "scope": "grant",
        "increment": 5,
        "on_deny": "Cap.",
    }
    assert _good(rules) == {"limits": [limit]}


def test_condition_on_the_own_counter_of_all_tools_becomes_a_global_limit() -> None:
    rules = """
- conditions: [{path: state._global.calls, op: lte, value: 60}]
  state: {counter: calls, window: minute}
"""
    assert _good(rules, '"*"') == {
        "limits": [{"counter": "_global.calls", "window": "minute", "max": 60, "scope": "grant"}]
    }


def test_spend_keeps_its_path_and_is_stricter_below_a_limit() -> None:
    rules = """
- conditions: [{path: state.t.spend, op: OP, value: 1000.50}]
  state: {counter: spend, window: day, increment_from: args.amount}
"""
    limit = {"counter": "t.spend", "window": "day", "scope": "grant", "increment_from": "args.amount"}
    assert _good(rules.replace("OP", "lte")) == {"limits": [{**limit, "max": 1000.5}]}
    assert _import(rules.replace("OP", "lt")) == (
        {"limits": [{**limit, "max": 999.5}]},
        [
            (
                "/tools/t/rules/0/conditions/0/value",
                "lt 1000.50 becomes a limit of 999.5, which is stricter for amounts with a fraction",
            )
        ],
    )


def test_increment_with_a_fraction_is_stricter_below_a_limit_too() -> None:
    rules = "- {conditions: [{path: state.t.c, op: lt, value: 3}], state: {counter: c, window: day, increment: INC}}"
    assert _import(rules.replace("INC", "1.5"))[1] != []
    assert _import(rules.replace("INC", "2.0"))[1] == []


@pytest.mark.parametrize(("value", "most"), [("1e3", "999"), ("9007199254740993", "9007199254740992"), ("1", "0")])
def test_limit_below_a_number_is_exact(value: str, most: str) -> None:
    rules = f"- {{conditions: [{{path: state.t.c, op: lt, value: {value}}}], state: {{counter: c, window: day}}}}"
    made = import_policy(_document(rules), dialect=Dialect.INTERCEPT)
    assert f'"max": {most},' in made.text


def test_rule_on_arguments_and_on_its_counter_becomes_two_with_the_same_text() -> None:
    rules = """
- name: n
  conditions:
    - {path: state.t.c, op: lte, value: 5}
    - {path: args.a, op: eq, value: x}
  on_deny: Both.
  state: {counter: c, window: day}
"""
    assert _good(rules) == {
        "require": [{"name": "n", "conditions": [{"path": "args.a", "op": "eq", "value": "x"}], "on_deny": "Both."}],
        "limits": [{"name": "n", "counter": "t.c", "window": "day", "max": 5, "scope": "grant", "on_deny": "Both."}],
    }


def test_rule_with_two_conditions_on_its_counter_becomes_two_limits() -> None:
    rules = """
- conditions: [{path: state.t.c, op: lte, value: 5}, {path: state.t.c, op: lt, value: 5}]
  state: {counter: c, window: day}
"""
    limit = {"counter": "t.c", "window": "day", "scope": "grant"}
    assert _good(rules) == {"limits": [{**limit, "max": 5}, {**limit, "max": 4}]}


@pytest.mark.parametrize("action", ["", "action: evaluate, "])
def test_rate_limit_becomes_a_limit(action: str) -> None:
    assert _good(f"- {{{action}name: n, rate_limit: 005/hour, on_deny: Slow.}}") == {
        "limits": [
            {"name": "n", "counter": "t._rate_hour", "window": "hour", "max": 5, "scope": "grant", "on_deny": "Slow."}
        ]
    }
    assert _good("- rate_limit: 2/minute", '"*"')["limits"][0]["counter"] == "_global._rate_minute"


def test_rate_limits_of_different_windows_stand_together() -> None:
    limits = _good("- rate_limit: 1/minute\n- rate_limit: 2/hour\n- rate_limit: 3/day")["limits"]
    assert [(each["counter"], each["max"]) for each in limits] == [
        ("t._rate_minute", 1),
        ("t._rate_hour", 2),
        ("t._rate_day", 3),
    ]


@pytest.mark.parametrize("text", ["on_deny", "reason"])
def test_approval_becomes_one_with_its_text(text: str) -> None:
    assert _good(f"- {{name: n, action: require_approval, {text}: Ask.}}") == {
        "require_approval": [{"name": "n", "message": "Ask."}]
    }
    assert _good("- action: require_approval") == {"require_approval": [{}]}


def test_approval_may_stand_beside_a_rate_limit() -> None:
    got = _good("- {action: require_approval, rate_limit: 1/day}")
    assert (got["require_approval"], len(got["limits"])) == ([{}], 1)


def test_tool_without_rules_is_listed() -> None:
    for text in ("  t: {}\n", "  t: {rules: []}\n"):
        assert json.loads(import_policy((HEAD + text).encode()).text)["tools"] == {"t": {}}


@pytest.mark.parametrize(
    "rules",
    [
        "- {conditions: [{path: args.a, op: eq, value: 1}], state: {counter: c, window: day}}",
        "- {action: deny, state: {counter: c, window: day}}",
        "- {action: require_approval, state: {counter: c, window: day}}",
    ],
)
def test_state_that_limits_nothing_is_left_out_with_a_warning(rules: str) -> None:
    got, warnings = _import(rules)
    assert "limits" not in got
    ((pointer, message),) = warnings
    assert pointer == "/tools/t/rules/0/state"
    assert message.startswith("counts nothing")


@pytest.mark.parametrize("path", ["args.list.0.x", "args.list.*"])
def test_path_into_an_array_is_told_because_intercept_has_none(path: str) -> None:
    _, warnings = _import(f"- conditions: [{{path: {path}, op: exists, value: true}}]")
    assert warnings == [("/tools/t/rules/0/conditions/0/path", f'"{path}" goes into arrays here; Intercept does not')]


def test_requirement_after_a_denial_is_told_because_it_is_tested_first() -> None:
    _, warnings = _import("- action: deny\n- conditions: [{path: args.a, op: exists, value: true}]")
    assert [pointer for pointer, _ in warnings] == ["/tools/t/rules/1"]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("- {action: deny, conditions: []}", [("/0", 'action "deny" excludes "conditions"')]),
        (
            "- {action: require_approval, conditions: [{path: args.a, op: exists, value: true}]}",
            [("/0", 'action "require_approval" excludes "conditions"')],
        ),
        ("- {}", [("/0", 'lacks the member "conditions"')]),
        ("- {conditions: []}", [("/0/conditions", "must not be empty")]),
        ("- {state: {counter: c, window: day}}", [("/0", 'lacks the member "conditions"')]),
        ("- {conditions: ~}", [("/0/conditions", "must be an array, not null")]),
        ("- 5", [("/0", "must be an object, not a number")]),
        ("- {action: allow}", [("/0/action", 'unknown value "allow"')]),
        ("- {action: ~}", [("/0/action", 'must be one of "evaluate", "deny", "require_approval", not null')]),
        ("- {action: deny, onDeny: x}", [("/0/onDeny", 'unknown member "onDeny"')]),
        ("- {action: deny, reason: x}", [("/0/reason", "stands only with action require_approval")]),
        ("- {action: require_approval, reason: x, on_deny: y}", [("/0/reason", 'stands beside "on_deny"')]),
        ("- {action: deny, name: 5}", [("/0/name", "must be a string, not a number")]),
        (
            "- {name: yes, on_deny: 5, conditions: [{path: args.a, op: eq, value: 1}]}",
            [("/0/name", "must be a string, not a boolean"), ("/0/on_deny", "must be a string, not a number")],
        ),
    ],
)
def test_rule_of_the_wrong_shape_is_refused(rules: str, told: Any) -> None:
    assert _told(rules) == told


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("{path: amount, op: eq, value: 1}", [("/path", 'the path "amount" does not start with "args."')]),
        ("{path: state, op: eq, value: 1}", [("/path", 'the path "state" does not start with "args."')]),
        ("{path: 5, op: eq, value: 1}", [("/path", "must be a path such as args.amount, not a number")]),
        ("{path: args.a, op: eq}", [("", 'lacks the member "value"')]),
        ("{path: args.a, op: eq, value: ~}", [("/value", "must not be null")]),
        ('{path: args.a, op: lte, value: "5"}', [("/value", 'must be a number for "lte", not a string')]),
        ("{path: args.a, op: eq, value: 1, as: number}", [("/as", 'unknown member "as"')]),
        ("{op: eq, value: 1}", [("", 'lacks the member "path"')]),
        ("5", [("", "must be an object, not a number")]),
        ('{path: args.a, op: regex, value: "("}', [("/value", "the pattern does not compile: missing ): (")]),
    ],
)
def test_condition_of_the_wrong_shape_is_refused_at_its_place_in_the_document(condition: str, told: Any) -> None:
    assert _told(f"- conditions: [{condition}]") == [("/0/conditions/0" + at, message) for at, message in told]


OWN = "a counter can only be compared with lte or lt"
OTHER = "is not the counter of this rule's own state, and cannot be imported"


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("{path: state.t.c, op: gt, value: 1}", [("", OWN)]),
        ("{path: state.t.c, op: exists, value: true}", [("", OWN)]),
        ("{path: state.t.c, value: 1}", [("", OWN)]),
        ("{path: state.t.c, op: lte}", [("", 'lacks the member "value"')]),
        ("{path: state.t.c, op: lte, value: 1.5}", [("/value", "must be whole, because calls are counted")]),
        ("{path: state.t.c, op: lt, value: 1.5}", [("/value", "must be whole, because calls are counted")]),
        ("{path: state.t.c, op: lte, value: -1}", [("/value", "must not be negative")]),
        ("{path: state.t.c, op: lt, value: 0}", [("/value", "leaves nothing below it that a limit could allow")]),
        ("{path: state.t.c, op: lt, value: 1e400}", [("/value", "number out of range")]),
        ('{path: state.t.c, op: lt, value: "5"}', [("/value", "must be a number, not a string")]),
        ("{path: state.t.c, op: lte, value: ~}", [("/value", "must be a number, not null")]),
        ("{path: state.t.d, op: lte, value: 1}", [("", f'"state.t.d" {OTHER}')]),
        ("{path: state._global.c, op: lte, value: 1}", [("", f'"state._global.c" {OTHER}')]),
    ],
)
def test_condition_on_state_that_is_no_limit_is_refused(condition: str, told: Any) -> None:
    rules = f"- {{conditions: [{condition}], state: {{counter: c, window: day}}}}"
    assert _told(rules) == [("/0/conditions/0" + at, message) for at, message in told]


def test_condition_on_state_without_a_state_block_is_refused() -> None:
    ((pointer, message),) = _told("- conditions: [{path: state.t.c, op: lte, value: 1}]")
    assert (pointer, message) == (
        "/0/conditions/0",
        f'"state.t.c" {OTHER}',
    )


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("{window: day}", [("", 'lacks the member "counter"')]),
        ("{counter: 5, window: day}", [("/counter", "must be a string, not a number")]),
        ("{counter: ' ', window: day}", [("/counter", "must not be blank")]),
        ("5", [("", "must be an object, not a number")]),
        ("{counter: c}", [("", 'lacks the member "window"')]),
        ("{counter: c, window: week}", [("/window", 'unknown value "week"')]),
        ("{counter: c, window: day, scope: session}", [("/scope", 'unknown member "scope"')]),
        ("{counter: c, window: day, increment: 0}", [("/increment", "must be above 0")]),
        (
            "{counter: c, window: day, increment: 2, increment_from: args.n}",
            [("/increment", 'excludes "increment_from"')],
        ),
        (
            "{counter: c, window: day, increment_from: n}",
            [("/increment_from", 'the path "n" does not start with "args."')],
        ),
    ],
)
def test_state_of_the_wrong_shape_is_refused(state: str, told: Any) -> None:
    rules = f"- {{conditions: [{{path: state.t.c, op: lte, value: 5}}], state: {state}}}"
    assert _told(rules) == [("/0/state" + at, message) for at, message in told]


def test_counter_whose_name_grows_too_long_is_refused() -> None:
    name = "c" * 127
    rules = f"- {{conditions: [{{path: state.t.{name}, op: lte, value: 5}}], state: {{counter: {name}, window: day}}}}"
    assert _told(rules) == [("/0/state/counter", "must have at most 128 characters, not 129")]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("- rate_limit: 5/week", [("/0/rate_limit", '"5/week" is no limit')]),
        ("- rate_limit: -5/hour", [("/0/rate_limit", '"-5/hour" is no limit')]),
        ("- rate_limit: ٥/hour", [("/0/rate_limit", '"٥/hour" is no limit')]),
        ("- rate_limit: 5", [("/0/rate_limit", "must be a limit such as 10/minute, not a number")]),
        ("- rate_limit: {max: 1, window: 60}", [("/0/rate_limit", "must be a limit such as 10/minute, not an object")]),
        ("- rate_limit: 000/hour", [("/0/rate_limit", "must allow at least 1 call")]),
        (f"- rate_limit: {'9' * 101}/hour", [("/0/rate_limit", "number out of range")]),
        ("- {rate_limit: 5/hour, action: deny}", [("/0", '"rate_limit" excludes action "deny"')]),
        ("- {rate_limit: 5/hour, conditions: []}", [("/0", '"rate_limit" excludes "conditions"')]),
        (
            "- {rate_limit: 5/hour, conditions: [], state: {counter: c, window: day}}",
            [("/0", '"rate_limit" excludes "conditions", "state"')],
        ),
    ],
)
def test_rate_limit_that_is_none_or_not_alone_is_refused(rules: str, told: Any) -> None:
    assert _told(rules) == told


@pytest.mark.parametrize(
    "rules",
    [
        "- rate_limit: 1/hour\n- rate_limit: 2/hour",
        "- {action: deny, state: {counter: x, window: day}}\n- {action: deny, state: {counter: x, window: hour}}",
        "- {action: deny, state: {counter: _rate_hour, window: hour}}\n- rate_limit: 2/hour",
    ],
)
def test_two_rules_on_one_counter_are_refused_at_the_later_one(rules: str) -> None:
    ((pointer, message),) = _told(rules)
    assert pointer == "/1"
    assert message.endswith("is already that of rule 0")


def test_counters_of_different_tools_do_not_meet() -> None:
    text = HEAD + "  a: {rules: [{rate_limit: 1/hour}]}\n  b: {rules: [{rate_limit: 1/hour}]}\n"
    assert import_policy(text.encode()).warnings == ()


def test_counters_that_clash_between_tools_point_into_the_document() -> None:
    text = (
        HEAD
        + "  a.b: {rules: [{conditions: [{path: state.a.b.c, op: lte, value: 1}], state: {counter: c, window: day}}]}\n"
        + "  a:\n    rules:\n      - conditions: [{path: state.a.b.c, op: lte, value: 1}]\n"
        + "        state: {counter: b.c, window: day, increment_from: args.n}\n"
    )
    with pytest.raises(PolicyRejected) as rejected:
        import_policy(text.encode())
    (problem,) = rejected.value.problems
    assert (problem.pointer, problem.line) == ("/tools/a/rules/0/state", 8)
    assert problem.message == 'the counter "a.b.c" is used both for counts and for spend'
