"""Counters in Redis: the contract on a real one, exactness of the script's decimals, and answers that get lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.limits import Claim, add, subtract
from sidecar.counters import redis as module
from sidecar.counters.redis import RedisCounters
from sidecar.errors import StoreError, StoreSilent
from sidecar.ports import Refused, Reservation
from sidecar.redis import Place, Redis, Script
from tests.contract.counters import ENDED, INSIDE, SUITE, WINDOW, Check, claim, stands_at
from tests.fakes import FakeCounters
from tests.redisserver import LossyLine, RedisServer

SLOW_S = 20


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    opened = Redis(Place(redis_server.url, timeout_s=SLOW_S))
    yield opened
    await opened.close()


@pytest.fixture
async def counters(redis: Redis) -> AsyncIterator[RedisCounters]:
    made = RedisCounters(redis, f"{uuid4()}:")
    yield made
    await made.close()


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Returns once it holds. Each question is one to Redis, which is what is waited for."""
    deadline = asyncio.get_running_loop().time() + 60
    while not await holds():
        assert asyncio.get_running_loop().time() < deadline


async def under_way(counters: RedisCounters) -> None:
    """Returns when nobody waits for the next round any more."""
    for _ in range(1000):
        if not counters._waiting and counters._serving is not None:
            return
        await asyncio.sleep(0)
    raise AssertionError("the round does not begin")


@pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
async def test_counters_contract_kept(check: Check, counters: RedisCounters) -> None:
    await check(counters)


_NUMBER = st.tuples(st.integers(0, 10**40) | st.integers(2**53 - 3, 2**53 + 3), st.integers(-60, 60)).map(
    lambda parts: Decimal(parts[0]).scaleb(parts[1])
)
_SUMS = Script(
    (Path(module.__file__).parent / "decimal.lua").read_text(),
    """local out = {}
    for at = 1, #ARGV, 2 do
      local left, right = parse(ARGV[at]), parse(ARGV[at + 1])
      local larger, smaller = left, right
      if exceeds(right, left) then larger, smaller = right, left end
      out[#out + 1] = text(combined(left, right, 1))
      out[#out + 1] = text(combined(larger, smaller, -1))
      out[#out + 1] = exceeds(left, right) and 1 or 0
    end
    return out""",
)


@settings(max_examples=25, deadline=None)
@given(pairs=st.lists(st.tuples(_NUMBER, _NUMBER), min_size=1, max_size=60))
def test_decimals_of_the_script_are_those_of_decimal(redis_server: RedisServer, pairs: list[tuple[Decimal, Decimal]]):
    said = asyncio.run(_summed(redis_server, [module._text(number) for pair in pairs for number in pair]))
    for (left, right), at in zip(pairs, range(0, len(said), 3), strict=True):
        total, difference, exceeds = said[at : at + 3]
        assert Decimal(total.decode()) == add(left, right)
        assert Decimal(difference.decode()) == subtract(left, right).copy_abs()
        assert exceeds == (left > right)


async def _summed(server: RedisServer, numbers: list[str]) -> list[bytes]:
    redis = Redis(Place(server.url, timeout_s=SLOW_S))
    try:
        return await redis.run(_SUMS, [], numbers)
    finally:
        await redis.close()


@pytest.mark.parametrize(
    ("held", "amount"),
    [
        ("1e1000", "1e-3096"),
        ("9" * 4096, "1"),
        ("1e1000", "1e-3095"),
        ("1e3000", "1e-3000"),
        ("5e-4000", "5e-4000"),
        ("9" * 4096, "2"),
        ("1" * 4097, "0"),
        ("1" * 4097 + "e-4097", "1"),
        ("0e-9000", "0.10"),
    ],
)
async def test_reserve_sum_is_exact_or_an_error_as_by_decimal(counters: RedisCounters, held: str, amount: str) -> None:
    claims = [[Claim("k", WINDOW, WINDOW + 60, Decimal(number), Decimal("1e9000"))] for number in (held, amount)]
    try:
        expected: Decimal | None = add(add(Decimal(0), claims[0][0].amount), claims[1][0].amount)
    except ArithmeticError:
        expected = None
    got = [await asyncio.gather(counters.reserve(asked), return_exceptions=True) for asked in claims]
    if expected is None:
        assert StoreError in [type(answer) for (answer,) in got]
    else:
        assert [type(answer) for (answer,) in got] == [Reservation, Reservation]
        assert isinstance(await counters.reserve([claim(amount="0", most=str(expected))]), Reservation)
        below = subtract(expected, Decimal((0, (1,), expected.as_tuple().exponent)))
        assert await counters.reserve([claim(amount="0", most=str(below))]) == Refused(0)


