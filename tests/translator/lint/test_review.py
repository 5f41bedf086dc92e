import json
import time
from pathlib import Path

import pytest

from translator import inventory
from translator.compile import compile_policy
from translator.errors import PolicyRejected
from translator.lint.review import review

ROOT = Path(__file__).parents[3]
POLICIES = sorted(
    [*(ROOT / "examples").glob("**/policy.json"), *(ROOT / "tests/translator/cases").glob("*/policy.json")]
)
PROBLEMS = sorted((ROOT / "tests/translator/problems").glob("*.json"))
BYBIT = inventory.read((ROOT / "examples/catalogue/bybit-tools.json").read_bytes())


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.parent.name)
def test_review_of_a_valid_policy_has_no_error(path: Path) -> None:
    assert review(path.read_bytes(), inventory=BYBIT).is_valid


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda path: path.stem)
def test_review_of_a_bad_policy_has_the_errors_of_the_translator(path: Path) -> None:
    text = path.read_bytes()
    found = review(text, inventory=BYBIT, policy_id="p")
    with pytest.raises(PolicyRejected) as caught:
        compile_policy(text, policy_id="p")
    assert tuple(each for each in found.findings if each.severity == "error") == caught.value.problems
    assert not found.is_valid
    assert found.permitted is None


def test_review_tells_errors_and_lints_together_in_the_order_of_the_document() -> None:
    text = b"""{"version": "1", "default": "deny",
 "hide": ["a", "b*"],
 "tools": {"a": {}, "bad": {"limits": [{"max": 1}], "deny_if": [{"path": "args.x", "op": "in", "value": []}]},
  "c": {"deny_if": [{"path": "args.x", "op": "in", "value": []}]}}}"""
    assert [(each.line, each.column, each.severity, each.code) for each in review(text).findings] == [
        (2, 16, "warning", "glob_name"),
        (3, 12, "warning", "hidden_tool"),
        (3, 40, "error", "invalid_policy"),
        (3, 40, "error", "invalid_policy"),
        (4, 21, "warning", "never_fires"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"version": "1", "default": "deny", "default": "deny", "hide": ["a*"]}',
        b'{"version": "1", "default": "deny", "hide": "a*", "tools": []}',
        b'{"version": "1", "default": "deny", "hide": [1, "a", "a"], "all_tools": [], "tools": {"t": null}}',
    ],
)
def test_review_of_what_is_hardly_a_policy_has_errors_only(text: bytes) -> None:
    found = review(text, inventory=BYBIT).findings
    assert found
    assert {each.severity for each in found if each.code != "unknown_tool"} == {"error"}


def test_review_of_a_rule_per_tool_and_more_grows_with_their_number() -> None:
    """Four times the tools take about four times as long; quadratic growth would make it sixteen."""
    took = []
    for count in (90, 360):
        tools = {
            name: {
                "require": ["args.symbol"],
                "deny_if": [
                    {"path": f"args.{each}", "op": "gt", "value": 5, "as": "number"} for each in ("qty", "price")
                ],
                "limits": [{"counter": f"{name}_{each}", "window": each, "max": 5} for each in ("minute", "day")],
            }
            for name in list(BYBIT.tools)[:count]
        }
        text = json.dumps({"version": "1", "default": "deny", "tools": tools}).encode()
        start = time.process_time()
        found = review(text, inventory=BYBIT)
        took.append(time.process_time() - start)
        assert found.permitted == count
    assert took[1] < 12 * took[0]
