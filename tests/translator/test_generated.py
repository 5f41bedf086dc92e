"""What is generated, run by a real OPA; and how many changes of a policy's module it notices."""

import json
import random
import re
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from tests.archives import unpack
from translator import parse, translate
from translator.bundle import build
from translator.generated import UNKNOWN, suite, unknown
from translator.program import Condition, Guard, Json, Limit, Number, Op, Program, Section, Step

CASES = sorted((Path(__file__).parent / "cases").iterdir())
MAP = ("Requires human approval.",)
FUNCTIONS = {
    "equals": "differs",
    "differs": "equals",
    "among": "outside",
    "outside": "among",
    "below": "at_most",
    "at_most": "below",
    "above": "at_least",
    "at_least": "above",
    "includes": "equals",
    "matches": "includes",
    "present": "equals",
}


SAME = {
    'every_tool: name left out: "a": true',
    'faq_dialect: name left out: "rm": true,',
    "hide_star: fallback",
    'hide_star: name left out: "a": true',
}
"""Changes that change nothing: what they are about is hidden, or allowed, anyway."""


def num(text: str) -> Number:
    return Number(text, Decimal(text))


def program(document: dict[str, object]) -> Program:
    return parse(json.dumps({"version": "1", "default": "deny", **document}).encode())


def policy_bytes(case: Path) -> bytes:
    return (case / "policy.json").read_bytes()


def unpacked(bundle: bytes, folder: Path) -> Path:
    folder.mkdir()
    (folder / "bundle.tar.gz").write_bytes(bundle)
    return unpack(bundle, folder / "modules")


def failed(opa_path: Path, *paths: Path) -> dict[str, set[str]]:
    """The names of failed tests, by the package they are in; every package has its entry."""
    done = subprocess.run([opa_path, "test", "--format=json", *paths], capture_output=True, text=True, timeout=100)
    assert not done.stderr, done.stderr[:3000]
    found: dict[str, set[str]] = {}
    for each in json.loads(done.stdout):
        found.setdefault(each["package"], set())
        if each.get("fail") or each.get("error"):
            found[each["package"]].add(each["name"])
    return found


def test_generated_tests_of_every_case_pass_and_are_as_opa_formats_and_checks_them(
    tmp_path: Path, opa_path: Path
) -> None:
    policies = {case.name: policy_bytes(case) for case in CASES}
    modules = unpacked(translate(policies, approval_map=MAP).data, tmp_path / "bundle")
    written = tmp_path / "tests"
    written.mkdir()
    for name, text in policies.items():
        (written / f"{name}_test.rego").write_text(suite(parse(text, approval_map=MAP), name))
    found = failed(opa_path, tmp_path / "bundle" / "bundle.tar.gz", written)
    assert found == {f"data.regate_tests.{name}": set() for name in policies}
    for command in (["fmt", "--fail", "--list", written], ["check", "--strict", modules, written]):
        done = subprocess.run([opa_path, *command], capture_output=True, text=True, timeout=100)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def mutants(module: str) -> Iterator[tuple[str, str]]:
    """One change each: a rule left out, an operator, a comparison, a number, a text, a name in a list."""
    head, *rules = re.split(r"(?m)^(?=stop contains|limits contains)", module)
    for at, rule in enumerate(rules):
        others = head + "".join(rules[:at]), "".join(rules[at + 1 :])
        for kind, changed in changes(rule):
            yield f"{kind}: {rule.splitlines()[0]}", changed.join(others)
    for line in re.findall(r"(?m)^\t\".*\": true,\n", head):
        yield f"name left out: {line.strip()}", module.replace(line, "", 1)
    for kind, name in re.findall(r'(?m)^(hide|tools) := \{(".*": true)\}$', head):
        yield f"name left out: {name}", module.replace(f"{kind} := {{{name}}}", f"{kind} := {{}}", 1)
    fallback = {"deny": "allow", "allow": "deny"}
    yield "fallback", re.sub('(?m)^fallback := "(.*)"', lambda found: f'fallback := "{fallback[found[1]]}"', module)


