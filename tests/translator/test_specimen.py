import pytest
import re2

from translator.specimen import MAX_CHARS, specimens

READ = [
    "x",
    "^$",
    "^[A-Z]{3}$",
    r"^feat/[a-z]+\.(go|py)$",
    r"^(?i)(drop|delete)\s+table",
    r"(?:a|b){2,4}c{1,}d*e?$",
    r"[^\d]x{2,}",
    '["\\\\]\\s',
    "[]a]",
    r"^(?P<year>\d{4})-(?<month>\d\d)$",
    r"\bword\b",
    "(?s:.)y",
    "[[:alpha:]]",
    "^a+?b*?$",
    "|x",
    "(" * 40 + "a" + ")" * 40,
    "^" + "(0|1)" * 60 + "$",
]
UNREAD = [
    r"\p{Greek}",
    r"\x41",
    r"a{,5}",
    "(" * 60 + "a" + ")" * 60,
    r"[\x{100}]",
    "x" * (MAX_CHARS + 1),
]


@pytest.mark.parametrize("pattern", READ)
def test_specimens_of_a_common_pattern_stand_on_both_sides(pattern: str) -> None:
    found = specimens(pattern)
    assert found.inside
    assert all(re2.search(pattern, text) for text in found.inside)
    assert not any(re2.search(pattern, text) for text in found.outside)
    assert found.outside or pattern == "|x"


@pytest.mark.parametrize("pattern", UNREAD)
def test_pattern_beyond_the_common_syntax_has_no_specimen_inside(pattern: str) -> None:
    assert not specimens(pattern).inside


def test_repetitions_are_met_at_their_bounds_and_one_beyond() -> None:
    found = specimens("^a{2,4}$")
    assert {"aa", "aaaa"} <= set(found.inside)
    assert {"a", "aaaaa"} <= set(found.outside)


def test_classes_give_their_own_characters_first() -> None:
    assert specimens("^[xyz]$").inside == ("x", "y", "z")


def test_newline_at_the_end_is_outside_where_the_end_is_asked_for() -> None:
    assert "a\n" in specimens("^a$").outside


def test_text_too_long_without_bound_has_no_specimen() -> None:
    assert specimens("x{900}" * 3).inside == ()
