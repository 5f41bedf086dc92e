"""Approvals in SQLite: the contract, what an operator sees, and bounds."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.approvals.sqlite import PURGE_ROWS, Approval, SqliteApprovals
from sidecar.database import Database, open_database
from sidecar.errors import StoreError
from tests.contract.approvals import NOW, SUITE, Check, after, request

DAY = 86400


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(tmp_path, "state", wait_s=0.05)
    yield opened
    await opened.close()


@pytest.fixture
def approvals(database: Database) -> SqliteApprovals:
    return SqliteApprovals(database)


@pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
async def test_approvals_contract_kept(check: Check, approvals: SqliteApprovals) -> None:
    await check(approvals)


async def test_open_id_easy_to_read_out(approvals: SqliteApprovals) -> None:
    assert re.fullmatch(r"apr_[0-9a-hjkmnp-tv-z]{12}", await approvals.open(request(), NOW))


async def test_list_pending_what_a_person_needs(approvals: SqliteApprovals) -> None:
    opened = await approvals.open(request(), NOW)
    assert approvals.list(after(1)) == [
        Approval(
            id=opened,
            state="pending",
            server="bank",
            grant="g1",
            tool="pay",
            argument_keys=("amount", "to"),
            rule="/tools/pay/require_approval/always",
            message="Requires human approval.",
            policy="p",
            revision="sha256:1",
            requested_at=NOW,
            expires_at=after(300),
            answered_at=None,
            answered_by=None,
            reason=None,
        )
    ]


async def test_pending_counts_what_can_be_answered(approvals: SqliteApprovals) -> None:
    assert approvals.pending(NOW) == 0
    opened = await approvals.open(request(), NOW)
    assert approvals.pending(after(1)) == 1
    assert approvals.pending(after(300)) == 0
    approvals.approve(opened, "me", after(2))
    assert approvals.pending(after(3)) == 0


async def test_list_pending_only_what_can_be_answered(approvals: SqliteApprovals) -> None:
    lapsed = await approvals.open(request("f1", ttl_s=10), NOW)
    approved = await approvals.open(request("f2"), after(1))
    refused = await approvals.open(request("f3"), after(2))
    used = await approvals.open(request("f4"), after(3))
    waiting = await approvals.open(request("f5"), after(4))
    for one in (approved, used):
        approvals.approve(one, "ann", after(5))
    approvals.refuse(refused, "bob", after(5), "No.")
    await approvals.take(used, after(6))
    assert [one.id for one in approvals.list(after(60))] == [waiting]
    listed = {one.id: one for one in approvals.list(after(60), pending_only=False)}
    states = {one.id: one.state for one in listed.values()}
    assert states == {lapsed: "expired", approved: "approved", refused: "refused", used: "used", waiting: "pending"}
    assert list(listed) == [lapsed, approved, refused, used, waiting]
    assert (listed[refused].answered_by, listed[refused].answered_at, listed[refused].reason) == (
        "bob",
        after(5),
        "No.",
    )
    assert listed[approved].expires_at == after(305)


async def test_take_two_gateways_one_winner(tmp_path: Path, approvals: SqliteApprovals) -> None:
    other = open_database(tmp_path, "state")
    opened = await approvals.open(request(), NOW)
    SqliteApprovals(other).approve(opened, "ann", NOW)
    won = await asyncio.gather(*(store.take(opened, NOW) for store in (approvals, SqliteApprovals(other)) * 10))
    assert sum(won) == 1
    await other.close()


async def test_open_past_the_bound_store_error_nothing_lost(database: Database) -> None:
    approvals = SqliteApprovals(database, max_pending=3)
    opened = [await approvals.open(request(f"f{n}"), NOW) for n in range(3)]
    with pytest.raises(StoreError, match="3 calls of this grant wait") as caught:
        await approvals.open(request("f3"), NOW)
    assert "approvals list" in caught.value.hint
    assert await approvals.open(request("f1"), NOW) == opened[1]
    assert await approvals.open(request("other", grant="g2"), NOW)
    approvals.refuse(opened[0], "ann", NOW)
    assert await approvals.open(request("f3"), NOW)
    assert await approvals.open(request("f4"), after(300))


async def test_open_long_lapsed_removed_few_at_a_time(approvals: SqliteApprovals) -> None:
    for number in range(PURGE_ROWS + 20):
        await approvals.open(request(f"f{number}"), NOW)
    left = []
    for number in range(3):
        await approvals.open(request(f"new{number}"), after(DAY + 301))
        left.append(len(approvals.list(after(DAY + 301), pending_only=False)))
    assert left == [21, 2, 3]


async def test_open_lapsed_today_kept(approvals: SqliteApprovals) -> None:
    await approvals.open(request("f1"), NOW)
    await approvals.open(request("f2"), after(DAY))
    assert len(approvals.list(after(DAY), pending_only=False)) == 2


async def test_find_newest_of_several(approvals: SqliteApprovals) -> None:
    first = await approvals.open(request(ttl_s=900), NOW)
    approvals.approve(first, "ann", NOW)
    second = await approvals.open(replace(request(), revision="sha256:2"), NOW)
    found = await approvals.find("f1", NOW)
    assert found is not None
    assert (found.id, found.state, found.revision) == (second, "pending", "sha256:2")


async def test_every_verb_locked_store_error(tmp_path: Path, approvals: SqliteApprovals) -> None:
    opened = await approvals.open(request(), NOW)
    other = sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    verbs = [
        approvals.find("f1", NOW),
        approvals.open(request("f2"), NOW),
        approvals.take(opened, NOW),
        approvals.give_back(opened),
    ]
    assert [type(answer) for answer in await asyncio.gather(*verbs, return_exceptions=True)] == [StoreError] * 4
    with pytest.raises(StoreError):
        approvals.approve(opened, "ann", NOW)
    other.close()
    assert approvals.approve(opened, "ann", NOW) == "done"