def changes(rule: str) -> Iterator[tuple[str, str]]:
    yield "left out", "\n"
    for name, other in FUNCTIONS.items():
        if f"condition.{name}(" in rule:
            yield f"{name} for {other}", rule.replace(f"condition.{name}(", f"condition.{other}(", 1)
    for old, new in (("!= true", "!= false"), ("!= false", "!= true"), ("!= {true}", "!= {false}")):
        if old in rule:
            yield f"{old} for {new}", rule.replace(old, new, 1)
    body = rule.index(" if {") if " if {" in rule else len(rule)
    if rule.startswith("stop"):
        yield "outcome", re.sub('"(deny|approval_required)"', '"other"', rule, count=1)
        yield from (("operand", rule[: body + at] + text) for at, text in operands(rule[body:]))
    else:
        yield from (("obligation", text) for text in obligations(rule))


def operands(body: str) -> Iterator[tuple[int, str]]:
    """The last argument of a condition, changed in one number or at the beginning of one text."""
    for judged in re.finditer(r"condition\.\w+\((?:[^\n]*), (.*)\) (?:!=|\|)", body):
        start, end = judged.span(1)
        for number in re.finditer(r'(?<![\w"\\])-?\d+(?:\.\d+)?(?:e-?\d+)?', judged[1]):
            if number.group() != "0":
                yield 0, f"{body[: start + number.start()]}7{number.group().lstrip('-')}{body[start + number.end() :]}"
        for text in list(re.finditer(r'(?<!\\)"(?=[^,\]\)])', judged[1]))[:1]:
            yield 0, f'{body[: start + text.start()]}"q{body[start + text.end() :]}'
        del end


def obligations(rule: str) -> Iterator[str]:
    for name in ("counter", "scope", "message"):
        yield rule.replace(f'"{name}": "', f'"{name}": "q', 1)
    yield re.sub(r'"max": ', '"max": 1', rule, count=1)
    yield re.sub(r'"window": ("?)', r'"window": \g<1>1', rule, count=1)
    yield re.sub(r'"amounts": .*', '"amounts": [n | some n in [77]],', rule, count=1)


def test_generated_tests_notice_every_change_of_a_rule(tmp_path: Path, opa_path: Path) -> None:
    made: dict[str, str] = {}
    library = unpacked(translate({}).data, tmp_path / "bundle") / "mcp"
    written = tmp_path / "mutants"
    written.mkdir()
    for case in CASES:
        modules = unpacked(translate({"m": policy_bytes(case)}, approval_map=MAP).data, tmp_path / case.name)
        module = (modules / "mcp" / "policies" / "m.rego").read_text()
        text = suite(parse(policy_bytes(case), approval_map=MAP), "m")
        for what, changed in mutants(module):
            name = f"m{len(made)}"
            made[f"data.regate_tests.{name}"] = f"{case.name}: {what}"
            (written / f"{name}.rego").write_text(
                changed.replace("package mcp.policies.m\n", f"package mcp.policies.{name}\n")
            )
            text_here = text.replace("package regate_tests.m\n", f"package regate_tests.{name}\n")
            text_here = text_here.replace("data.mcp.policies.m as", f"data.mcp.policies.{name} as")
            (written / f"{name}_test.rego").write_text(text_here.replace('id := "m"', f'id := "{name}"'))
    found = failed(opa_path, library, written)
    survivors = [what for name, what in made.items() if not found[name]]
    assert (len(made) > 290, set(survivors)) == (True, SAME)


def chosen(chance: random.Random) -> Condition:
    op = chance.choice(tuple(Op))
    path = tuple(chance.choice(("a", "b", "*", "0")) for _ in range(chance.choice((1, 1, 2, 3))))
    numeric = op not in (Op.REGEX, Op.CONTAINS, Op.EXISTS) and chance.random() < 0.3
    number = chance.choice([num("5"), num("1.50"), num("-2"), num("1e30"), num("0")])
    text = chance.choice(["x", "5", "ab", ""])
    other: Json = chance.choice([text, True, number, [number, "x"], {"k": None}])
    match op:
        case Op.EXISTS:
            return Condition(path, op, chance.random() < 0.5)
        case Op.REGEX:
            return Condition(path, op, chance.choice(["^x+$", "a|5", r"\d{2}"]))
        case Op.IN | Op.NOT_IN:
            return Condition(path, op, [number] if numeric else [other, number, text][: chance.randrange(4)], numeric)
        case Op.EQ | Op.NEQ | Op.CONTAINS:
            return Condition(path, op, number if numeric else other, numeric)
    return Condition(path, op, number, numeric)


