"""Source: policy-semantics, sections 10, 11 and 15.14."""

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from translator import parse, source
from translator.errors import PolicyRejected, Problem
from translator.importing import Dialect, Imported, import_policy

YAML = 'version: "1"\ntools:\n  t:\n    rules:\n      - '
JSON = '{"tools": {"t": {"require": ["args.a"]}}, "default": "allow", "version": "1"}'
TOOL = {"limits": [{"counter": "accepted oauth scopes_per_minute", "window": "minute", "max": 60, "scope": "grant"}]}


def _problems(text: str, **options: Any) -> tuple[Problem, ...]:
    with pytest.raises(PolicyRejected) as rejected:
        import_policy(text.encode(), **options)
    return rejected.value.problems


def test_import_of_a_policy_is_its_canonical_text() -> None:
    made = import_policy(JSON.encode())
    assert (made.dialect, made.warnings) == (Dialect.POLICY, ())
    assert parse(made.text.encode()) == parse(JSON.encode())
    assert list(json.loads(made.text)) == ["version", "default", "tools"]


@pytest.mark.parametrize(
    ("rule", "dialect"),
    [
        ("conditions: [{path: args.a, op: exists, value: true}]", Dialect.INTERCEPT),
        ("{action: deny, on_deny: x}", Dialect.INTERCEPT),
        ("{action: evaluate, rate_limit: 1/day}", Dialect.INTERCEPT),
        ("{action: deny, state: {counter: x, window: day}}", Dialect.INTERCEPT),
        ("{action: deny, reason: x}", Dialect.RULES),
        ("{action: allow}", Dialect.RULES),
        ("{validate: {required_args: false}}", Dialect.RULES),
        ("{rate_limit: {max: 1, window: 60}}", Dialect.RULES),
        ("{rate_limit: 1/day}", Dialect.INTERCEPT),
        ("{action: deny}", Dialect.INTERCEPT),
        ("{action: require_approval, reason: x}", Dialect.INTERCEPT),
    ],
)
def test_import_knows_the_dialect_by_what_only_it_has(rule: str, dialect: Dialect) -> None:
    assert import_policy((YAML + rule).encode()).dialect is dialect


@pytest.mark.parametrize("rule", ["{rate_limit: 1/day}", "{action: deny}", "{action: require_approval, reason: x}"])
def test_import_of_what_both_dialects_have_is_the_same_in_both(rule: str) -> None:
    made = [import_policy((YAML + rule).encode(), dialect=each).text for each in (Dialect.INTERCEPT, Dialect.RULES)]
    assert made[0] == made[1]


def test_import_of_mixed_dialects_asks_which() -> None:
    (problem,) = _problems(YAML + "{on_deny: x}\n      - {validate: {}}\n      - 5\n  u: {rules: 5}\n  v: 5")
    assert (problem.pointer, problem.line) == ("/tools/t/rules/1/validate", 6)
    assert problem.message == '"validate" as here is of the dialect rules, but /tools/t/rules/0/on_deny is not'
    assert problem.hint == "say which it is: --dialect intercept or --dialect rules"


@pytest.mark.parametrize(
    ("text", "pointer"), [("version: '1'\ntools: 5", "/tools"), ("version: '1'\ntools: {t: 5}", "/tools/t")]
)
def test_import_of_a_document_without_rules_tells_its_shape(text: str, pointer: str) -> None:
    assert [each.pointer for each in _problems(text)] == [pointer]


def test_import_of_a_json_fragment_takes_the_default_given() -> None:
    made = import_policy(json.dumps({"Accepted OAuth Scopes": TOOL}).encode(), fragment_default="deny")
    assert json.loads(made.text) == {
        "version": "1",
        "default": "deny",
        "tools": {"Accepted OAuth Scopes": TOOL},
    }


def test_import_of_a_yaml_fragment_takes_the_default_given() -> None:
    made = import_policy(b"create_coupon:\n  rules:\n    - rate_limit: 30/hour\n", fragment_default="allow")
    limit = {"counter": "create_coupon._rate_hour", "window": "hour", "max": 30, "scope": "grant"}
    assert json.loads(made.text) == {
        "version": "1",
        "default": "allow",
        "tools": {"create_coupon": {"limits": [limit]}},
    }


@pytest.mark.parametrize(
    "text", ['{"tools": {"t": {}}, "hide": ["x"]}', "tools: {t: {rules: []}}\nhide: [x]", "hide: [x]\ntools: {t: {}}"]
)
def test_import_of_a_policy_without_version_and_default_is_a_fragment_too(text: str) -> None:
    made = import_policy(text.encode(), fragment_default="deny")
    assert json.loads(made.text) == {"version": "1", "default": "deny", "hide": ["x"], "tools": {"t": {}}}


@pytest.mark.parametrize("text", ['{"t": {}}', "t: {}", "{}", "tools: {}"])
def test_import_of_a_fragment_without_a_default_is_refused(text: str) -> None:
    (problem,) = _problems(text)
    assert (problem.pointer, problem.message) == ("", "is no whole policy: it has neither version nor default")
    assert "--fragment-default" in problem.hint


@pytest.mark.parametrize("text", [JSON, 'version: "1"', "default: deny"])
def test_import_of_a_whole_policy_as_a_fragment_is_refused(text: str) -> None:
    (problem,) = _problems(text, fragment_default="deny")
    assert (problem.pointer, problem.message) == ("", "is no fragment: it has a version or a default")


