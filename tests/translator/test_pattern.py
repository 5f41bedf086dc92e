"""Source: policy-semantics, sections 5 and 15.10; Go's regexp/syntax."""

import json
import subprocess
from pathlib import Path

import pytest

from translator import pattern
from translator.pattern import MAX_CHARS, Patterns

GOOD = [
    "",
    "^[A-Z]{3}$",
    r"\d+\w\s\S",
    r"(?i)drop\s+table",
    r"(?P<year>\d{4})-(?<month>\d\d)",
    "(?s:.)(?m)^a$",
    "a{1000}",
    "(a{100}){10}",
    "a{,5}",
    "[[:alpha:][:^digit:]]",
    r"[]a](x)",
    r"[^]-a](x)",
    r"[!-[:alpha:](x)",
    r"[\d-[:alpha:](x)]",
    r"[\]({1001}]",
    r"\Q(?P<é>\C{1001}(",
    r"\Qa\E(b)",
    r"\\C",
    r"\{1001}",
    r"\pL\p{Lu}\P{^Greek}\p{Any}[\pN]",
    r"\x{10FFFF}\x41\101",
    r"\z\A\b\B",
    "é+|😀",
    "|".join(f"SYMBOL{n}" for n in range(900)),
    "(" * 50 + "a" + ")*" * 50,
    "a\x00b",
]
BAD = [
    "(?=x)",
    "(?<!x)",
    r"(a)\1",
    "(",
    "a)",
    "[a",
    "*",
    "a**",
    "a{1001}",
    "(a{100}){11}",
    "x{99999999999}",
    "x{1,99999999999}",
    "{99999999999}",
    r"\C",
    r"[a]\C",
    r"[^]]\C",
    r"\Q\E\C",
    r"\\\C",
    "(?P<n>a)(?P<n>b)",
    "(?P<é>a)",
    "(?<日>a)",
    r"\p{Old_Italic}",
    r"[\p{Old_Italic}]",
    r"[a\P{^SignWriting}]",
    r"\p{greek}",
    r"\p{Nonsense}",
    "(" * 500 + "a" + ")*" * 500,
    "(?:a(b|c" * 248 + ")*)*" * 248,
    "|".join("a" * n for n in range(600)),
    r"\pL{1000}",
    "\\",
    r"\Z",
]


def _label(text: str) -> str:
    return text[:20]


@pytest.mark.parametrize("text", GOOD, ids=_label)
def test_pattern_that_both_engines_take_is_good(text: str) -> None:
    assert Patterns().fault(text) == ""


@pytest.mark.parametrize("text", BAD, ids=_label)
def test_pattern_that_one_engine_refuses_is_refused(text: str) -> None:
    fault = Patterns().fault(text)
    assert fault
    assert not fault.startswith("b'")


def test_pattern_that_is_good_compiles_in_opa(opa_path: Path) -> None:
    query = "[regex.is_valid(pattern) | some pattern in input]"
    command = [str(opa_path), "eval", "--stdin-input", "--format=raw", query]
    answer = subprocess.run(command, input=json.dumps(GOOD).encode(), capture_output=True, check=True, timeout=60)
    assert json.loads(answer.stdout) == [True] * len(GOOD)


def test_pattern_beyond_the_longest_is_refused() -> None:
    assert Patterns().fault("a" * MAX_CHARS) == ""
    assert Patterns().fault("a" * (MAX_CHARS + 1)) != ""


def test_patterns_share_a_budget_that_a_repeated_one_spends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern, "MAX_INSTRUCTIONS", 2500)
    patterns = Patterns()
    assert [patterns.fault("a{1000}") for _ in range(5)] == [""] * 5
    assert [patterns.fault(text) for text in ("b{1000}", "c{1000}")] == ["", ""]
    assert patterns.fault("d") == "the patterns of this policy are too large together"
    assert patterns.fault("a{1000}") == ""


def test_patterns_charge_one_that_is_too_large_as_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern, "MAX_INSTRUCTIONS", 1000)
    patterns = Patterns()
    assert "too large" in patterns.fault(r"\pL{1000}")
    assert patterns.fault("a") == "the patterns of this policy are too large together"
