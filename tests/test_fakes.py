"""The fakes keep the contracts of the ports that they stand for."""

import pytest

from sidecar.core.limits import Claim
from sidecar.errors import StoreError
from tests.contract import approvals, audit, counters
from tests.contract.audit import record
from tests.fakes import FakeApprovals, FakeAudit, FakeCounters, FakeDecisionPoint


@pytest.mark.parametrize("check", counters.SUITE, ids=lambda check: check.__name__)
async def test_counters_contract_kept(check: counters.Check) -> None:
    await check(FakeCounters())


@pytest.mark.parametrize("check", approvals.SUITE, ids=lambda check: check.__name__)
async def test_approvals_contract_kept(check: approvals.Check) -> None:
    await check(FakeApprovals())


@pytest.mark.parametrize("check", audit.SUITE, ids=lambda check: check.__name__)
async def test_audit_contract_kept(check: audit.Check) -> None:
    log = FakeAudit()
    await check(log, lambda: log.records)


async def test_tape_shared_order_of_effects() -> None:
    tape: list[str] = []
    asked, counted, log = FakeDecisionPoint(tape), FakeCounters(tape, error=StoreError("gone")), FakeAudit(tape)
    await asked.decide(b"{}")
    with pytest.raises(StoreError):
        await counted.reserve([Claim("k", 0, 60, counters.claim().amount, counters.claim().max)])
    log.append(record())
    assert tape == ["ask", "reserve", "record"]
