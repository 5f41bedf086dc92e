"""Programs made at random, judged by OPA and by a plain reading of policy-semantics in Python: they must agree."""

import json
import random
import re
import subprocess
import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import rego
from translator.bundle import Bundle, build
from translator.emit import path_text
from translator.program import Condition, Guard, Json, Limit, Number, Op, Program, Section, Step

POLICIES = 300
CALLS_EACH = 16
UNDETERMINED = "undetermined"
SEGMENTS = ("a", "b", "*", "0", "1", "01")
SCALARS = ('"x"', '"xy"', '"5"', '"1e1"', '"-2"', '"05"', '""', "5", "5.0", "10", "-2", "0", "true", "false", "null")
PATTERNS = ("x", "^x$", r"\d", "y$", "")
REQUIRES = (Step.TOOL_REQUIRE, Step.ALL_REQUIRE)
APPROVALS = (Step.TOOL_APPROVAL, Step.ALL_APPROVAL)


# The plain reading.


def found(value: Any, path: tuple[str, ...]) -> list[Any]:
    if not path:
        return [value]
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return found(value.get(step), rest)
    if isinstance(value, list) and step == "*":
        return [leaf for element in value for leaf in found(element, rest)] or [None]
    if isinstance(value, list) and re.fullmatch("0|[1-9][0-9]*", step) and int(step) < len(value):
        return found(value[int(step)], rest)
    return [None]


def plain(value: Json) -> Any:
    """A policy's value as the arguments' values are: numbers are decimals."""
    if isinstance(value, Number):
        return value.value
    if isinstance(value, list):
        return [plain(element) for element in value]
    return {key: plain(member) for key, member in value.items()} if isinstance(value, dict) else value


def as_number(value: Any) -> Any:
    if isinstance(value, Decimal) or value is None:
        return value
    text = value if isinstance(value, str) else ""
    return Decimal(text) if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", text) else object()


def same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and left == right


def answer(condition: Condition, value: Any) -> bool | str:
    op, operand = condition.op, plain(condition.value)
    if op is Op.EXISTS:
        return (value is not None) is operand
    value = as_number(value) if condition.as_number else value
    if value is None:
        return False
    if op in (Op.EQ, Op.NEQ):
        return UNDETERMINED if type(value) is not type(operand) else (value == operand) is (op is Op.EQ)
    if op in (Op.IN, Op.NOT_IN):
        judged = not operand or any(type(value) is type(element) for element in operand)
        return any(same(value, element) for element in operand) is (op is Op.IN) if judged else UNDETERMINED
    if op is Op.REGEX:
        return bool(re.search(operand, value)) if isinstance(value, str) else UNDETERMINED
    if op is Op.CONTAINS:
        if isinstance(value, list):
            return any(same(operand, element) for element in value)
        return operand in value if isinstance(value, str) and isinstance(operand, str) else UNDETERMINED
    if not isinstance(value, Decimal):
        return UNDETERMINED
    return {Op.LT: value < operand, Op.LTE: value <= operand, Op.GT: value > operand, Op.GTE: value >= operand}[op]


def stops(guard: Guard, arguments: Any) -> bool:
    answers = [[answer(each, value) for value in found(arguments, each.path)] for each in guard.conditions]
    if guard.step in REQUIRES:
        return not all(judged is True for values in answers for judged in values)
    return all(any(judged is not False for judged in values) for values in answers)


def amounts(limit: Limit, arguments: Any) -> list[Decimal] | None:
    if limit.amount_path is None:
        return [limit.increment.value]
    values = found(arguments, limit.amount_path)
    read = [as_number(value) if limit.as_number else value for value in values]
    return read if all(isinstance(value, Decimal) and value >= 0 for value in read) else None


