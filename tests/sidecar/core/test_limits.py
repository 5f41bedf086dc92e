from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, Inexact
from typing import Any

import pytest

from sidecar.core.decision import Limit
from sidecar.core.limits import Claim, add, claims, retry_at, subtract, window_s

NOW = datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)


def limit(**changes: Any) -> Limit:
    fields: dict[str, Any] = {
        "rule": "/r",
        "message": "m",
        "counter": "c",
        "window": "day",
        "max": Decimal(10),
        "scope": "grant",
        "amounts": [Decimal(1)],
    }
    return Limit(**{**fields, **changes})


def key(session: str | None = None, grant: str = "g", server: str = "s", **changes: Any) -> str:
    return claims([limit(**changes)], server, grant, session, NOW)[0].key


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("minute", "2026-02-28T23:59:00", "2026-03-01T00:00:00"),
        ("hour", "2026-02-28T23:00:00", "2026-03-01T00:00:00"),
        ("day", "2026-02-28T00:00:00", "2026-03-01T00:00:00"),
        (60, "2026-02-28T23:59:00", "2026-03-01T00:00:00"),
        (1, "2026-02-28T23:59:59", "2026-03-01T00:00:00"),
        (7, "2026-02-28T23:59:56", "2026-03-01T00:00:03"),
    ],
)
def test_claims_window_is_aligned_to_the_epoch(window: Any, start: str, end: str) -> None:
    (claim,) = claims([limit(window=window)], "s", "g", None, NOW)
    bounds = [int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) for text in (start, end)]
    assert [claim.window_start, claim.window_end] == bounds
    assert claim.window_end - claim.window_start == window_s(window)
    assert claim.window_start % window_s(window) == 0


def test_claims_window_start_is_inclusive_and_its_end_exclusive() -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    (before,) = claims([limit()], "s", "g", None, midnight - timedelta(microseconds=1))
    (after,) = claims([limit()], "s", "g", None, midnight)
    assert before.window_end == after.window_start == int(midnight.timestamp())


def test_claims_last_microsecond_of_a_window_is_inside_however_far_the_year() -> None:
    (claim,) = claims([limit(window="minute")], "s", "g", None, datetime(9000, 1, 1, 0, 0, 59, 999_999, UTC))
    assert claim.window_start == datetime(9000, 1, 1, tzinfo=UTC).timestamp()


def test_claims_instant_of_another_zone_is_the_same_window() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=9)))
    assert claims([limit()], "s", "g", None, local) == claims([limit()], "s", "g", None, NOW)


def test_claims_amounts_are_summed_exactly() -> None:
    parts = [Decimal("0.1"), Decimal("0.1"), Decimal("0.1"), Decimal("0e-900"), Decimal("123456789012345678")]
    (claim,) = claims([limit(amounts=parts)], "s", "g", None, NOW)
    assert str(claim.amount) == "123456789012345678.3"


def test_claims_of_the_widest_amounts_stay_exact() -> None:
    wide = [Decimal("9" * 100 + "e900"), Decimal("1" * 100 + "e-1000")]
    (claim,) = claims([limit(amounts=wide)], "s", "g", None, NOW)
    assert subtract(claim.amount, wide[0]) == wide[1]


def test_claims_keep_the_order_and_the_maximum() -> None:
    made = claims([limit(counter="b", max=Decimal("0.5")), limit(counter="a")], "s", "g", None, NOW)
    assert [(claim.key.split("/")[2], claim.max) for claim in made] == [("b", Decimal("0.5")), ("a", Decimal(10))]
    assert claims([], "s", "g", None, NOW) == []


def test_claims_key_names_who_shares_the_counter() -> None:
    assert key(scope="server", grant="g1", session="x") == key(scope="server", grant="g2", session="y")
    assert key(scope="grant", session="x") == key(scope="grant", session="y")
    assert key(scope="grant", grant="g1") != key(scope="grant", grant="g2")
    assert key(scope="session", session="x") != key(scope="session", session="y")
    assert key(scope="session", session="x", grant="g1") != key(scope="session", session="x", grant="g2")
    assert key(scope="session", grant="g1") == key(scope="session", grant="g1")
    assert key(server="s1") != key(server="s2")
    assert key(counter="a") != key(counter="b")


def test_claims_key_is_the_same_for_equal_window_lengths() -> None:
    assert key(window="minute") == key(window=60)
    assert key(window="hour") == key(window=3600)
    assert key(window="day") == key(window=86400) != key(window=86399)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"counter": "a/b"}, {"counter": "a", "grant": "b"}),
        ({"counter": "a~1b"}, {"counter": "a/b"}),
        ({"scope": "session", "grant": "g/x"}, {"scope": "session", "grant": "g", "session": "x"}),
        ({"scope": "session", "session": ""}, {"scope": "session", "session": None}),
        ({"scope": "grant"}, {"scope": "session"}),
        ({"server": "s/grant"}, {"server": "s"}),
    ],
)
def test_claims_key_of_different_counters_never_meets(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert key(**one) != key(**other)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("10", "2026-03-01T00:00:00Z"), ("0", "2026-03-01T00:00:00Z"), ("10.000000000000000001", None), ("11", None)],
)
def test_retry_at_is_the_window_end_unless_waiting_is_vain(amount: str, expected: str | None) -> None:
    (claim,) = claims([limit(amounts=[Decimal(amount)])], "s", "g", None, NOW)
    assert retry_at(claim) == expected


def test_add_and_subtract_never_round() -> None:
    assert str(subtract(add(Decimal("0.1"), Decimal("0.2")), Decimal("0.3"))) == "0.0"
    for operation in (add, subtract):
        with pytest.raises(Inexact):
            operation(Decimal("1e5000"), Decimal(1))


def test_claim_is_a_value() -> None:
    assert Claim("k", 0, 60, Decimal(1), Decimal("1.0")) == Claim("k", 0, 60, Decimal("1.0"), Decimal(1))
