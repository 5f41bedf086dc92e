"""Which store is opened for which settings, and grants that one gateway keeps to itself."""

import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from sidecar import stores
from sidecar.approvals.sqlite import SqliteApprovals
from sidecar.counters.sqlite import SqliteCounters
from sidecar.database import Database, open_database
from sidecar.errors import SettingsError, SidecarError, StoreError, StoreUnfit
from sidecar.grants.sqlite import SqliteGrants
from sidecar.ports import Grant, Reservation
from sidecar.settings.model import Settings
from tests.contract.approvals import NOW, request
from tests.contract.counters import INSIDE, claim
from tests.contract.states import EXPIRES_MS
from tests.fakes import START
from tests.redisserver import RedisServer

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(tmp_path, "state")
    yield opened
    await opened.close()


def settings(**changes: Any) -> Settings:
    return Settings.model_validate({"servers": {"s": {"url": "http://h"}}, **changes})


async def opened(database: Database, **changes: Any) -> tuple[stores.Stores, list[str]]:
    warned: list[str] = []

    def warn(error: SidecarError) -> None:
        warned.append(str(error))

    return await stores.opened(settings(**changes), database, warn), warned


async def test_without_redis_all_is_in_the_state_folder(database: Database) -> None:
    kept, warned = await opened(database)
    assert (type(kept.counters), type(kept.approvals), warned) == (SqliteCounters, SqliteApprovals, [])
    assert kept.pending(START) == 0
    await kept.probe()
    await kept.close()


async def test_with_redis_nothing_is_counted_in_the_state_folder(database: Database, redis_server: RedisServer) -> None:
    kept, warned = await opened(database, redis={"url": redis_server.url, "prefix": "stores:"})
    await kept.probe()
    await kept.counters.reserve([claim()])
    assert database.read("SELECT count(*) FROM counters") == [(0,)]
    assert "stores:counter:" in redis_server.say("KEYS", "stores:*")
    assert kept.pending(START) is None
    assert warned == []
    await kept.close()


async def test_redis_that_does_not_answer_yet_is_told_and_waited_for(database: Database, tmp_path: Path) -> None:
    kept, warned = await opened(database, redis={"url": f"unix://{tmp_path}/none.sock"})
    assert warned == ["Redis cannot be reached."]
    with pytest.raises(StoreError):
        await kept.probe()
    await kept.close()


async def test_redis_without_a_file_is_told(database: Database, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", "--appendonly", "no")
    try:
        kept, (warned,) = await opened(database, redis={"url": server.url})
        assert "append-only" in warned
        await kept.close()
    finally:
        server.kill()


async def test_redis_that_must_not_be_trusted_is_refused(database: Database, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", "--maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StoreUnfit):
            await opened(database, redis={"url": server.url})
    finally:
        server.kill()


def test_grants_in_the_state_folder_of_one_of_several_are_refused(database: Database) -> None:
    made = SqliteGrants(database)
    for number in range(7):
        made.create(Grant(f"g{number}", "s", "p"))
    stores.require_shared_grants(settings(), database)
    stores.require_shared_grants(settings(replicas="sticky", auth=False), database)
    with pytest.raises(SettingsError, match="g0, g1, g2, g3, g4 and 2 more"):
        stores.require_shared_grants(settings(replicas="sticky"), database)
    for number in range(7):
        made.revoke(f"g{number}")
    stores.require_shared_grants(settings(replicas="several"), database)


async def test_user_of_the_operations_page_has_every_right_that_is_needed(
    database: Database, redis_server: RedisServer
) -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.search(r"`ACL (SETUSER regate on) >… ([^`]+)`", text)
    assert found is not None
    rights = found[2].split()
    assert redis_server.say("ACL", *found[1].split(), ">of-the-page-too", *rights) == "+OK\r\n"
    place = {"url": redis_server.url, "username": "regate", "password": "of-the-page-too", "timeout_s": 20}
    kept, warned = await opened(database, redis=place)
    held = await kept.counters.reserve([claim()])
    assert isinstance(held, Reservation)
    await kept.counters.rollback(held, INSIDE)
    opened_ = await kept.approvals.open(request(), NOW)
    assert kept.approvals.list(NOW)  # type: ignore[attr-defined]
    assert kept.approvals.approve(opened_, "ann", NOW) == "done"  # type: ignore[attr-defined]
    assert await kept.approvals.find("f1", NOW)
    assert await kept.approvals.take(opened_, NOW)
    await kept.approvals.give_back(opened_)
    assert await kept.states.use(b"one", EXPIRES_MS, NOW)
    await kept.states.give_back(b"one")
    await kept.probe()
    await kept.close()
    assert warned == []


def test_gateway_without_redis_does_not_load_its_package() -> None:
    code = "import sidecar.wiring, sidecar.cli.gateway, sys; sys.exit('redis' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_every_script_is_part_of_the_package() -> None:
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    scripts = [path.relative_to(ROOT / "sidecar").as_posix() for path in (ROOT / "sidecar").rglob("*.lua")]
    assert len(scripts) >= 5
    assert all(any(fnmatch(one, kind) for kind in setup["package-data"]["sidecar"]) for one in scripts)
