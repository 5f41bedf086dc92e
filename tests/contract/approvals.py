"""What every implementation of the port `Approvals` must do. `SUITE` holds the checks; each is given a fresh store."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sidecar.ports import Answered, Answers, ApprovalRequest, Approvals

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Answerable(Approvals, Answers, Protocol):
    """The port, and a person's two verbs."""

    def approve(self, approval_id: str, by: str, now: datetime) -> str: ...

    def refuse(self, approval_id: str, by: str, now: datetime) -> str: ...


Check = Callable[[Answerable], Awaitable[None]]
SUITE: list[Check] = []


def check(one: Check) -> Check:
    SUITE.append(one)
    return one


def request(fingerprint: str = "f1", grant: str = "g1", ttl_s: int = 300) -> ApprovalRequest:
    return ApprovalRequest(
        fingerprint=fingerprint,
        server="bank",
        grant=grant,
        tool="pay",
        argument_keys=("amount", "to"),
        rule="/tools/pay/require_approval/always",
        message="Requires human approval.",
        policy="p",
        revision="sha256:1",
        ttl_s=ttl_s,
    )


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@check
async def find_unknown_none(approvals: Answerable) -> None:
    assert await approvals.find("f1", NOW) is None


@check
async def find_open_pending(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    expected = Answered(opened, "pending", "/tools/pay/require_approval/always", "sha256:1")
    assert await approvals.find("f1", after(1)) == expected


@check
async def open_twice_same_id(approvals: Answerable) -> None:
    first = await approvals.open(request(), NOW)
    assert await approvals.open(request(), after(299)) == first


@check
async def open_at_once_same_id(approvals: Answerable) -> None:
    opened = await asyncio.gather(*(approvals.open(request(), NOW) for _ in range(20)))
    assert len(set(opened)) == 1


@check
async def open_other_fingerprint_other_id(approvals: Answerable) -> None:
    assert await approvals.open(request("f1"), NOW) != await approvals.open(request("f2"), NOW)


@check
async def open_after_expiry_new_id(approvals: Answerable) -> None:
    first = await approvals.open(request(), NOW)
    assert await approvals.find("f1", after(300)) is None
    assert await approvals.open(request(), after(300)) != first


@check
async def take_pending_refused(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    assert not await approvals.take(opened, NOW)


@check
async def take_unknown_refused(approvals: Answerable) -> None:
    assert not await approvals.take("apr_nothing", NOW)


@check
async def take_approved_once(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    assert approvals.approve(opened, "ann", after(1)) == "done"
    found = await approvals.find("f1", after(2))
    assert found is not None
    assert (found.id, found.state) == (opened, "approved")
    assert await approvals.take(opened, after(2))
    assert not await approvals.take(opened, after(2))
    assert await approvals.find("f1", after(2)) is None


@check
async def take_at_once_one_winner(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    approvals.approve(opened, "ann", NOW)
    assert sum(await asyncio.gather(*(approvals.take(opened, NOW) for _ in range(50)))) == 1


@check
async def find_tells_who_answered(approvals: Answerable) -> None:
    for fingerprint, person in (("f1", "operator"), ("f2", "user")):
        opened = await approvals.open(request(fingerprint), NOW)
        if person == "user":
            assert await approvals.answer(opened, True, "the client's user", NOW)
        else:
            assert approvals.approve(opened, "ann", NOW) == "done"
        found = await approvals.find(fingerprint, NOW)
        assert found is not None
        assert (found.state, found.person) == ("approved", person)


@check
async def answer_of_a_user_counts_once_and_refuses_too(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    assert await approvals.answer(opened, False, "the client's user", NOW)
    assert not await approvals.answer(opened, True, "the client's user", NOW)
    found = await approvals.find("f1", NOW)
    assert found is not None
    assert found.state == "refused"
    assert not await approvals.answer("apr_nothing", True, "the client's user", NOW)


@check
async def waits_until_it_is_answered_or_lapses(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    assert await approvals.waits(opened, after(299))
    assert not await approvals.waits(opened, after(300))
    assert not await approvals.waits("apr_nothing", NOW)
    approvals.refuse(opened, "ann", NOW)
    assert not await approvals.waits(opened, NOW)


@check
async def approve_starts_time_anew(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    approvals.approve(opened, "ann", after(299))
    assert await approvals.take(opened, after(299 + 299.9))


@check
async def take_after_expiry_refused(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    approvals.approve(opened, "ann", after(1))
    assert await approvals.find("f1", after(301)) is None
    assert not await approvals.take(opened, after(301))


@check
async def give_back_usable_again(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    approvals.approve(opened, "ann", NOW)
    await approvals.take(opened, NOW)
    await approvals.give_back(opened)
    found = await approvals.find("f1", NOW)
    assert found is not None
    assert found.state == "approved"
    assert await approvals.take(opened, NOW)


@check
async def give_back_pending_stays_pending(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    await approvals.give_back(opened)
    assert not await approvals.take(opened, NOW)


@check
async def give_back_after_expiry_stays_expired(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    approvals.approve(opened, "ann", NOW)
    await approvals.take(opened, NOW)
    await approvals.give_back(opened)
    assert not await approvals.take(opened, after(300))


@check
async def refuse_found_until_expiry(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    assert approvals.refuse(opened, "ann", after(10)) == "done"
    found = await approvals.find("f1", after(309))
    assert found is not None
    assert found.state == "refused"
    assert not await approvals.take(opened, after(309))
    assert await approvals.find("f1", after(310)) is None


@check
async def answer_twice_first_holds(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    approvals.refuse(opened, "ann", NOW)
    assert approvals.approve(opened, "bob", NOW) == "answered"
    assert not await approvals.take(opened, NOW)


@check
async def answer_too_late_expired(approvals: Answerable) -> None:
    opened = await approvals.open(request(), NOW)
    assert approvals.approve(opened, "ann", after(300)) == "expired"
    assert not await approvals.take(opened, after(300))


@check
async def answer_unknown_said(approvals: Answerable) -> None:
    assert approvals.approve("apr_nothing", "ann", NOW) == "unknown"
