"""Used states in SQLite: the contract, other processes, and bounds."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.database import Database, open_database
from sidecar.states.sqlite import PURGE_ROWS, SqliteStates
from tests.contract.states import EXPIRES_MS, NOW, SUITE, Check
from tests.fakes import FakeStates


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(tmp_path, "state", wait_s=0.05)
    yield opened
    await opened.close()


@pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
async def test_states_contract_kept(check: Check, database: Database) -> None:
    await check(SqliteStates(database))


@pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
async def test_fake_keeps_the_contract(check: Check) -> None:
    await check(FakeStates())


async def test_use_is_known_to_another_gateway_and_after_a_restart(database: Database, tmp_path: Path) -> None:
    assert await SqliteStates(database).use(b"one", EXPIRES_MS, NOW)
    other = open_database(tmp_path, "state", wait_s=5)
    try:
        assert not await SqliteStates(other).use(b"one", EXPIRES_MS, NOW)
    finally:
        await other.close()


async def test_use_removes_what_has_expired(database: Database) -> None:
    states = SqliteStates(database)
    for number in range(5):
        await states.use(b"%d" % number, EXPIRES_MS, NOW)
    await states.use(b"late", EXPIRES_MS + 10_000, NOW + timedelta(seconds=5))
    assert database.read("SELECT nonce FROM used_states") == [(b"late",)]
    assert PURGE_ROWS > 1