def section(chance: random.Random, at: str, steps: tuple[Step, Step, Step, Step]) -> Section:
    guards = [
        Guard(step, f"/{at}/{step.name}/{n}", "m", tuple(chosen(chance) for _ in range(chance.choice((1, 1, 2, 3)))))
        for step in steps[:3]
        for n in range(chance.choice((0, 1, 2)))
    ]
    path = chance.choice((None, ("a",), ("b", "*"), ("a", "*", "b"), ("b", "0")))
    spend = Limit(
        steps[3], f"/{at}/limits/c", "m", "c", "day", num("5"), "grant", num("1"), path, chance.random() < 0.5
    )
    return Section(tuple(guards), (spend,) if chance.random() < 0.5 else ())


def test_generated_tests_of_random_programs_pass(tmp_path: Path, opa_path: Path) -> None:
    chance = random.Random(4)
    of_tool = (Step.TOOL_REQUIRE, Step.TOOL_DENY, Step.TOOL_APPROVAL, Step.TOOL_LIMIT)
    of_all = (Step.ALL_REQUIRE, Step.ALL_DENY, Step.ALL_APPROVAL, Step.ALL_LIMIT)
    programs = {
        f"p{n}": Program(
            chance.choice(("allow", "deny")),
            ("h",),
            {"t": section(chance, "t", of_tool), "h": section(chance, "h", of_tool)},
            section(chance, "all", of_all) if chance.random() < 0.5 else Section(),
        )
        for n in range(40)
    }
    for name, made in programs.items():
        (tmp_path / f"{name}_test.rego").write_text(suite(made, name))
    (tmp_path / "bundle.tar.gz").write_bytes(build(programs).data)
    found = failed(opa_path, tmp_path)
    assert {name: failures for name, failures in found.items() if failures} == {}
    assert len(found) == len(programs)
    for command in (["fmt", "--fail", "--list", tmp_path],):
        done = subprocess.run([opa_path, *command], capture_output=True, text=True, timeout=100)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_suite_names_each_rule_once_and_says_what_it_cannot_test() -> None:
    greek = {"path": "args.a", "op": "regex", "value": r"^\p{Greek}$"}
    far = {"counter": "c", "window": "day", "max": 5, "increment_from": "args.n.1000000"}
    rules = {
        "require": ["args.x", "args.x"],
        "deny_if": [{"conditions": [greek, {**greek, "path": "args.b"}]}],
        "limits": [far],
    }
    text = suite(program({"tools": {"t": rules}}), "id")
    assert "test_tools_t_require_args_x_exists if" in text
    assert "test_tools_t_require_args_x_exists_2 if" in text
    assert '#   "/tools/t/limits/c"' in text


def test_suite_of_a_policy_that_names_the_unknown_tool_asks_for_another() -> None:
    assert unknown(program({"hide": [UNKNOWN, f"{UNKNOWN}!"]})) == f"{UNKNOWN}!!"


def test_suite_of_rules_for_every_tool_uses_one_that_can_be_called() -> None:
    rules = {"all_tools": {"require": ["args.x"]}}
    assert 'fires("b", args' in suite(program({"hide": ["a"], "tools": {"a": {}, "b": {}}, **rules}), "id")
    assert f'fires("{UNKNOWN}", args' in suite(program({**rules}), "id")
    assert f'fires("{UNKNOWN}", args' in suite(program({**rules, "default": "allow", "tools": {"b": {}}}), "id")


def test_rules_whose_names_differ_in_signs_only_have_tests_of_their_own() -> None:
    always = {"deny_if": [{"conditions": []}]}
    text = suite(program({"tools": {"t": always, "T": always}}), "id")
    assert "test_tools_t_deny_if_always if" in text
    assert "test_tools_t_deny_if_always_2 if" in text
    assert "test_tools_deny_if_always if" in suite(program({"tools": {"é": {"deny_if": [{"conditions": []}]}}}), "id")
