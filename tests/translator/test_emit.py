import json
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

import rego
from translator.compile import compile_policy
from translator.emit import module, path_text
from translator.program import Condition, Guard, Number, Op, Program, Section, Step

CASES = sorted(path.parent for path in (Path(__file__).parent / "cases").glob("*/policy.json"))


def golden(case: Path) -> str:
    listed = case / "approval_map.json"
    approval_map = json.loads(listed.read_text("utf-8")) if listed.exists() else []
    program = compile_policy((case / "policy.json").read_bytes(), approval_map=approval_map)
    return module(program, case.name, "sha256:0")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_module_of_a_case_is_its_golden_text(case: Path, update_golden: bool) -> None:
    expected = case / "policy.rego"
    text = golden(case)
    if update_golden:
        expected.write_bytes(text.encode())
    assert text == expected.read_bytes().decode()


def test_golden_files_are_as_opa_formats_them(opa_path: Path) -> None:
    assert len(CASES) > 10
    modules = [str(case / "policy.rego") for case in CASES]
    done = subprocess.run([opa_path, "fmt", "--fail", "--list", *modules], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_golden_files_pass_the_strict_check_with_few_built_ins(opa_path: Path) -> None:
    command = [opa_path, "check", "--strict", "--capabilities", rego.CAPABILITIES, "--schema", rego.ROOT / "schemas"]
    modules = [rego.ROOT / "mcp", *(case / "policy.rego" for case in CASES)]
    done = subprocess.run([*command, *modules], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def guarded(*guards: Guard) -> Program:
    return Program("deny", tools={"t": Section(guards)})


@pytest.mark.parametrize(
    ("condition", "expression"),
    [
        (Condition(("a",), Op.EQ, "x"), 'condition.equals(object.get(input.args, "a", null), "x")'),
        (Condition(("a", "b"), Op.EQ, True), 'condition.equals(object.get(input.args, ["a", "b"], null), true)'),
        (Condition(("*",), Op.EQ, "x"), 'condition.equals(object.get(input.args, "*", null), "x")'),
        (Condition(("0", "01"), Op.EQ, "x"), 'condition.equals(object.get(input.args, ["0", "01"], null), "x")'),
        (
            Condition(("a", "0", "b"), Op.EXISTS, True),
            'condition.present(args.member(args.member(object.get(input.args, "a", null), "0"), "b"), true)',
        ),
    ],
)
def test_condition_without_star_is_one_total_expression(condition: Condition, expression: str) -> None:
    text = module(guarded(Guard(Step.TOOL_DENY, "r", "m", (condition,))), "p", "")
    assert f"\t{expression} != false\n" in text


def test_require_with_several_conditions_refuses_on_each() -> None:
    conditions = (Condition(("a",), Op.EQ, "x"), Condition(("b",), Op.LT, Number("3", Decimal(3))))
    text = module(guarded(Guard(Step.TOOL_REQUIRE, "r", "m", conditions)), "p", "")
    assert text.count('stop contains [5, 0, "deny", "r", "m"] if {') == 2
    assert text.count("!= true") == 2


def test_every_rule_id_and_message_can_be_found_in_the_module() -> None:
    policy = json.dumps({"version": "1", "default": "deny", "tools": {"a/b": {"deny_if": [{"conditions": []}]}}})
    text = module(compile_policy(policy.encode()), "p", "")
    assert '"/tools/a~1b/deny_if/always"' in text
    assert '# Tool "a/b"' in text


def test_path_text_is_as_a_policy_writes_it() -> None:
    assert path_text(("items", "*", "0")) == "args.items.*.0"