def expected(program: Program, call: dict[str, Any]) -> dict[str, Any]:
    tool, arguments = call["tool"], call["args"]
    if tool in program.hide:
        return refusal("deny", "(hidden)", f'Tool "{tool}" is hidden by policy')
    if program.fallback == "deny" and tool not in program.tools:
        return refusal("deny", "(default deny)", f'Tool "{tool}" is not permitted by policy')
    sections = (program.tools.get(tool, Section()), program.all_tools)
    guards = sorted((guard for section in sections for guard in section.guards), key=lambda guard: guard.step)
    state = call.get("approval", {}).get("state")
    for guard in guards:
        outcome = "approval_required" if guard.step in APPROVALS else "deny"
        if not stops(guard, arguments) or (outcome == "approval_required" and state == "granted"):
            continue
        if outcome == "approval_required" and state == "refused":
            return refusal("deny", guard.rule, "Approval was refused.")
        return refusal(outcome, guard.rule, guard.message, guard.ttl_s)
    limits = [limit for section in sections for limit in section.limits]
    for limit in limits:
        if amounts(limit, arguments) is None:
            path = path_text(limit.amount_path or ())
            message = f"Cannot count this call: {path} is missing or not a non-negative number."
            return refusal("deny", limit.rule, message)
    counted = [(limit.rule, amounts(limit, arguments)) for limit in limits]
    return {"outcome": "allow", "rule": "", "message": "", "limits": counted, "ttl_s": None}


def refusal(outcome: str, rule: str, message: str, ttl_s: int | None = None) -> dict[str, Any]:
    return {"outcome": outcome, "rule": rule, "message": message, "limits": [], "ttl_s": ttl_s}


# Programs and calls made at random.


