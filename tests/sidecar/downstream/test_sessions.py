"""Source: mcp-gateway.md G21."""

import re

import pytest

from sidecar.downstream.sessions import Sessions

SESSIONS = Sessions(b"key")


@pytest.mark.parametrize("upstream_id", ["abc", "a.b.c", ".", "", "~!#$", "x" * 5000, "\xff"])
def test_unwrap_gives_back_what_was_wrapped(upstream_id: str) -> None:
    assert SESSIONS.unwrap(SESSIONS.wrap(upstream_id, "g"), "g") == upstream_id


def test_wrap_of_visible_ascii_is_visible_ascii() -> None:
    assert re.fullmatch(r"[\x21-\x7e]+", SESSIONS.wrap("!~abc", "g\u00e9"))


def test_unwrap_outlives_a_restart_with_the_same_key() -> None:
    assert Sessions(b"key").unwrap(SESSIONS.wrap("abc", "g"), "g") == "abc"


@pytest.mark.parametrize("grant", ["h", "", "g ", "G", "gg"])
def test_unwrap_by_another_grant_gives_nothing(grant: str) -> None:
    assert SESSIONS.unwrap(SESSIONS.wrap("abc", "g"), grant) is None


@pytest.mark.parametrize(
    "client_id",
    ["", "abc", ".", ".abc", "abc.", "x" * 32 + ".abc", "\xff.abc", "\u20ac.abc", SESSIONS.wrap("abc", "g")[:-1]],
)
def test_unwrap_id_that_was_never_given_gives_nothing(client_id: str) -> None:
    assert SESSIONS.unwrap(client_id, "g") is None


def test_unwrap_under_another_key_gives_nothing() -> None:
    assert Sessions(b"other").unwrap(SESSIONS.wrap("abc", "g"), "g") is None


def test_wrap_lengths_are_told_apart() -> None:
    mac, _, _ = SESSIONS.wrap("b:c", "a").partition(".")
    assert SESSIONS.unwrap(f"{mac}.c", "a:b") is None