@pytest.mark.parametrize("amount", ["-1", "1e100001", "1e-100001"])
async def test_reserve_amount_that_cannot_be_counted_an_error(counters: RedisCounters, amount: str) -> None:
    with pytest.raises(StoreError, match="exactly"):
        await counters.reserve([claim(amount=amount, most="1e200000")])


@pytest.mark.parametrize("command", [("SET", "{}", "damaged"), ("SET", "{}", "NaN"), ("RPUSH", "{}", "1e0")])
async def test_reserve_what_is_no_counter_store_error_others_counted(
    command: tuple[str, ...], redis_server: RedisServer, redis: Redis
) -> None:
    prefix = f"{uuid4()}:"
    counters = RedisCounters(redis, prefix)
    redis_server.say(*(word.format(f"{prefix}counter:{WINDOW}:k") for word in command))
    answers = await asyncio.gather(counters.reserve([claim()]), counters.reserve([claim("b")]), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreError, Reservation]
    await counters.rollback(Reservation((("k", WINDOW, WINDOW + 60, "1"),)), INSIDE)
    assert redis_server.say("TYPE", f"{prefix}counter:{WINDOW}:k") in ("+string\r\n", "+list\r\n")


async def test_reserve_leaves_a_life_to_each_key_past_its_window(redis_server: RedisServer, redis: Redis) -> None:
    prefix, year_s = f"{uuid4()}:", 365 * 86400
    counters = RedisCounters(redis, prefix)
    now_s = int(redis_server.say("TIME").split("\r\n")[2])
    for start in (now_s, now_s - year_s):
        held = await counters.reserve([claim(start=start)])
        assert isinstance(held, Reservation)
        await counters.rollback(held, INSIDE)
        ttl_ms = int(redis_server.say("PTTL", f"{prefix}counter:{start}:k")[1:])
        ended_s = max(start + 60, now_s)
        assert (ended_s - now_s + module.SLACK_S - 120) * 1000 < ttl_ms <= (ended_s - now_s + module.SLACK_S + 1) * 1000
    rounds = redis_server.say("KEYS", f"{prefix}round:*")
    assert all(
        0 < int(redis_server.say("PTTL", key)[1:]) <= module.UNDO_S * 1000 for key in rounds.split() if prefix in key
    )


async def test_reserve_two_gateways_share_every_count(redis_server: RedisServer) -> None:
    prefix = f"{uuid4()}:"
    both = [Redis(Place(redis_server.url, timeout_s=SLOW_S)) for _ in range(2)]
    stores = [RedisCounters(redis, prefix) for redis in both]
    answers = await asyncio.gather(*(stores[n % 2].reserve([claim(most="30")]) for n in range(300)))
    assert sum(isinstance(answer, Reservation) for answer in answers) == 30
    assert await stands_at(stores[0], "30")
    for redis in both:
        await redis.close()


async def test_reserve_script_forgotten_by_redis_goes_on(redis_server: RedisServer, counters: RedisCounters) -> None:
    await counters.reserve([claim()])
    redis_server.say("SCRIPT", "FLUSH")
    await counters.reserve([claim()])
    assert await stands_at(counters, "2")


