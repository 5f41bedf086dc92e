"""Used states in Redis: the contract on a real one, and answers that get lost."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from sidecar.redis import Place, Redis
from sidecar.states.redis import SLACK_MS, RedisStates
from tests.contract.states import EXPIRES_MS, NOW, SUITE, Check
from tests.redisserver import LossyLine, RedisServer


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    opened = Redis(Place(redis_server.url, timeout_s=20))
    yield opened
    await opened.close()


@pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
async def test_states_contract_kept(check: Check, redis: Redis) -> None:
    await check(RedisStates(redis, f"{uuid4()}:"))


async def test_used_state_is_forgotten_by_itself_but_not_before_clocks_agree(
    redis_server: RedisServer, redis: Redis
) -> None:
    prefix = f"{uuid4()}:"
    assert await RedisStates(redis, prefix).use(b"one", EXPIRES_MS, NOW)
    left_ms = int(redis_server.say("PTTL", f"{prefix}state:{b'one'.hex()}")[1:])
    assert left_ms > SLACK_MS - 60_000


async def test_use_whose_answer_is_lost_is_used_by_that_caller_only(
    redis_server: RedisServer, redis: Redis, tmp_path: Path
) -> None:
    prefix = f"{uuid4()}:"
    async with LossyLine(redis_server, tmp_path / "l.sock") as line:
        lossy = Redis(Place(line.url, timeout_s=20))
        states = RedisStates(lossy, prefix)
        line.losses = 1
        assert await states.use(b"one", EXPIRES_MS, NOW)
        assert not await RedisStates(redis, prefix).use(b"one", EXPIRES_MS, NOW)
        line.losses = 1
        await states.give_back(b"one")
        assert await RedisStates(redis, prefix).use(b"one", EXPIRES_MS, NOW)
        await lossy.close()
