"""The library: its own tests, its form, and what it may use."""

import fnmatch
import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import rego

NETWORK = ("http.send", "net.*", "providers.*", "graphql*", "json.*_schema")
CHANGING = ("opa.runtime", "time.now_ns", "rand.*", "uuid.*")
UNFIT = ("io.jwt.*", "crypto.*", "rego.parse_module", "walk")
TRAP_7 = (*NETWORK, *CHANGING, *UNFIT)
MODULES = sorted(path.relative_to(rego.ROOT).as_posix() for path in rego.ROOT.glob("mcp/**/*.rego"))


def opa(opa_path: Path, *arguments: str | Path, exit_code: int = 0) -> str:
    """What OPA prints, run inside the library's folder."""
    done = subprocess.run([opa_path, *arguments], cwd=rego.ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_library_is_every_module_without_its_tests() -> None:
    library = rego.library()
    assert list(library) == [name for name in MODULES if not name.endswith("_test.rego")]
    assert library["mcp/gate/gate.rego"] == (rego.ROOT / "mcp/gate/gate.rego").read_text("utf-8")


def test_every_module_has_its_tests_beside_it() -> None:
    tested = {name.removesuffix("_test.rego") for name in MODULES if name.endswith("_test.rego")}
    assert tested == {name.removesuffix(".rego") for name in rego.library()}


def test_library_is_as_opa_formats_it(opa_path: Path) -> None:
    assert opa(opa_path, "fmt", "--fail", "--list", ".") == ""


def test_library_passes_the_strict_check(opa_path: Path) -> None:
    opa(opa_path, "check", "--strict", "--capabilities", rego.CAPABILITIES, "--schema", "schemas", "mcp")


def test_library_tests_pass_and_cover_every_line(opa_path: Path) -> None:
    report = json.loads(opa(opa_path, "test", ".", "--ignore", "*.json", "--coverage", "--format", "json"))
    assert set(report["files"]) == set(MODULES)
    assert report["coverage"] == 100
    assert report["not_covered_lines"] == 0


def test_misspelt_member_of_the_input_is_found_by_the_check(opa_path: Path, tmp_path: Path) -> None:
    module = tmp_path / "gate.rego"
    module.write_text(rego.library()["mcp/gate/gate.rego"].replace("input.approval.state", "input.aproval.state"))
    said = opa(opa_path, "check", "--schema", "schemas", module, exit_code=1)
    assert "undefined ref: input.aproval.state" in said


def test_capabilities_are_those_of_opa_1_0_without_the_forbidden_ones(opa_path: Path) -> None:
    """Opa.md, trap 7."""
    first = json.loads(opa(opa_path, "capabilities", "--version", "v1.0.0"))
    ours = json.loads(rego.CAPABILITIES.read_text("utf-8"))
    allowed = [each for each in first["builtins"] if not any(fnmatch.fnmatch(each["name"], name) for name in TRAP_7)]
    assert ours["builtins"] == allowed
    assert not any(each.get("nondeterministic") for each in allowed)
    assert ours["allow_net"] == []
    assert set(ours) == {"allow_net", "features", "builtins"}


@pytest.mark.parametrize("call", ['http.send({"method": "get", "url": "x"})', "time.now_ns()", "opa.runtime()"])
def test_module_that_reaches_outside_is_refused_by_the_check(call: str, opa_path: Path, tmp_path: Path) -> None:
    """Opa.md, trap 7."""
    module = tmp_path / "outside.rego"
    module.write_text(f"package outside\n\nanswer := {call}\n")
    assert "undefined function" in opa(opa_path, "check", "--capabilities", rego.CAPABILITIES, module, exit_code=1)


def test_no_rule_is_named_after_a_built_in(opa_path: Path) -> None:
    """Opa.md, trap 6: `gt`, `in`, `plus` … would shadow the operators of their package."""
    built_ins = {each["name"] for each in json.loads(opa(opa_path, "capabilities", "--current"))["builtins"]}
    infix = {each.get("infix") for each in json.loads(opa(opa_path, "capabilities", "--current"))["builtins"]}
    for name in rego.library():
        parsed = json.loads(opa(opa_path, "parse", name, "--format", "json"))
        named = {rule["head"].get("name") or rule["head"]["ref"][0]["value"] for rule in parsed["rules"]}
        assert named
        assert not named & (built_ins | infix), name


def decision(**changes: Any) -> dict[str, Any]:
    return {"outcome": "allow", "rule": "", "message": "", "revision": "r", "limits": [], **changes}


LIMIT = {"rule": "r", "message": "m", "counter": "c", "window": 90, "max": 1, "scope": "grant", "amounts": [1]}


@pytest.mark.parametrize(
    ("document", "valid"),
    [
        (decision(), True),
        (decision(limits=[LIMIT]), True),
        (decision(outcome="approval_required", rule="r", ttl_s=60), True),
        (decision(outcome="maybe"), False),
        (decision(more=1), False),
        (decision(limits=[LIMIT | {"amounts": []}]), False),
        (decision(limits=[LIMIT | {"amounts": [-1]}]), False),
        (decision(limits=[LIMIT | {"window": "week"}]), False),
    ],
)
def test_decision_schema_tells_decisions_from_others(document: dict[str, Any], valid: bool) -> None:
    schema = json.loads((rego.ROOT / "schemas/decision.json").read_text("utf-8"))
    assert jsonschema.Draft7Validator(schema).is_valid(document) is valid