def json_text(chance: random.Random, depth: int = 3) -> str:
    kind = chance.random()
    if depth == 0 or kind < 0.4:
        return chance.choice(SCALARS)
    inner = [json_text(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind < 0.7:
        return f"[{', '.join(inner)}]"
    return object_text(dict(zip(chance.sample(SEGMENTS, len(inner)), inner, strict=True)))


def object_text(members: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{key}": {text}' for key, text in members.items()) + "}"


def arguments_text(chance: random.Random) -> str:
    return object_text({key: json_text(chance) for key in SEGMENTS[:3] if chance.random() < 0.8})


def operand(text: str) -> Json:
    def number(literal: str) -> Number:
        return Number(literal, Decimal(literal))

    value: Json = json.loads(text, parse_int=number, parse_float=number)
    return value


def not_null(chance: random.Random) -> Json:
    return next(value for value in iter(lambda: operand(json_text(chance, 1)), ...) if value is not None)


def some_number(chance: random.Random) -> Number:
    text = chance.choice(("5", "5.0", "10", "-2", "0", "1e1"))
    return Number(text, Decimal(text))


def condition(chance: random.Random) -> Condition:
    op = chance.choice(tuple(Op))
    path = tuple(chance.choice(SEGMENTS) for _ in range(chance.choice((1, 1, 1, 2, 2, 3))))
    numeric = op not in (Op.REGEX, Op.CONTAINS, Op.EXISTS) and chance.random() < 0.3
    value: Json
    if op is Op.EXISTS:
        value = chance.random() < 0.5
    elif op is Op.REGEX:
        value = chance.choice(PATTERNS)
    elif op in (Op.IN, Op.NOT_IN):
        value = [some_number(chance) if numeric else not_null(chance) for _ in range(chance.randrange(numeric, 4))]
    else:
        value = some_number(chance) if numeric or op not in (Op.EQ, Op.NEQ, Op.CONTAINS) else not_null(chance)
    return Condition(path, op, value, numeric)


def section(chance: random.Random, name: str, steps: tuple[Step, Step, Step, Step]) -> Section:
    *kinds, limit = steps
    guards = []
    for step in kinds:
        for index in range(chance.choice((0, 0, 1, 2))):
            least = 1 if step is kinds[0] else chance.choice((0, 1, 1, 1))
            conditions = tuple(condition(chance) for _ in range(chance.randint(least, 2)))
            ttl_s = chance.choice((None, 60)) if step is kinds[2] else None
            guards.append(Guard(step, f"/{name}/{step.name}/{index}", f"m{index}", conditions, ttl_s=ttl_s))
    limits = [
        Limit(
            limit,
            f"/{name}/limits/{index}",
            "m",
            f"c{index}",
            chance.choice(("minute", "hour", "day", 90)),
            some_number(chance),
            chance.choice(("grant", "session", "server")),
            Number("2.5", Decimal("2.5")),
            chance.choice((None, ("a",), ("a", "*"), ("b", "0"))),
            chance.random() < 0.5,
        )
        for index in range(chance.choice((0, 1, 2)))
    ]
    return Section(tuple(guards), tuple(limits))


def programs() -> dict[str, Program]:
    chance = random.Random(20261120)
    made = {}
    for index in range(POLICIES):
        of_tool = (Step.TOOL_REQUIRE, Step.TOOL_DENY, Step.TOOL_APPROVAL, Step.TOOL_LIMIT)
        of_all = (Step.ALL_REQUIRE, Step.ALL_DENY, Step.ALL_APPROVAL, Step.ALL_LIMIT)
        tools = {name: section(chance, name, of_tool) for name in ("t", 'u"\n')}
        everything = section(chance, "all_tools", of_all) if chance.random() < 0.3 else Section()
        made[f"p {index}"] = Program(chance.choice(("allow", "deny")), ("h",), tools, everything)
    return made


def calls(made: dict[str, Program]) -> Iterator[tuple[str, str]]:
    """Calls as (policy id, JSON text of the input)."""
    chance = random.Random(7)
    for policy_id in made:
        for _ in range(CALLS_EACH):
            tool = chance.choice(("t", "t", "t", 'u"\n', 'u"\n', "h", "other"))
            head = json.dumps({"policy": policy_id, "server": "s", "grant": "g", "tool": tool})[:-1]
            state = chance.choice(("", "", ', "approval": {"state": "granted"}', ', "approval": {"state": "refused"}'))
            yield policy_id, f'{head}, "args": {arguments_text(chance)}{state}}}'


def exact(text: str | bytes) -> Any:
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return build(programs())


@pytest.fixture(scope="module")
def unpacked(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "bundle.tar.gz"
    path.write_bytes(bundle.data)
    return path


def run(*command: str | Path, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[:2000] + done.stderr[:2000]
    return done.stdout


def test_random_programs_judged_by_opa_as_by_the_plain_reading(bundle: Bundle, unpacked: Path, opa_path: Path) -> None:
    asked = list(calls(programs()))
    question = f'{{"calls": [{", ".join(text for _, text in asked)}]}}'
    options = ("--strict-builtin-errors", "--stdin-input", "--format", "raw", "--bundle", unpacked)
    answers = exact(run(opa_path, "eval", *options, "data.mcp.gate.decisions", text=question))
    assert len(answers) == len(asked)
    outcomes = set()
    for (policy_id, text), given in zip(asked, answers, strict=True):
        wanted = expected(bundle.policies[policy_id].program, exact(text))
        outcomes.add((wanted["outcome"], wanted["rule"].strip("/").partition("/")[0]))
        assert given.pop("revision") == bundle.policies[policy_id].revision
        given["limits"] = [(limit["rule"], limit["amounts"]) for limit in given["limits"]]
        assert {"ttl_s": None, **given} == wanted, f"{text}\n{bundle.policies[policy_id].program}"
    assert len(outcomes) > 8


def test_random_modules_are_as_opa_formats_and_checks_them(bundle: Bundle, unpacked: Path, opa_path: Path) -> None:
    folder = unpacked.parent / "modules"
    with tarfile.open(unpacked) as tar:
        for name in tar.getnames():
            file = tar.extractfile(name)
            assert file is not None
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(file.read())
    assert run(opa_path, "fmt", "--fail", "--list", folder) == ""
    run(opa_path, "check", "--strict", "--capabilities", rego.CAPABILITIES, "--schema", rego.ROOT / "schemas", folder)