def test_import_of_a_faulty_fragment_points_into_the_fragment() -> None:
    (problem,) = _problems('{"t": {},\n "u": {"limit": []}}', fragment_default="deny")
    assert (problem.pointer, problem.line, problem.column) == ("/u/limit", 2, 8)


@pytest.mark.parametrize(
    "text", ["", " ", "[", "{", "\ufeffa: 1", "a: *b", '{"version": "1", "version": "1"}', "5", "[]"]
)
def test_import_of_what_is_no_policy_points_at_the_root(text: str) -> None:
    assert _problems(text)[0].pointer == ""


def test_import_tells_each_problem_once_though_a_rule_becomes_two() -> None:
    rule = "{conditions: [{path: args.a, op: eq, value: 1}, {path: state.t.c, op: lte, value: 1}], on_deny: 5, name: 6,"
    told = _problems(YAML + rule + " state: {counter: c, window: week}}")
    assert [each.pointer.removeprefix("/tools/t/rules/0") for each in told] == ["/on_deny", "/name", "/state/window"]


def test_import_warns_of_what_yaml_readers_read_differently() -> None:
    made = import_policy((YAML + "{conditions: [{path: args.a, op: eq, value: yes}]}").encode())
    assert [(each.pointer, each.message, each.hint, each.severity) for each in made.warnings] == [
        ("/tools/t/rules/0/conditions/0/value", '"yes" is read as true', "in quotes it is text", "warning")
    ]


@pytest.mark.parametrize("start", ["a: ", "{"])
def test_import_of_a_huge_document_is_refused_at_once(start: str) -> None:
    before = time.process_time()
    (problem,) = _problems(start + "x" * 50_000_000)
    assert time.process_time() - before < 2
    assert problem.message == f"the document is larger than {source.MAX_BYTES} bytes"


def test_import_of_a_document_that_grows_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("translator.source.MAX_BYTES", 100)
    (problem,) = _problems(YAML + "{action: deny}", policy_id="p")
    assert (problem.policy, problem.message) == ("p", "the imported policy is larger than 100 bytes")


def test_import_of_hostile_text_keeps_it_text() -> None:
    name = 'a"b`c\n${x}\\u{0}'
    rule = {"action": "deny", "on_deny": '"); allow := true #', "name": name}
    document = yaml.safe_dump({"version": "1", "tools": {name: {"rules": [rule]}}})
    program = parse(import_policy(document.encode()).text.encode())
    assert list(program.tools) == [name]
    assert program.tools[name].guards[0].message == '"); allow := true #'


NUMBERS = st.integers(-3, 10**20) | st.sampled_from([0.5, "1e3", True, None])
CONDITION = st.fixed_dictionaries(
    {
        "path": st.sampled_from(["args.a", "args.b.*", "state.t.c", "state._global.c", "state.t.d", "x"]),
        "op": st.sampled_from(["eq", "lt", "lte", "in", "exists", "nope"]),
        "value": NUMBERS | st.lists(NUMBERS, max_size=2),
    }
)
RULE = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["n", "", 5]),
        "action": st.sampled_from(["deny", "allow", "evaluate", "require_approval", "x"]),
        "on_deny": st.sampled_from(["No.", ""]),
        "reason": st.sampled_from(["Why.", 5]),
        "conditions": st.lists(CONDITION, max_size=3),
        "rate_limit": st.sampled_from(["5/hour", "0/day", "5", {"max": 5, "window": 60}, {"max": -1}]),
        "state": st.sampled_from([{"counter": "c", "window": "day"}, {"counter": "c"}, {"counter": 5, "window": 1}]),
        "validate": st.sampled_from([{"required_args": True}, {}, 5]),
    },
)


@given(
    rules=st.dictionaries(st.sampled_from(["t", "*", "u"]), st.lists(RULE, max_size=3), max_size=2),
    dialect=st.sampled_from([None, Dialect.INTERCEPT, Dialect.RULES]),
)
def test_import_of_any_rules_is_a_valid_policy_or_says_why_at_a_place_that_is_there(
    rules: dict[str, Any], dialect: Dialect | None
) -> None:
    document = {"version": "1", "default": "deny", "tools": {tool: {"rules": each} for tool, each in rules.items()}}
    text = yaml.safe_dump(document, sort_keys=False).encode()
    try:
        made = import_policy(text, dialect=dialect)
    except PolicyRejected as rejected:
        told = rejected.problems
        assert len(set(told)) == len(told)
    else:
        parse(made.text.encode())
        assert import_policy(made.text.encode()) == Imported(made.text, Dialect.POLICY)
        told = made.warnings
    for problem in told:
        place: Any = document
        for part in problem.pointer.split("/")[1:]:
            place = place[int(part)] if isinstance(place, list) else place[part]


def test_import_of_thousands_of_tools_takes_seconds() -> None:
    tool = "    rules:\n      - {name: n, conditions: [{path: args.amount, op: lte, value: 50000}], on_deny: No.}\n"
    text = 'version: "1"\ntools:\n' + "".join(f"  tool_{index}:\n{tool}" for index in range(5_000))
    before = time.process_time()
    assert len(json.loads(import_policy(text.encode()).text)["tools"]) == 5_000
    assert time.process_time() - before < 20
