"""Why a call gets the answer it gets: every rule in order, the counters, and the nearest calls that would pass.

OPA decides, and the gateway's own judgement and counters count; here their answers are put together.
"""

import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

from sidecar.core.decision import DEFAULT_DENY, HIDDEN, INVALID_ARGUMENTS
from sidecar.core.decision import Limit as Obligation
from sidecar.core.limits import Claim, add, claims
from sidecar.core.query import Asker
from sidecar.counters.sqlite import SqliteCounters
from sidecar.database import open_database
from sidecar.errors import CannotDecide
from sidecar.opa.client import OpaClient
from sidecar.path.judgement import Caller, Judgement, Verdict
from sidecar.ports import Answered, ApprovalRequest, Grant
from sidecar.proving import nearest, probes
from sidecar.proving.call import Call
from sidecar.proving.nearest import Passing
from sidecar.proving.oracle import judging
from sidecar.proving.probes import Rule
from translator.bundle import build
from translator.program import Limit, Program

_POLICY = "policy"
_UNASKED = (HIDDEN, DEFAULT_DENY, INVALID_ARGUMENTS)

Standing: TypeAlias = Callable[[Sequence[Claim]], Sequence[Decimal]]
"""What the counters of these claims stand at."""


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter that the call meets, what it stands at, and what the call adds to it (None: that cannot be counted)."""

    limit: Limit
    stands_at: Decimal
    amount: Decimal | None
    window_end: int

    @property
    def fits(self) -> bool:
        """Would this limit alone let the call pass?"""
        return self.amount is not None and add(self.stands_at, self.amount) <= self.limit.max.value


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to a call and what it comes from.

    `approved` is the answer once a person has approved a waiting call. A call that is refused before any rule is asked
    (hidden, not listed, no arguments) has neither rules nor counters.
    """

    verdict: Verdict
    approved: Verdict | None
    rules: tuple[Rule, ...]
    counters: tuple[Counter, ...]
    nearest: tuple[Passing, ...]


def empty(asked: Sequence[Claim]) -> list[Decimal]:
    """The counters of somebody who has not called yet."""
    return [Decimal(0)] * len(asked)


async def explain(program: Program, call: Call, standing: Standing = empty, opa: Path | None = None) -> Explanation:
    """Why the policy answers the call as it does, its counters standing as they are. Raises: CannotDecide."""
    items = probes.ordered(program, call.tool)
    now = call.moment()
    asked = call.judged()
    bundle = build({_POLICY: program, probes.PROBES: probes.program(items)})
    async with judging(bundle, opa) as client:
        rules = tuple(await probes.asked(items, asked, client))
        counters = _counters(rules, call, now, standing)
        async with _counted(counters, call, now) as store:
            judge = _Judge(client, store, call, now, bundle.policies[_POLICY].revision)
            verdict = await judge.ask(asked.arguments_raw)
            waits = verdict.decision.outcome == "approval_required"
            approved = await judge.ask(asked.arguments_raw, approved=True) if waits else None
            left = {each.limit.rule: nearest.left(each.limit.max.value, each.stands_at) for each in counters}
            passing = await nearest.search(judge.ask, items, asked.arguments_raw, verdict, left)
    if verdict.decision.rule in _UNASKED:
        return Explanation(verdict, None, (), (), ())
    return Explanation(verdict, approved, rules, counters, tuple(passing))


def _counters(rules: Sequence[Rule], call: Call, now: datetime, standing: Standing) -> tuple[Counter, ...]:
    limited = [(rule, rule.item) for rule in rules if isinstance(rule.item, Limit)]
    asked = _claims([limit for _, limit in limited], [rule.obligation for rule, _ in limited], call, now)
    return tuple(
        Counter(limit, value, None if rule.obligation is None else claim.amount, claim.window_end)
        for (rule, limit), claim, value in zip(limited, asked, standing(asked), strict=True)
    )


def _claims(
    limits: Sequence[Limit], obligations: Sequence[Obligation | None], call: Call, now: datetime
) -> list[Claim]:
    """What each limit asks of its counter: what OPA says, or nothing where the amount cannot be counted."""
    full = [
        obligation
        or Obligation(limit.rule, limit.message, limit.counter, limit.window, limit.max.value, limit.scope, ())
        for limit, obligation in zip(limits, obligations, strict=True)
    ]
    return claims(full, call.server, call.grant, call.session, now)


@asynccontextmanager
async def _counted(counters: Sequence[Counter], call: Call, now: datetime) -> AsyncIterator[SqliteCounters]:
    """A store of its own in which the counters stand as they are."""
    with tempfile.TemporaryDirectory(prefix="regate-") as folder:
        database = open_database(Path(folder), "state")
        try:
            store = SqliteCounters(database)
            asked = _claims([each.limit for each in counters], [None] * len(counters), call, now)
            for claim, counter in zip(asked, counters, strict=True):
                value = counter.stands_at
                await store.reserve([Claim(claim.key, claim.window_start, claim.window_end, value, value)])
            yield store
        finally:
            await database.close()


class _Judge:
    """The gateway's judgement of this call with any arguments; what it takes is given back at once."""

    def __init__(self, opa: OpaClient, counters: SqliteCounters, call: Call, now: datetime, revision: str) -> None:
        asker = Asker(policy=_POLICY, server=call.server, grant=call.grant)
        self._caller = Caller(Grant(call.grant, call.server, _POLICY), asker, call.session)
        self._opa, self._counters, self._call, self._now = opa, counters, call, now
        self._revision = revision

    async def ask(self, arguments: bytes, *, approved: bool = False) -> Verdict:
        """The verdict, before or after a person has approved. Raises: CannotDecide (there is none)."""
        judgement = Judgement(self._opa, self._counters, _Person(self._revision if approved else ""))
        verdict = await judgement.judge(self._call.judged(arguments), self._caller, self._now)
        if verdict.cause:
            raise CannotDecide(verdict.cause)
        await judgement.give_back(verdict, self._now)
        return verdict


class _Person:
    """Somebody who has approved every call under this revision of the policy, or (no revision) was never asked."""

    def __init__(self, revision: str) -> None:
        self._revision = revision

    async def find(self, fingerprint: str, now: datetime) -> Answered | None:  # noqa: ARG002
        return Answered("", "approved", "", self._revision) if self._revision else None

    async def open(self, request: ApprovalRequest, now: datetime) -> str:  # noqa: ARG002
        return "asked"

    async def take(self, approval_id: str, now: datetime) -> bool:  # noqa: ARG002
        return True

    async def give_back(self, approval_id: str) -> None:
        """It stays approved."""
