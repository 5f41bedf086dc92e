"""Rego tests under stock `opa test`: which rules fired in them."""

from pathlib import Path

import pytest

from sidecar.errors import CannotDecide
from sidecar.proving.regotests import FailedTests, fired
from translator import Bundle, suite, translate

POLICY = b"""{"version": "1", "default": "deny", "tools": {"a \\"b\\\\": {
 "require": [{"conditions": [
   {"path": "args.x", "op": "exists", "value": true}, {"path": "args.y", "op": "exists", "value": true}]}],
 "limits": [{"counter": "c", "window": "day", "max": 1, "increment_from": "args.x", "on_deny": "stop contains ["}]}},
 "all_tools": {"deny_if": [{"conditions": []}]}}"""
REQUIRE = '/tools/a "b\\/require/args.x-exists+args.y-exists'
LIMIT = '/tools/a "b\\/limits/c'
ALWAYS = "/all_tools/deny_if/always"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return translate({"the id": POLICY, "other": POLICY})


def rego(of: str, tool: str, args: str, wanted: str) -> str:
    return f"""package some_test

test_one if {{
	stops := data.mcp.policies["{of}"].{wanted} with input as {{"tool": {tool}, "args": {args}}}
	count(stops) >= 0
}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "a:b test.rego"
    path.write_text(text, encoding="utf-8")
    return path


def test_rule_fires_in_a_test_where_its_body_holds(bundle: Bundle, opa_path: Path, tmp_path: Path) -> None:
    path = write(tmp_path, rego("the id", '"a \\"b\\\\"', '{"x": 1}', "stop"))
    found = fired(bundle, [path], opa_path)
    assert found == {"the id": {REQUIRE: 1, ALWAYS: 1}, "other": {}}


def test_limit_fires_where_it_is_handed_over_or_cannot_count(bundle: Bundle, opa_path: Path, tmp_path: Path) -> None:
    path = write(tmp_path, rego("other", '"a \\"b\\\\"', '{"x": 1}', "limits"))
    assert fired(bundle, [path], opa_path)["other"] == {LIMIT: 1}
    path = write(tmp_path, rego("other", '"a \\"b\\\\"', '{"x": "", "y": 1}', "stop"))
    assert fired(bundle, [path], opa_path)["other"] == {LIMIT: 1, ALWAYS: 1}


def test_every_rule_fires_in_the_tests_that_are_generated(opa_path: Path, tmp_path: Path) -> None:
    bundle = translate({"p": POLICY})
    found = fired(bundle, [write(tmp_path, suite(bundle.policies["p"].program, "p"))], opa_path)
    assert found["p"].keys() == {REQUIRE, LIMIT, ALWAYS}


@pytest.mark.parametrize("text", ["package x_test\n\ntest_a if false\n", "no rego"])
def test_that_does_not_pass_is_an_error_in_one_line(text: str, bundle: Bundle, opa_path: Path, tmp_path: Path) -> None:
    with pytest.raises(FailedTests) as failed:
        fired(bundle, [write(tmp_path, text)], opa_path)
    assert "\n" not in str(failed.value)


def test_binary_that_is_none_cannot_decide(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(CannotDecide):
        fired(bundle, [], tmp_path / "none")
