"""Source: policy-semantics, section 11, the table of categories."""

import json
from typing import Any

import pytest

from translator import canonical, parse
from translator.program import Json
from translator.recommend import SEVERITY, Category, Recommended, index_page, recommended


def _loose(rules: Any) -> Any:
    return json.loads(canonical.text(rules))


def _limit(counter: str, window: str, most: int) -> Any:
    return {"limits": [{"counter": counter, "window": window, "max": most, "scope": "grant"}]}


def _denial(text: str) -> Any:
    return {"deny_if": [{"conditions": [], "on_deny": text}]}


@pytest.mark.parametrize(
    ("category", "severity", "hide", "rules"),
    [
        ("read", "low", False, {}),
        ("write", "medium", False, _limit("placeorder_rate", "minute", 30)),
        ("execute", "high", False, _limit("placeorder_rate", "minute", 10)),
        ("destructive", "critical", True, {}),
        ("financial", "critical", False, _denial("Requires human approval.")),
    ],
)
def test_recommended_rule_of_each_category(category: str, severity: str, hide: bool, rules: Any) -> None:
    made = recommended(Category(category), "placeOrder")
    assert (made.hide, _loose(made.rules)) == (hide, rules)
    assert SEVERITY[Category(category)] == severity


@pytest.mark.parametrize(
    ("category", "rules"),
    [
        ("read", _limit("accepted oauth scopes_per_minute", "minute", 60)),
        ("write", _limit("accepted oauth scopes_per_hour", "hour", 30)),
        ("destructive", _denial("Blocked by default. Requires approval.")),
        ("financial", _denial("Requires human approval.")),
    ],
)
def test_index_page_rule_of_each_category(category: str, rules: Any) -> None:
    made = index_page(Category(category), "Accepted OAuth Scopes")
    assert made is not None
    assert (made.hide, _loose(made.rules)) == (False, rules)


def test_index_page_says_nothing_about_execute() -> None:
    assert index_page(Category.EXECUTE, "t") is None


@pytest.mark.parametrize("name", ["t", "T" * 123, "T" * 124, "é" * 5000, "İ" * 70])
def test_recommended_rules_of_any_name_make_a_valid_policy(name: str) -> None:
    tools: dict[str, Json] = {}
    hidden: list[Json] = []
    for category in Category:
        tool = f"{name}{category}"
        made = recommended(category, tool)
        if made.hide:
            hidden.append(tool)
        else:
            tools[tool] = dict(made.rules)
    document = canonical.text({"version": "1", "default": "deny", "hide": hidden, "tools": tools})
    assert list(parse(document.encode()).tools) == list(tools)


def test_recommended_counter_of_a_long_name_is_its_own() -> None:
    first, second = (recommended(Category.WRITE, "t" * 200 + end) for end in "ab")
    assert first != second
    assert recommended(Category.READ, "t" * 200) == Recommended()
