"""Bytes in, a program or every problem out. `problems/` holds bad policies, each with its whole list of problems."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translator.compile import checked, compile_policy
from translator.errors import PolicyRejected, Problem
from translator.program import Program

BAD = sorted((Path(__file__).parent / "problems").glob("*.json"))
ASK = "Requires human approval."


def _problems(document: bytes) -> tuple[Problem, ...]:
    with pytest.raises(PolicyRejected) as rejected:
        compile_policy(document)
    return rejected.value.problems


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_compile_of_a_bad_policy_tells_every_problem_in_order(path: Path) -> None:
    with pytest.raises(PolicyRejected) as rejected:
        compile_policy(path.read_bytes(), policy_id=path.stem)
    assert f"{rejected.value}\n" == path.with_suffix(".txt").read_text(encoding="utf-8")


def test_compile_of_a_good_policy_is_its_program() -> None:
    program = compile_policy(b' {"version": "1", "default": "allow", "hide": ["x"]}\n')
    assert program == Program("allow", ("x",))


def test_checked_policy_keeps_its_text_and_places() -> None:
    made = checked(b' {"version": "1", "default": "allow", "hide": ["x"]}\n')
    assert (made.text[1], made.root.start, made.policy.hide) == ("{", 1, ("x",))


def test_compile_uses_the_approval_map() -> None:
    document = json.dumps(
        {"version": "1", "default": "deny", "tools": {"t": {"action": "deny", "reason": ASK}}}
    ).encode()
    mapped = compile_policy(document, approval_map=[ASK]).tools["t"].guards[0]
    unmapped = compile_policy(document).tools["t"].guards[0]
    assert (mapped.rule, unmapped.rule) == ("/tools/t/deny_if/always",) * 2
    assert (mapped.step.name, unmapped.step.name) == ("TOOL_APPROVAL", "TOOL_DENY")


@pytest.mark.parametrize(
    "document", [b"", b"\xff", b"\xef\xbb\xbf{}", b"null", b"[]", b"{", b'{"version": "1", "default": NaN}']
)
def test_compile_of_what_is_no_policy_points_at_the_root(document: bytes) -> None:
    assert [problem.pointer for problem in _problems(document)] in ([""], ["", ""])


def test_compile_of_a_deep_document_points_at_the_first_place_too_deep() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    document = b'{"version": "1", "default": "deny", "tools": {"t": {"require": [{"conditions": ['
    document += b'{"path": "args.a", "op": "eq", "value": ' + deep + b"}]}]}}}"
    (problem,) = _problems(document)
    assert problem.pointer == "/tools/t/require/0/conditions/0/value" + "/0" * 121


def test_compile_of_a_long_name_with_many_faults_stays_small() -> None:
    tool = {"require": [1] * 200_000}
    problems = _problems(json.dumps({"version": "1", "default": "deny", "tools": {"t" * 100_000: tool}}).encode())
    assert problems[-1].message.endswith("more problems follow")
    assert sum(len(problem.pointer) for problem in problems) < 20_000_000


def test_compile_of_a_long_name_with_many_rules_is_refused() -> None:
    tool = {"require": ["args.a"] * 2000}
    (problem,) = _problems(json.dumps({"version": "1", "default": "deny", "tools": {"t" * 100_000: tool}}).encode())
    assert problem.message == "its name is too long for so many rules"


def test_compile_of_many_costly_patterns_ends() -> None:
    items = [{"path": "args.a", "op": "regex", "value": f"{n}\\pL{{300}}"} for n in range(3000)]
    problems = _problems(json.dumps({"version": "1", "default": "deny", "all_tools": {"deny_if": items}}).encode())
    assert "too large together" in problems[-1].message


SCALAR = st.none() | st.booleans() | st.integers(-3, 200) | st.floats(allow_nan=False) | st.text(max_size=6)
WORDS = st.sampled_from(
    ["args.a", "args.*", "args", "eq", "in", "regex", "exists", "number", "minute", "deny", "hide", "a{1001}", "(", ""]
)
NAMES = st.sampled_from(
    [
        "version",
        "default",
        "hide",
        "all_tools",
        "tools",
        "description",
        "$schema",
        "require",
        "deny_if",
        "limits",
        "require_approval",
        "action",
        "reason",
        "rate_limit",
        "conditions",
        "on_deny",
        "message",
        "ttl_seconds",
        "name",
        "path",
        "op",
        "value",
        "as",
        "counter",
        "window",
        "max",
        "scope",
        "increment_from",
        "increment",
        "t",
        "*",
    ]
)
ANY = st.recursive(
    SCALAR | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5),
    max_leaves=25,
)
CONDITION = {"path": "args.a.*", "op": "in", "value": [1, 2.50], "as": "number"}
COUNT = {"counter": "c", "window": "minute", "max": 10, "scope": "session", "increment": 2, "on_deny": "x"}
SPEND = {"counter": "s", "window": 86400, "max": 0.5, "increment_from": "args.n", "as": "number", "name": "n"}
GOOD: dict[str, Any] = {
    "$schema": "x",
    "description": "x",
    "version": "1",
    "default": "deny",
    "hide": ["a", "*"],
    "all_tools": {"require": ["args.a"], "limits": [COUNT], "require_approval": [{}]},
    "tools": {
        "t": {
            "require": ["args.b", {"conditions": [CONDITION, {"path": "args.r", "op": "regex", "value": "^a"}]}],
            "deny_if": [{"conditions": [], "on_deny": ASK}, {**CONDITION, "name": "n"}],
            "require_approval": [{"message": "x", "ttl_seconds": 5}, CONDITION],
            "limits": [COUNT, SPEND],
        },
        "u": {"rate_limit": {"max": 1, "window": 60}, "action": "allow"},
        "v": {"action": "deny", "reason": ASK},
    },
}


def _is_told(rejected: PolicyRejected) -> None:
    assert str(rejected)
    assert min((problem.line, problem.column) for problem in rejected.problems) >= (1, 1)


def _is_judged(document: bytes) -> None:
    try:
        assert isinstance(compile_policy(document, approval_map=[ASK]), Program)
    except PolicyRejected as rejected:
        _is_told(rejected)


def _places(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_places, inner))


def _mutated(value: Any, place: int, new: Any) -> Any:
    """A copy of the value whose part number `place`, counted depth first, is `new`; gone if `new` is Ellipsis."""
    count = iter(range(_places(value)))

    def copy(part: Any) -> Any:
        if next(count) == place:
            for _ in range(_places(part) - 1):
                next(count)
            return new
        if isinstance(part, dict):
            made = {name: copy(inner) for name, inner in part.items()}
            return {name: inner for name, inner in made.items() if inner is not ...}
        if isinstance(part, list):
            return [inner for inner in map(copy, part) if inner is not ...]
        return part

    return copy(value)


def test_compile_of_the_policy_to_mutate_is_good() -> None:
    assert compile_policy(json.dumps(GOOD).encode()).hide == ("a", "*")


@given(st.binary(max_size=100))
def test_compile_of_any_bytes_is_judged(document: bytes) -> None:
    _is_judged(document)


@given(ANY)
def test_compile_of_any_json_is_judged(value: Any) -> None:
    _is_judged(json.dumps(value).encode())


@settings(max_examples=200)
@given(st.integers(1, _places(GOOD) - 1), ANY | st.just(...))
def test_compile_of_a_mutated_policy_is_judged(place: int, new: Any) -> None:
    _is_judged(json.dumps(_mutated(GOOD, place, new)).encode())


@given(st.integers(0, 2000), st.integers(0, 20), st.binary(max_size=4))
def test_compile_of_a_damaged_policy_is_judged(at: int, length: int, new: bytes) -> None:
    text = json.dumps(GOOD, indent=1).encode()
    _is_judged(text[:at] + new + text[at + length :])
