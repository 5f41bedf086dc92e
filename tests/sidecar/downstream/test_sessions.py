"""Source: mcp-gateway.md G21."""

import re

import pytest

from sidecar.downstream.sessions import Sessions

SESSIONS = Sessions(b"key")


@pytest.mark.parametrize("upstream_id", ["abc", "a.b.c", ".", "", "~!#$", "x" * 5000, "\xff"])
def test_unwrap_gives_back_what_was_wrapped(upstream_id: str) -> None:
    for elicits in (False, True):
        assert SESSIONS.unwrap(SESSIONS.wrap(upstream_id, "g", elicits=elicits), "g") == (upstream_id, elicits)


def test_wrap_of_visible_ascii_is_visible_ascii() -> None:
    assert re.fullmatch(r"[\x21-\x7e]+", SESSIONS.wrap("!~abc", "g\u00e9"))


def test_unwrap_outlives_a_restart_with_the_same_key() -> None:
    assert Sessions(b"key").unwrap(SESSIONS.wrap("abc", "g"), "g") == ("abc", False)


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


@pytest.mark.parametrize("session", [None, "", "s"])
@pytest.mark.parametrize("event", [b"1", b"a.b", b"", b"\xff"])
def test_event_is_given_back_to_the_session_it_was_wrapped_for(event: bytes, session: str | None) -> None:
    assert SESSIONS.unwrap_event(SESSIONS.wrap_event(event, "g", session), "g", session) == event


@pytest.mark.parametrize(("grant", "session"), [("h", "s"), ("g", "t"), ("g", None), ("g", ""), ("g:1", "s")])
def test_event_is_given_to_no_other_session(grant: str, session: str | None) -> None:
    assert SESSIONS.unwrap_event(SESSIONS.wrap_event(b"1", "g", "s"), grant, session) is None


def test_event_id_is_no_session_id_nor_the_other_way_round() -> None:
    assert SESSIONS.unwrap(SESSIONS.wrap_event(b"1", "g", None).decode(), "g") is None
    assert SESSIONS.unwrap_event(SESSIONS.wrap("1", "g").encode(), "g", None) is None


@pytest.mark.parametrize("given", [b"", b"1", b".1", b"x.1", b"\xff.1"])
def test_event_id_that_nobody_was_given_is_unwrapped_to_nothing(given: bytes) -> None:
    assert SESSIONS.unwrap_event(given, "g", "s") is None
