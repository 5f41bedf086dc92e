"""Documents made to exhaust the translator: `regate build` ends in bounded time and memory, with one clear answer.

The bounds are those of docs/faults.md, with room for a busy machine. It is a process of its own, so that its memory can
be capped.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60
ADDRESS_SPACE_KB = 3 * 1024**2
OUTPUT_BYTES = 24_000_000


@dataclass(frozen=True, slots=True)
class Document:
    """A document, and how its answer begins. Empty: it is accepted."""

    text: str
    said: str


def tool(member: str, items: str) -> str:
    return f'{{"version": "1", "default": "deny", "tools": {{"t": {{"{member}": [{items}]}}}}}}'


def condition(value: str, op: str = "eq") -> str:
    return f'{{"path": "args.a", "op": "{op}", "value": {value}}}'


TOO_LARGE = "the document is larger than 8388608 bytes"
TOO_MANY = "with it the policy has more than 20000 rules and conditions"
DOCUMENTS = {
    "50 MB": lambda: Document(tool("deny_if", f'{{"conditions": [], "on_deny": "{"x" * 50_000_000}"}}'), TOO_LARGE),
    "1,000,000 rules": lambda: Document(tool("deny_if", ",".join([condition("1")] * 1_000_000)), TOO_LARGE),
    "700,000 rules in 8 MB": lambda: Document(tool("require", ",".join(['"args.a"'] * 700_000)), TOO_MANY),
    "20,001 conditions of one rule": lambda: Document(
        tool("deny_if", f'{{"conditions": [{",".join([condition("1")] * 20_001)}]}}'), TOO_MANY
    ),
    "20,000 rules": lambda: Document(tool("require", ",".join(f'"args.a{n}"' for n in range(20_000))), ""),
    "an array 10,000 deep": lambda: Document(
        tool("deny_if", condition("[" * 10_000 + "]" * 10_000)), "nested deeper than 128 levels"
    ),
    "an object 10,000 deep": lambda: Document(
        tool("deny_if", condition('{"a":' * 10_000 + "1" + "}" * 10_000)), "nested deeper than 128 levels"
    ),
    "500,000 brackets": lambda: Document("[" * 500_000, "the document ends where a value should stand"),
    "300,000 mistakes": lambda: Document(tool("deny_if", ",".join("1" * 300_000)), "must be an object, not a number"),
    "a message of 8 MB": lambda: Document(
        tool("deny_if", f'{{"conditions": [], "on_deny": "{"x" * 8_000_000}"}}'), ""
    ),
    "100,000 tools": lambda: Document(
        json.dumps({"version": "1", "default": "deny", "tools": {f"t{n}": {} for n in range(100_000)}}), ""
    ),
    "a list of 200,000": lambda: Document(tool("deny_if", condition(json.dumps(list(range(200_000))), "in")), ""),
    "stars in stars": lambda: Document(tool("deny_if", condition(f'"{"(" * 200}a{"*)" * 200}"', "regex")), ""),
    "a backtracker's ruin": lambda: Document(tool("deny_if", condition('"^(a|a)*(a+)+$"', "regex")), ""),
    "counts in counts": lambda: Document(
        tool("deny_if", condition('"((a{1,900}){1,900}){1,900}"', "regex")), "the pattern does not compile"
    ),
    "20,000 large patterns": lambda: Document(
        tool("deny_if", ",".join(condition(f'"{n}(a{{1,100}}){{1,10}}"', "regex") for n in range(20_000))),
        "the patterns of this policy are too large together",
    ),
    "a look-ahead": lambda: Document(tool("deny_if", condition('"a(?=b)"', "regex")), "the pattern does not compile"),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_hostile_document_gets_one_answer_in_bounded_time_and_memory(name: str, tmp_path: Path, opa_path: Path) -> None:
    document = DOCUMENTS[name]()
    (tmp_path / "p.json").write_text(document.text, encoding="utf-8")
    limited = ["sh", "-c", f'ulimit -v {ADDRESS_SPACE_KB} && exec "$@"', "sh"]
    command = [*limited, sys.executable, "-m", "sidecar", "build", "p.json", "-o", "bundle.tar.gz"]
    environ = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert "Traceback" not in done.stderr
    assert len(done.stdout) + len(done.stderr) < OUTPUT_BYTES
    if document.said:
        assert (done.returncode, done.stderr) == (1, "")
        assert document.said in done.stdout
        assert not (tmp_path / "bundle.tar.gz").exists()
        return
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[:1000]
    checked = subprocess.run(
        [opa_path, "check", "--strict", "--bundle", tmp_path / "bundle.tar.gz"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
