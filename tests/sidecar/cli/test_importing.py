import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Regate = Callable[..., Any]

INTERCEPT = """version: "1"
tools:
  pay:
    rules:
      - conditions: [{path: args.amount, op: lte, value: 500}]
        on_deny: Too much.
        state: {counter: c, window: day}
"""
RULES = """version: "1"
default: deny
tools:
  pay:
    rules:
      - validate: {required_args: true}
"""
FRAGMENT = '{"t": {"require": ["args.a"]}}'
POLICY = {"version": "1", "default": "deny", "tools": {"t": {"require": ["args.a"]}}}


def _write(name: str, text: str) -> None:
    Path(name).write_text(text, encoding="utf-8")


def test_import_prints_a_policy_and_warns_beside_it(regate: Regate) -> None:
    _write("p.yaml", INTERCEPT)
    done = regate("import", "p.yaml")
    item = {"conditions": [{"path": "args.amount", "op": "lte", "value": 500}], "on_deny": "Too much."}
    assert (done.code, json.loads(done.out)) == (
        0,
        {"version": "1", "default": "allow", "tools": {"pay": {"require": [item]}}},
    )
    (line,) = done.err.splitlines()
    assert line.startswith("p.yaml:7:16: warning: /tools/pay/rules/0/state: counts nothing, because ")


def test_import_writes_a_file_that_check_accepts(regate: Regate) -> None:
    _write("p.yaml", INTERCEPT)
    done = regate("import", "p.yaml", "-o", "policy.json")
    assert (done.code, done.out, done.err.splitlines()[-1]) == (0, "", "policy.json: written")
    assert Path("policy.json").read_text(encoding="utf-8") == regate("import", "p.yaml").out
    assert regate("check", "policy.json", "--fail-on", "error").code == 0


def test_import_takes_a_fragment_only_with_a_default(regate: Regate) -> None:
    _write("f.json", FRAGMENT)
    refused = regate("import", "f.json", "-o", "policy.json")
    assert (refused.code, refused.out, Path("policy.json").exists()) == (1, "", False)
    assert refused.err.startswith("f.json:1:1: is no whole policy: it has neither version nor default\n  hint: ")
    done = regate("import", "f.json", "--fragment-default", "deny")
    assert (done.code, json.loads(done.out), done.err) == (0, POLICY, "")


def test_import_takes_input_schemas_from_the_server_s_tools(regate: Regate) -> None:
    _write("p.yaml", RULES)
    _write("tools.json", '{"tools": [{"name": "pay", "inputSchema": {"required": ["amount"]}}]}')
    done = regate("import", "p.yaml", "--tools", "tools.json")
    assert (done.code, done.err) == (0, "")
    assert "args.amount" in done.out
    assert "--tools" in regate("import", "p.yaml").err


def test_import_reads_the_dialect_it_is_told(regate: Regate) -> None:
    _write("p.yaml", RULES)
    done = regate("import", "p.yaml", "--dialect", "intercept")
    assert done.code == 1
    assert 'p.yaml:6:9: /tools/pay/rules/0/validate: unknown member "validate"' in done.err
    assert regate("import", "p.yaml", "--dialect", "rules").code == 0
    _write("f.yaml", FRAGMENT)
    assert regate("import", "f.yaml", "--dialect", "policy", "--fragment-default", "deny").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("import none.yaml", 2, "file 'none.yaml' does not exist"),
        ("import p.yaml --dialect yaml", 2, "'yaml' is not one of"),
        ("import p.yaml --fragment-default ask", 2, "'ask' is not one of"),
        ("import p.yaml --tools p.yaml", 2, "--tools: p.yaml is no list of tools"),
        ("import p.yaml -o none/x.json", 1, "none/x.json cannot be written: no such file or directory"),
    ],
)
def test_import_used_wrongly_says_so(regate: Regate, arguments: str, code: int, said: str) -> None:
    _write("p.yaml", INTERCEPT)
    done = regate(*arguments.split())
    assert (done.code, said in done.err) == (code, True), done.err


def test_import_of_text_that_steers_a_terminal_prints_escapes(regate: Regate) -> None:
    _write("p.yaml", '{version: "1", "\\e[2J": "\\u202e"}')
    done = regate("import", "p.yaml", "--dialect", "rules")
    assert done.code == 1
    assert "\\u001b[2J" in done.err
    assert done.err.replace("\n", "").isprintable()


def test_import_for_programs_is_one_document(regate: Regate) -> None:
    _write("p.yaml", INTERCEPT)
    done = regate("import", "p.yaml", "--format", "json")
    told = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert told["policy"] == regate("import", "p.yaml").out
    assert [(each["file"], each["pointer"], each["severity"]) for each in told["findings"]] == [
        ("p.yaml", "/tools/pay/rules/0/state", "warning")
    ]
