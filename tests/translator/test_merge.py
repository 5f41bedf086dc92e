"""Source: policy-semantics, section 11, the last paragraph."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator import parse
from translator.errors import PolicyRejected, Problem
from translator.merge import Merged, merge

SEEDS = Path(__file__).parents[2] / "examples" / "seeds"
BYBIT = ("wsCancelOrder", "wsBatchCancelOrders", "wsBatchAmendOrders", "wsBatchCreateOrders")


def _policy(**members: Any) -> bytes:
    return json.dumps({"version": "1", "default": "deny", **members}).encode()


def _merge(*policies: bytes) -> Merged:
    return merge(list(zip("abc", policies, strict=False)))


def _loose(*policies: bytes) -> Any:
    merged = _merge(*policies)
    assert merged.warnings == ()
    return json.loads(merged.text)


def _told(problems: tuple[Problem, ...]) -> list[tuple[str, str, int, str]]:
    return [(each.policy, each.pointer, each.line, each.message) for each in problems]


def _errors(*policies: bytes) -> list[tuple[str, str, int, str]]:
    with pytest.raises(PolicyRejected) as rejected:
        _merge(*policies)
    return _told(rejected.value.problems)


def test_merge_of_the_seeds_is_the_merged_seed() -> None:
    seeds = [(tool, (SEEDS / f"bybit-{tool}" / "policy.json").read_bytes()) for tool in BYBIT]
    merged = merge(seeds)
    wanted = (SEEDS / "bybit-merged" / "policy.json").read_bytes()
    assert merged.warnings == ()
    assert json.loads(merged.text) == json.loads(wanted)
    assert parse(merged.text.encode()) == parse(wanted)


def test_merge_of_one_policy_means_the_same() -> None:
    policy = _policy(hide=["x"], tools={"t": {"action": "deny", "reason": "No."}}, all_tools={"limits": []})
    assert parse(_merge(policy).text.encode()) == parse(policy)


def test_merge_joins_hidden_names_and_tools_in_the_order_of_the_policies() -> None:
    merged = _loose(
        _policy(hide=["z", "a"], tools={"q": {}, "b": {"require": ["args.x"]}}),
        _policy(),
        _policy(hide=["a", "m"], tools={"b": {"require": ["args.x"]}, "p": {}}),
    )
    assert merged["hide"] == ["z", "a", "m"]
    assert list(merged["tools"].items()) == [("q", {}), ("b", {"require": ["args.x"]}), ("p", {})]


def test_merge_of_policies_without_tools_has_none() -> None:
    assert _loose(_policy(), _policy()) == {"version": "1", "default": "deny"}


def test_merge_joins_each_list_of_all_tools() -> None:
    limit = {"counter": "c", "window": "day", "max": 1}
    merged = _loose(
        _policy(all_tools={"limits": [limit], "require": ["args.a"]}),
        _policy(tools={"t": {}}),
        _policy(all_tools={"require": ["args.b"], "deny_if": [], "require_approval": [{"message": "Ask."}]}),
    )
    assert merged["all_tools"] == {
        "require": ["args.a", "args.b"],
        "deny_if": [],
        "require_approval": [{"message": "Ask."}],
        "limits": [limit],
    }


def test_merge_keeps_numbers_as_written() -> None:
    policy = b'{"version": "1", "default": "deny", "tools": {"t": {"limits": [{"counter": "c", "window": 60.0, "max": '
    merged = _merge(policy + b"9007199254740993.0e0}]}}}", _policy())
    assert '"window": 60.0' in merged.text
    assert '"max": 9007199254740993.0e0' in merged.text


def test_merge_takes_a_tool_twice_when_only_the_order_of_members_differs() -> None:
    condition = {"path": "args.a", "op": "eq", "value": {"x": 1, "y": 2}}
    other = {"value": {"y": 2, "x": 1}, "op": "eq", "path": "args.a"}
    merged = _loose(_policy(tools={"t": {"deny_if": [condition]}}), _policy(tools={"t": {"deny_if": [other]}}))
    assert merged["tools"] == {"t": {"deny_if": [condition]}}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"require": []}),
        ({"action": "allow"}, {"action": "deny"}),
        ({"rate_limit": {"max": 10, "window": 60}}, {"rate_limit": {"max": 10.0, "window": 60}}),
        (
            {"deny_if": [{"path": "args.a", "op": "eq", "value": 1}]},
            {"deny_if": [{"path": "args.a", "op": "eq", "value": True}]},
        ),
        ({"require": ["args.a", "args.b"]}, {"require": ["args.b", "args.a"]}),
    ],
)
def test_merge_refuses_a_tool_with_two_sets_of_rules(first: Any, second: Any) -> None:
    assert _errors(_policy(tools={"t/~": first}), b"\n\n" + _policy(tools={"t/~": second})) == [
        ("b", "/tools/t~1~0", 3, 'the tool "t/~" has other rules in a:1')
    ]


def test_merge_refuses_two_defaults_and_tells_every_clash_at_once() -> None:
    allow = b'{"version": "1",\n"default": "allow",\n"tools": {"t": {}}}'
    assert _errors(_policy(tools={"t": {"require": []}}), _policy(), allow) == [
        ("c", "/default", 2, 'is "allow", but "deny" in a:1'),
        ("c", "/tools/t", 3, 'the tool "t" has other rules in a:1'),
    ]


def test_merge_of_bad_policies_tells_the_problems_of_each() -> None:
    assert [told[:3] for told in _errors(b"{", _policy(), b'{"version": "1",\n"default": "x",\n"hide": [""]}')] == [
        ("a", "", 1),
        ("c", "/default", 2),
        ("c", "/hide/0", 3),
    ]


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r", b"\r\n", b"\n\n\n"])
def test_merge_refuses_counters_that_clash_only_together(ending: bytes) -> None:
    count = {"counter": "c", "window": "day", "max": 1}
    spend = {**count, "increment_from": "args.n"}
    first = _policy(tools={"a": {"limits": [count]}}) + ending
    second = b"\n" + _policy(all_tools={"limits": [spend]}) + ending
    assert _errors(_policy() + ending, first, second) == [
        ("c", "/all_tools/limits/c", 2, 'the counter "c" is used both for counts and for spend')
    ]


def test_merge_warns_of_a_tool_that_another_policy_hides() -> None:
    merged = _merge(
        _policy(tools={"t": {"require": ["args.a"]}, "u": {}}), b"\n" + _policy(hide=["u", "t"], tools={"v": {}})
    )
    assert json.loads(merged.text)["hide"] == ["u", "t"]
    assert list(json.loads(merged.text)["tools"]) == ["t", "u", "v"]
    assert _told(merged.warnings) == [
        ("a", "/tools/t", 1, "is hidden by b:2, so its rules have no effect"),
        ("a", "/tools/u", 1, "is hidden by b:2, so its rules have no effect"),
    ]


def test_merge_warns_of_a_policy_that_hides_everything() -> None:
    merged = _merge(_policy(tools={"t": {}}), _policy(hide=["x", "*"]))
    assert _told(merged.warnings) == [("b", "/hide/1", 1, "hides the tools of all these policies")]
    assert _merge(_policy(), _policy(hide=["*"])).warnings == ()


def test_merge_keeps_a_rule_of_all_tools_twice_and_warns() -> None:
    limit = {"counter": "c", "window": "day", "max": 1}
    merged = _merge(_policy(all_tools={"limits": [limit, limit]}), b"\n" + _policy(all_tools={"limits": [limit]}))
    assert json.loads(merged.text)["all_tools"] == {"limits": [limit] * 3}
    assert _told(merged.warnings) == [("b", "/all_tools/limits/0", 2, "is also in a:1; both are kept")]


def test_merge_keeps_the_first_description_and_schema_and_warns_of_others() -> None:
    merged = _merge(
        _policy(**{"$schema": "s"}), _policy(**{"$schema": "s", "description": "one"}), _policy(description="two")
    )
    assert json.loads(merged.text) == {"version": "1", "default": "deny", "$schema": "s", "description": "one"}
    assert _told(merged.warnings) == [("c", "/description", 1, "is left out; that of b:1 is kept")]


def test_merge_that_would_be_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("translator.merge.MAX_BYTES", 110)
    policy = _policy(tools={"t": {}})
    assert len(_merge(policy, _policy()).text) < 110
    ((name, pointer, _, message),) = _errors(policy, _policy(tools={"a tool": {}, "another tool": {}}))
    assert (name, pointer, message) == ("", "", "the merged policy is larger than 110 bytes")


TOOLS = st.dictionaries(
    st.sampled_from("tuv"), st.sampled_from([{}, {"require": ["args.a"]}, {"action": "hide"}, {"action": "deny"}])
)
POLICIES = st.fixed_dictionaries(
    {"hide": st.lists(st.sampled_from("tuvw"), unique=True), "tools": TOOLS},
    optional={"all_tools": st.sampled_from([{}, {"require": ["args.x"]}, {"deny_if": [], "limits": []}])},
)


@given(POLICIES, POLICIES, POLICIES)
def test_merge_of_three_is_the_merge_of_a_merge(first: Any, second: Any, third: Any) -> None:
    texts = [_policy(**each) for each in (first, second, third)]
    try:
        left = _merge(_merge(*texts[:2]).text.encode(), texts[2]).text
    except PolicyRejected:
        with pytest.raises(PolicyRejected):
            _merge(*texts)
        return
    assert _merge(texts[0], _merge(*texts[1:]).text.encode()).text == left == _merge(*texts).text
    merged, programs = parse(left.encode()), [parse(text) for text in texts]
    assert set(merged.hide) == {name for program in programs for name in program.hide}
    assert dict(merged.tools) == {tool: rules for program in programs for tool, rules in program.tools.items()}
