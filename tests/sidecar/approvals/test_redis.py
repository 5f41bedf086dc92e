"""Approvals in Redis: the contract on a real one, what an operator sees, and answers that get lost."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from sidecar.approvals.redis import RedisApprovals
from sidecar.approvals.sqlite import SqliteApprovals
from sidecar.database import open_database
from sidecar.errors import StoreError
from sidecar.redis import Place, Redis
from tests.contract.approvals import NOW, SUITE, Check, after, request
from tests.redisserver import LossyLine, RedisServer


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    opened = Redis(Place(redis_server.url, timeout_s=20))
    yield opened
    await opened.close()


@pytest.fixture
def approvals(redis: Redis) -> RedisApprovals:
    return RedisApprovals(redis, f"{uuid4()}:")


@pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
async def test_approvals_contract_kept(check: Check, approvals: RedisApprovals) -> None:
    await check(approvals)


async def test_operator_sees_what_a_state_folder_would_show(approvals: RedisApprovals, tmp_path: Path) -> None:
    database = open_database(tmp_path, "state")
    both = (approvals, SqliteApprovals(database))
    ids: list[dict[str, int]] = []
    for store in both:
        opened = [await store.open(request(f"f{n}", ttl_s=10 if n == 0 else 300), after(n % 2)) for n in range(5)]
        store.approve(opened[1], "ann", after(5))
        store.refuse(opened[2], "bob", after(5), "Nein: naïve.")
        store.approve(opened[3], "ann", after(5))
        assert await store.take(opened[3], after(6))
        ids.append({one: number for number, one in enumerate(opened)})

    def shown(store: RedisApprovals | SqliteApprovals, number: dict[str, int], pending_only: bool) -> list[str]:
        listed = store.list(after(60), pending_only=pending_only)
        return [repr(one).replace(one.id, str(number[one.id])) for one in listed]

    for pending_only in (True, False):
        seen = [shown(store, number, pending_only) for store, number in zip(both, ids, strict=True)]
        assert seen[0] == seen[1]
        assert len(seen[0]) == (1 if pending_only else 5)
    await database.close()


async def test_open_past_the_bound_store_error_nothing_lost(redis: Redis) -> None:
    approvals = RedisApprovals(redis, f"{uuid4()}:", max_pending=3)
    opened = [await approvals.open(request(f"f{n}"), NOW) for n in range(3)]
    with pytest.raises(StoreError, match="3 calls of this grant wait") as caught:
        await approvals.open(request("f3"), NOW)
    assert "approvals list" in caught.value.hint
    assert await approvals.open(request("f1"), NOW) == opened[1]
    assert await approvals.open(request("other", grant="g2"), NOW)
    approvals.refuse(opened[0], "ann", NOW)
    assert await approvals.open(request("f3"), NOW)
    assert await approvals.open(request("f4"), after(300))


async def test_every_verb_whose_answer_is_lost_counts_once(
    redis_server: RedisServer, redis: Redis, tmp_path: Path
) -> None:
    prefix = f"{uuid4()}:"
    async with LossyLine(redis_server, tmp_path / "l.sock") as line:
        lossy = Redis(Place(line.url, timeout_s=20))
        approvals, other = RedisApprovals(lossy, prefix), RedisApprovals(redis, prefix)
        line.losses = 1
        opened = await approvals.open(request(), NOW)
        assert [one.id for one in other.list(NOW)] == [opened]
        assert other.approve(opened, "ann", NOW) == "done"
        line.losses = 1
        assert await approvals.take(opened, NOW)
        assert not await other.take(opened, NOW)
        line.losses = 1
        await approvals.give_back(opened)
        assert await other.take(opened, NOW)
        assert line.losses == 0
        await lossy.close()


async def test_lapsed_call_leaves_redis_by_itself(redis_server: RedisServer, redis: Redis) -> None:
    prefix = f"{uuid4()}:"
    approvals = RedisApprovals(redis, prefix)
    approvals.approve(await approvals.open(request(), NOW), "ann", after(9))
    keys = [key for key in redis_server.say("KEYS", f"{prefix}*").split() if key.startswith(prefix)]
    lasting = [key for key in keys if redis_server.say("PTTL", key) == ":-1\r\n"]
    assert sorted(lasting) == [f"{prefix}approvals", f"{prefix}approvals:number"]
    await approvals.open(request("f2"), after(3 * 86400))
    assert redis_server.say("ZCARD", f"{prefix}approvals") == ":1\r\n"
