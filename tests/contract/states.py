"""What every implementation of the port `States` must do. `SUITE` holds the checks; each is given a fresh store."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from sidecar.ports import States

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
EXPIRES_MS = int(NOW.timestamp() * 1000) + 1000

Check = Callable[[States], Awaitable[None]]
SUITE: list[Check] = []


def check(one: Check) -> Check:
    SUITE.append(one)
    return one


@check
async def use_is_for_one_caller(states: States) -> None:
    results = await asyncio.gather(*(states.use(b"one", EXPIRES_MS, NOW) for _ in range(10)))
    assert sorted(results) == [False] * 9 + [True]
    assert await states.use(b"two", EXPIRES_MS, NOW)


@check
async def use_given_back_is_for_one_caller_more(states: States) -> None:
    assert await states.use(b"one", EXPIRES_MS, NOW)
    await states.give_back(b"one")
    assert await states.use(b"one", EXPIRES_MS, NOW)
    assert not await states.use(b"one", EXPIRES_MS, NOW)


@check
async def use_is_remembered_until_the_state_expires(states: States) -> None:
    assert await states.use(b"one", EXPIRES_MS, NOW)
    assert not await states.use(b"one", EXPIRES_MS, NOW + timedelta(milliseconds=1000))


@check
async def give_back_of_what_was_not_used_does_nothing(states: States) -> None:
    await states.give_back(b"one")
    assert await states.use(b"one", EXPIRES_MS, NOW)
