"""What every implementation of the port `Counters` must do. `SUITE` holds the checks; each is given a fresh store."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal

from sidecar.core.limits import Claim, subtract
from sidecar.errors import StoreError
from sidecar.ports import Counters, Refused, Reservation

WINDOW = 1_800_000_000
INSIDE = datetime.fromtimestamp(WINDOW + 59.999, UTC)
ENDED = datetime.fromtimestamp(WINDOW + 60, UTC)

Check = Callable[[Counters], Awaitable[None]]
SUITE: list[Check] = []


def check(one: Check) -> Check:
    SUITE.append(one)
    return one


def claim(key: str = "k", amount: str = "1", most: str = "10", start: int = WINDOW) -> Claim:
    return Claim(key, start, start + 60, Decimal(amount), Decimal(most))


async def room(counters: Counters, key: str, most: str, start: int = WINDOW) -> bool:
    """True if nothing stands between the counter's value and `most`: an amount of 0 fits only then."""
    return isinstance(await counters.reserve([claim(key, "0", most, start)]), Reservation)


async def stands_at(counters: Counters, value: str, key: str = "k", start: int = WINDOW) -> bool:
    """True if the counter is at exactly `value`."""
    below = str(subtract(Decimal(value), Decimal("1e-60")))
    return await room(counters, key, value, start) and not await room(counters, key, below, start)


@check
async def reserve_no_claims_holds_nothing(counters: Counters) -> None:
    assert await counters.reserve([]) == Reservation(())


@check
async def reserve_up_to_max_then_refused(counters: Counters) -> None:
    answers = [await counters.reserve([claim(most="3")]) for _ in range(5)]
    assert [isinstance(answer, Reservation) for answer in answers] == [True, True, True, False, False]
    assert answers[0] == Reservation((("k", WINDOW, WINDOW + 60, "1"),))
    assert answers[3] == Refused(0)
    assert await stands_at(counters, "3")


@check
async def reserve_max_zero_refused(counters: Counters) -> None:
    assert await counters.reserve([claim(most="0")]) == Refused(0)


@check
async def reserve_second_claim_refused_takes_nothing(counters: Counters) -> None:
    await counters.reserve([claim("full", "5", "5")])
    assert await counters.reserve([claim("a"), claim("full", "1", "5"), claim("b", "9", "1")]) == Refused(1)
    assert await stands_at(counters, "0", "a")
    assert await stands_at(counters, "5", "full")


@check
async def reserve_same_counter_twice_added_once(counters: Counters) -> None:
    answer = await counters.reserve([claim(amount="2", most="10"), claim(amount="2", most="20")])
    assert answer == Reservation((("k", WINDOW, WINDOW + 60, "2"),))
    assert await stands_at(counters, "2")


@check
async def reserve_same_counter_twice_each_max_tested(counters: Counters) -> None:
    assert await counters.reserve([claim(amount="2", most="10"), claim(amount="2", most="1")]) == Refused(1)
    assert await stands_at(counters, "0")


@check
async def reserve_other_window_counts_anew(counters: Counters) -> None:
    await counters.reserve([claim(most="1")])
    assert isinstance(await counters.reserve([claim(most="1", start=WINDOW + 60)]), Reservation)
    assert await counters.reserve([claim(most="1")]) == Refused(0)


@check
async def reserve_decimals_kept_exact(counters: Counters) -> None:
    for _ in range(3):
        await counters.reserve([claim(amount="0.1", most="0.3")])
    assert await stands_at(counters, "0.3")
    assert await counters.reserve([claim(amount="1e-50", most="0.3")]) == Refused(0)


@check
async def reserve_large_integers_kept_exact(counters: Counters) -> None:
    await counters.reserve([claim(amount="9007199254740992", most="1e400")])
    await counters.reserve([claim(amount="1", most="1e400")])
    assert await stands_at(counters, "9007199254740993")


@check
async def reserve_thousand_at_once_exactly_max(counters: Counters) -> None:
    answers = await asyncio.gather(*(counters.reserve([claim(most="100")]) for _ in range(1000)))
    assert sum(isinstance(answer, Reservation) for answer in answers) == 100
    assert await stands_at(counters, "100")


@check
async def rollback_in_window_given_back(counters: Counters) -> None:
    held = await counters.reserve([claim("a", "2"), claim("b", "0.5")])
    assert isinstance(held, Reservation)
    await counters.rollback(held, INSIDE)
    assert await stands_at(counters, "0", "a")
    assert await stands_at(counters, "0", "b")


@check
async def rollback_after_window_changes_nothing(counters: Counters) -> None:
    held = await counters.reserve([claim()])
    assert isinstance(held, Reservation)
    await counters.rollback(held, ENDED)
    assert await stands_at(counters, "1")


@check
async def rollback_leaves_other_windows(counters: Counters) -> None:
    held = await counters.reserve([claim()])
    await counters.reserve([claim(start=WINDOW + 60)])
    assert isinstance(held, Reservation)
    await counters.rollback(held, INSIDE)
    assert await stands_at(counters, "1", start=WINDOW + 60)


@check
async def rollback_twice_never_below_zero(counters: Counters) -> None:
    held = await counters.reserve([claim(amount="2")])
    assert isinstance(held, Reservation)
    await counters.rollback(held, INSIDE)
    await counters.rollback(held, INSIDE)
    assert await stands_at(counters, "0")


@check
async def rollback_of_nothing_changes_nothing(counters: Counters) -> None:
    await counters.rollback(Reservation(()), INSIDE)
    await counters.rollback(Reservation((("never", WINDOW, WINDOW + 60, "1"),)), INSIDE)
    assert await stands_at(counters, "0", "never")


@check
async def reserve_uncountable_sum_denied_others_counted(counters: Counters) -> None:
    wide = Claim("wide", WINDOW, WINDOW + 60, Decimal("1e3000"), Decimal("1e9000"))
    tiny = Claim("wide", WINDOW, WINDOW + 60, Decimal("1e-3000"), Decimal("1e9000"))
    await counters.reserve([wide])
    answers = await asyncio.gather(
        counters.reserve([claim("a")]), counters.reserve([claim("b"), tiny]), counters.reserve([claim("c")]),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(answer) for answer in answers] == [Reservation, StoreError, Reservation]
    assert await stands_at(counters, "0", "b")
    assert await counters.reserve([wide]) == Reservation((("wide", WINDOW, WINDOW + 60, "1E+3000"),))


@check
async def reserve_differing_amounts_larger_added(counters: Counters) -> None:
    await counters.reserve([claim(amount="1"), claim(amount="3"), claim(amount="2")])
    assert await stands_at(counters, "3")
