"""What fails open in Rego, tried on generated policies in a real OPA that stops on built-in errors.

Source: opa.md, section 3; traps 6 and 7 are in test_rego.py, 8 belongs to the gateway.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import rego
from translator import PolicyRejected, parse, translate


@dataclass(frozen=True)
class Trap:
    """Arguments (JSON text) for tool `t` under these rules, and the name of the rule that must stop them."""

    name: str
    rules: dict[str, Any]
    arguments: str
    stopped_by: str = ""


def when(path: str, op: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"path": path, "op": op, "value": value, **more}


def require(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"require": [{"conditions": list(conditions)}]}


def deny_if(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"deny_if": [{"conditions": list(conditions)}]}


def spend(path: str) -> dict[str, Any]:
    return {"limits": [{"counter": "s", "window": "day", "max": 10, "increment_from": path}]}


BOTH = "require/args.x-eq+args.y-lt"
ABOVE = deny_if(when("args.n", "gt", 50000))
READ = deny_if(when("args.n", "gt", 50000, **{"as": "number"}))
TRAPS = (
    Trap("1 require of an absent argument", require(when("args.x", "in", ["a"])), "{}", "require/args.x-in"),
    Trap("1 require not_in of an absent one", require(when("args.x", "not_in", ["a"])), "{}", "require/args.x-not_in"),
    Trap("1 require order of an absent one", require(when("args.x", "gte", 0)), "{}", "require/args.x-gte"),
    Trap("1 require below an absent object", require(when("args.x.y", "neq", 0)), "{}", "require/args.x.y-neq"),
    Trap("1 require of a null", require(when("args.x", "neq", 0)), '{"x": null}', "require/args.x-neq"),
    Trap("1 require below a string", require(when("args.x.y", "neq", 0)), '{"x": "s"}', "require/args.x.y-neq"),
    Trap("1 require in an absent array", require(when("args.x.*", "neq", 0)), "{}", "require/args.x.*-neq"),
    Trap("1 require in an empty array", require(when("args.x.*", "neq", 0)), '{"x": []}', "require/args.x.*-neq"),
    Trap("1 second of two", require(when("args.x", "eq", 1), when("args.y", "lt", 1)), '{"x": 1}', BOTH),
    Trap("2 string above a bound", ABOVE, '{"n": "9"}', "deny_if/args.n-gt"),
    Trap("2 array above a bound", ABOVE, '{"n": [1]}', "deny_if/args.n-gt"),
    Trap("2 object above a bound", ABOVE, '{"n": {}}', "deny_if/args.n-gt"),
    Trap("2 true above a bound", ABOVE, '{"n": true}', "deny_if/args.n-gt"),
    Trap("2 false above a bound", ABOVE, '{"n": false}', "deny_if/args.n-gt"),
    Trap("2 null counts as absent", ABOVE, '{"n": null}'),
    Trap("2 string below a bound", require(when("args.n", "gt", 5)), '{"n": "9"}', "require/args.n-gt"),
    Trap("2 large exponent", ABOVE, '{"n": 1e400}', "deny_if/args.n-gt"),
    Trap("3 missing amount", spend("args.n"), "{}", "limits/s"),
    Trap("3 null amount", spend("args.n"), '{"n": null}', "limits/s"),
    Trap("3 amount as a string", spend("args.n"), '{"n": "5"}', "limits/s"),
    Trap("3 negative amount", spend("args.n"), '{"n": -1}', "limits/s"),
    Trap("3 one amount of several missing", spend("args.l.*.n"), '{"l": [{"n": 1}, {}]}', "limits/s"),
    Trap("3 no amount at all", spend("args.l.*.n"), '{"l": []}', "limits/s"),
    Trap("4 pattern on a number", deny_if(when("args.n", "regex", "x")), '{"n": 5}', "deny_if/args.n-regex"),
    Trap("4 pattern on an array", deny_if(when("args.n", "regex", "x")), '{"n": ["y"]}', "deny_if/args.n-regex"),
    Trap("4 part of a number", deny_if(when("args.n", "contains", "x")), '{"n": 5}', "deny_if/args.n-contains"),
    Trap("4 number in a string", deny_if(when("args.n", "contains", 5)), '{"n": "5"}', "deny_if/args.n-contains"),
    Trap("5 absent argument of not_in", deny_if(when("args.c", "not_in", ["usd"])), "{}"),
    Trap("5 unless it is denied itself", deny_if(when("args.c", "exists", False)), "{}", "deny_if/args.c-exists"),
    Trap("9 large exponent in a string", READ, '{"n": "1e400"}', "deny_if/args.n-gt"),
    Trap("9 huge exponent in a string", READ, '{"n": "1e99999999999999"}', "deny_if/args.n-gt"),
    Trap("9 zero with a huge exponent", READ, '{"n": "0e99999999999999"}'),
    Trap("9 zeros before a huge exponent", READ, f'{{"n": "0.{"0" * 5000}1e5000"}}'),
    Trap("9 no number in a string", READ, '{"n": "5 "}', "deny_if/args.n-gt"),
)
EXACT = '{"l": [{"n": 123456789012345678.1}, {"n": 0.2}, {"n": 9007199254740993}, {"n": 0.2}]}'


@pytest.fixture(scope="module")
def answers(opa_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """OPA's decision on each trap, and on the exact amounts."""
    asked = {trap.name: (trap.rules, trap.arguments) for trap in TRAPS} | {"exact": (spend("args.l.*.n"), EXACT)}
    policies = {
        name: json.dumps({"version": "1", "default": "deny", "tools": {"t": rules}}).encode()
        for name, (rules, _) in asked.items()
    }
    path = tmp_path_factory.mktemp("traps") / "bundle.tar.gz"
    path.write_bytes(translate(policies).data)
    calls = ", ".join(
        f'{{"policy": {json.dumps(name)}, "server": "s", "grant": "g", "tool": "t", "args": {arguments}}}'
        for name, (_, arguments) in asked.items()
    )
    command = [opa_path, "eval", "--bundle", path, "--strict-builtin-errors", "--stdin-input", "--format", "raw"]
    done = subprocess.run(
        [*command, "data.mcp.gate.decisions"],
        input=f'{{"calls": [{calls}]}}',
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(zip(asked, json.loads(done.stdout, parse_float=str, parse_int=str), strict=True))


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_trap_is_closed(trap: Trap, answers: dict[str, Any]) -> None:
    answer = answers[trap.name]
    if not trap.stopped_by:
        assert answer["outcome"] == "allow"
    else:
        assert answer["outcome"] == "deny"
        assert answer["rule"] == f"/tools/t/{trap.stopped_by}"


def test_trap_4_pattern_that_opa_cannot_read_is_refused_before() -> None:
    policy = {"version": "1", "default": "deny", "tools": {"t": deny_if(when("args.n", "regex", "(?=a)"))}}
    with pytest.raises(PolicyRejected):
        parse(json.dumps(policy).encode())


def test_trap_10_amounts_are_handed_over_as_they_came(answers: dict[str, Any]) -> None:
    [limit] = answers["exact"]["limits"]
    assert limit["amounts"] == ["123456789012345678.1", "0.2", "9007199254740993", "0.2"]


def test_every_decision_fits_the_schema(answers: dict[str, Any]) -> None:
    validator = jsonschema.Draft7Validator(json.loads((rego.ROOT / "schemas/decision.json").read_text("utf-8")))
    for answer in answers.values():
        numbers = [limit | {"max": 1, "amounts": [1]} for limit in answer["limits"]]
        assert list(validator.iter_errors(answer | {"limits": numbers})) == []