@pytest.fixture
async def line(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[LossyLine]:
    async with LossyLine(redis_server, tmp_path / "l.sock") as opened:
        yield opened


async def test_reserve_answer_lost_once_asked_again_and_counted_once(line: LossyLine, redis: Redis) -> None:
    prefix, lossy = f"{uuid4()}:", Redis(Place(line.url, timeout_s=SLOW_S))
    counters = RedisCounters(lossy, prefix)
    line.losses = 1
    assert isinstance(await counters.reserve([claim()]), Reservation)
    assert line.losses == 0
    assert await stands_at(RedisCounters(redis, prefix), "1")
    await lossy.close()


async def test_reserve_answer_lost_for_good_denied_and_undone(line: LossyLine, redis: Redis) -> None:
    prefix, lossy = f"{uuid4()}:", Redis(Place(line.url, timeout_s=SLOW_S))
    counters, seen = RedisCounters(lossy, prefix), RedisCounters(redis, prefix)
    held = await counters.reserve([claim(amount="2")])
    line.losses = 4
    with pytest.raises(StoreSilent, match="reached"):
        await counters.reserve([claim(amount="3")])

    async def undone() -> bool:
        return await stands_at(seen, "2") and line.losses == 0 and counters._undoing is None

    await eventually(undone)
    assert isinstance(held, Reservation)
    line.losses = 1
    await counters.rollback(held, INSIDE)
    assert await stands_at(seen, "0"), "a rollback whose answer is lost is not done twice"
    await counters.close()
    await lossy.close()


async def test_round_that_arrives_after_its_undoing_takes_nothing(counters: RedisCounters, redis: Redis) -> None:
    asked = module._Asked([claim()], module._taken([claim()]), asyncio.get_running_loop().create_future())
    undo = module._Undo("late", "round", [("k", WINDOW, "1", 1)], 0)
    await counters._give_back(undo)
    keys: dict[tuple[str, int], int] = {}
    arguments: list[str | int] = [1000, 1000, 1]
    module._encode(asked, keys, arguments)
    names = [f"{counters._prefix}round:late", *(counters._name(*at) for at in keys)]
    with pytest.raises(StoreError, match="read"):
        module._read(await redis.run(module.TAKE, names, arguments), 1)
    assert await stands_at(counters, "0")


async def test_reserve_cancelled_before_it_is_sent_not_counted(counters: RedisCounters) -> None:
    tasks = [asyncio.ensure_future(counters.reserve([claim()])) for _ in range(3)]
    asyncio.get_running_loop().call_soon(tasks[1].cancel)
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    await eventually(lambda: stands_at(counters, "2"))


async def test_reserve_cancelled_while_redis_works_given_back(
    redis_server: RedisServer, counters: RedisCounters
) -> None:
    await counters.reserve([claim()])
    redis_server.hang()
    try:
        tasks = [asyncio.ensure_future(counters.reserve([claim()])) for _ in range(3)]
        await under_way(counters)
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
    finally:
        redis_server.go_on()
    assert [type(await tasks[n]) for n in (0, 2)] == [Reservation, Reservation]
    await eventually(lambda: stands_at(counters, "3"))


async def test_reserve_ended_with_the_gateway_nobody_waits_for_ever(
    redis_server: RedisServer, counters: RedisCounters
) -> None:
    redis_server.hang()
    try:
        tasks = [asyncio.ensure_future(counters.reserve([claim()])) for _ in range(3)]
        await under_way(counters)
        await counters.close()
        assert [type(one) for one in await asyncio.gather(*tasks, return_exceptions=True)] == [StoreError] * 3
    finally:
        redis_server.go_on()


async def test_rollback_of_many_at_once_none_forgotten(counters: RedisCounters) -> None:
    held = await asyncio.gather(*(counters.reserve([claim(most="300")]) for _ in range(300)))
    await asyncio.gather(*(counters.rollback(one, INSIDE) for one in held if isinstance(one, Reservation)))
    assert await stands_at(counters, "0")


_CLAIM = st.tuples(
    st.sampled_from("ab"),
    st.sampled_from(["0", "1", "2.50", "0.1", "9007199254740993.000000000000000000000000001"]),
    st.sampled_from(["0", "3", "5", "1e17"]),
    st.sampled_from([WINDOW, WINDOW + 60]),
)
_STEP = st.tuples(st.lists(_CLAIM, max_size=3), st.integers(0, 20), st.sampled_from([INSIDE, ENDED]))


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(_STEP, max_size=20), together=st.integers(1, 4))
def test_reserve_and_rollback_any_order_equal_model(redis_server: RedisServer, steps: list, together: int) -> None:
    asyncio.run(_follow(redis_server, steps, together))


async def _follow(server: RedisServer, steps: list, together: int) -> None:
    redis, model = Redis(Place(server.url, timeout_s=SLOW_S)), FakeCounters()
    counters = RedisCounters(redis, f"{uuid4()}:")
    held: list[Reservation] = []
    for asked, back, now in steps:
        if asked:
            claims = [claim(key, amount, most, start) for key, amount, most, start in asked]
            expected = [await model.reserve(claims) for _ in range(together)]
            assert await asyncio.gather(*(counters.reserve(claims) for _ in range(together))) == expected
            held += [answer for answer in expected if isinstance(answer, Reservation)]
        elif held:
            await model.rollback(held[back % len(held)], now)
            await counters.rollback(held[back % len(held)], now)
    for (key, start), value in model.values.items():
        assert await stands_at(counters, str(value), key, start)
    await redis.close()
