"""Cases tried: the real translator, a real OPA, the real judgement and counters, and the case's own clock.

Cases know nothing of each other: each has a counter store of its own. Source: policy-semantics section 13.
"""

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from sidecar.core.arguments import fault
from sidecar.core.decision import Decision
from sidecar.core.messages import ToolCall
from sidecar.core.query import Asker
from sidecar.counters.sqlite import SqliteCounters
from sidecar.database import open_database
from sidecar.errors import CannotDecide, SidecarError
from sidecar.opa.client import OpaClient
from sidecar.path.judgement import Caller, Judgement
from sidecar.ports import Answered, ApprovalRequest, Grant, Visible
from sidecar.proving.cases import Call, Case, Expected, moment
from sidecar.proving.oracle import judging, located
from translator import PolicyRejected, Program, parse
from translator.bundle import build
from translator.importing import Dialect, import_policy

_SERVER = "s1"
_TOGETHER = 16

Fields: TypeAlias = Mapping[str, str | None]
Reading: TypeAlias = Program | PolicyRejected | None
"""What became of a case's policy: its meaning, or its faults. None: the grant has none."""


class Answer(msgspec.Struct, frozen=True):
    """What one call got. `decided` has the rules that stopped or held it, `taken` the limits it was counted by."""

    outcome: str
    rule: str
    message: str
    retry_at: str | None
    cause: str = ""
    decided: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()


class Difference(msgspec.Struct, frozen=True):
    """Where a case went another way. `call` counts from 1; None is the policy itself or the list of tools."""

    call: int | None
    what: str
    wanted: Fields
    got: Fields


class Result(msgspec.Struct, frozen=True):
    """What became of a case. `answers` has the calls' in order, as far as they were asked."""

    case: Case
    status: Literal["passed", "failed", "undecided"]
    differences: tuple[Difference, ...] = ()
    reason: str = ""
    answers: tuple[Answer, ...] = ()
    program: Program | None = None


async def run(cases: Sequence[Case], opa: Path | None = None) -> list[Result]:
    """What became of each case, in order. Raises: CannotDecide (there is no OPA that works)."""
    path = opa or located()
    ids: dict[tuple[object, ...], str] = {}
    read: dict[str, Reading] = {}
    for case in cases:
        id_ = ids.setdefault(_key(case), str(len(ids)))
        if id_ not in read:
            read[id_] = reading(case)
    named = [(case, ids[_key(case)]) for case in cases]
    asked = [(case, id_) for case, id_ in named if _can_be_asked(case, read[id_])]
    programs = {id_: found for _, id_ in asked if isinstance(found := read[id_], Program)}
    judged = iter(await _judged(asked, programs, path))
    return [next(judged) if _can_be_asked(case, read[id_]) else _unasked(case, read[id_]) for case, id_ in named]


def _key(case: Case) -> tuple[object, ...]:
    return case.policy, case.dialect, case.approval_map


def reading(case: Case) -> Reading:
    """What becomes of the case's policy."""
    if case.policy is None:
        return None
    try:
        policy = case.policy
        if case.dialect != "json":
            policy = import_policy(policy, dialect=Dialect(case.dialect.removesuffix("-yaml"))).text.encode()
        return parse(policy, approval_map=case.approval_map)
    except PolicyRejected as error:
        return error


def _can_be_asked(case: Case, found: Reading) -> bool:
    return case.invalid_at is None and not isinstance(found, Exception)


def _unasked(case: Case, found: Reading) -> Result:
    """The result of a case that ends at its policy."""
    wanted: Fields = {"policy": "valid", "at": None, "message": None}
    got: Fields = {"policy": "valid" if found else "none", "at": None, "message": None}
    if case.invalid_at is not None:
        wanted = {"policy": "invalid", "at": case.invalid_at, "message": None}
    if isinstance(found, PolicyRejected):
        first = found.problems[0]
        got = {"policy": "invalid", "at": first.pointer, "message": f"{first.message} ({first.line}:{first.column})"}
        if first.pointer == case.invalid_at:
            return Result(case, "passed")
    return Result(case, "failed", (Difference(None, "the policy", wanted, got),))


async def _judged(asked: Sequence[tuple[Case, str]], programs: Mapping[str, Program], opa: Path) -> list[Result]:
    """One result for each; policies that OPA does not take together are tried in halves."""
    try:
        bundle = build(programs)
        revisions = {id_: compiled.revision for id_, compiled in bundle.policies.items()}
        async with judging(bundle, opa) as client:
            waiting = enumerate(asked)
            results: dict[int, Result] = {}

            async def work() -> None:
                for index, (case, id_) in waiting:
                    results[index] = await _tried(case, id_, programs.get(id_), revisions.get(id_, ""), client)

            await asyncio.gather(*(work() for _ in range(_TOGETHER)))
            return [results[index] for index in range(len(asked))]
    except CannotDecide as error:
        if not programs:
            raise
        if len(programs) == 1:
            async with judging(build({}), opa):
                return [Result(case, "undecided", reason=str(error)) for case, _ in asked]
    half = dict(islice(programs.items(), len(programs) // 2))
    rest = {id_: program for id_, program in programs.items() if id_ not in half}
    first = iter(await _judged([one for one in asked if one[1] in half], half, opa))
    second = iter(await _judged([one for one in asked if one[1] not in half], rest, opa))
    return [next(first if id_ in half else second) for _, id_ in asked]


async def _tried(case: Case, id_: str, program: Program | None, revision: str, opa: OpaClient) -> Result:
    policy = None if program is None else id_
    try:
        answers = await _answers(case, policy, revision, opa)
        differences = _differences(case, answers)
        if case.listing is not None:
            asker = Asker(policy=policy, server=_SERVER, grant="")
            names = (await opa.visible(asker.visible(case.listing.upstream))).names
            if names != case.listing.visible:
                wanted, got = (
                    {"visible": json.dumps(seen, ensure_ascii=False)} for seen in (case.listing.visible, names)
                )
                differences.append(Difference(None, "the list of tools", wanted, got))
    except SidecarError as error:
        return Result(case, "undecided", reason=str(error), program=program)
    return Result(case, "failed" if differences else "passed", tuple(differences), "", tuple(answers), program)


async def _answers(case: Case, policy: str | None, revision: str, opa: OpaClient) -> list[Answer]:
    with tempfile.TemporaryDirectory(prefix="regate-") as folder:
        database = open_database(Path(folder), "state")
        try:
            counters = SqliteCounters(database)
            return [await _answer(call, policy, revision, opa, counters) for call in case.calls]
        finally:
            await database.close()


async def _answer(call: Call, policy: str | None, revision: str, opa: OpaClient, counters: SqliteCounters) -> Answer:
    """What the gateway answers to one call; what it takes is kept or given back as the case says."""
    text, at = call.arguments_text(), moment(call.at)
    asked = ToolCall(b"", 1, b"1", call.tool, text, (), fault(text), modern=True, task=False)
    caller = Caller(
        Grant(call.grant, _SERVER, policy), Asker(policy=policy, server=_SERVER, grant=call.grant), call.session
    )
    heard = _Heard(opa)
    judgement = Judgement(heard, counters, _Stated(call.approval, revision))
    verdict = await judgement.judge(asked, caller, at)
    decision = verdict.decision
    if verdict.cause.startswith("opa_unreachable"):
        raise CannotDecide(verdict.cause)
    allowed = decision.outcome == "allow"
    if allowed and call.upstream == "error":
        await judgement.give_back(verdict, at)
    stopped = dict.fromkeys(filter(None, (*(one.rule for one in heard.decisions), decision.rule)))
    taken = tuple(limit.rule for limit in decision.limits) if allowed else ()
    return Answer(
        decision.outcome, decision.rule, decision.message, verdict.retry_at, verdict.cause, tuple(stopped), taken
    )


def _differences(case: Case, answers: Sequence[Answer]) -> list[Difference]:
    found = []
    for number, (call, expected, answer) in enumerate(zip(case.calls, case.expect, answers, strict=True), 1):
        wanted = _wanted(expected)
        full = {name: getattr(answer, name) for name in ("outcome", "rule", "message", "retry_at", "cause")}
        if any(full[name] != value for name, value in wanted.items()):
            same_outcome = answer.outcome == expected.outcome
            got = {name: value for name, value in full.items() if name in wanted or (value and not same_outcome)}
            what = f"{call.tool} {call.arguments_text().decode()} at {call.at}"
            found.append(Difference(number, what, wanted, got))
    return found


def _listed(names: Sequence[str]) -> Fields:
    return {"visible": json.dumps(names, ensure_ascii=False)}


def _wanted(expected: Expected) -> Fields:
    fields: dict[str, str | None] = {"outcome": expected.outcome}
    if expected.outcome == "allow":
        fields |= {"rule": "", "message": ""}
    for name in ("rule", "message", "retry_at"):
        value: str | msgspec.UnsetType | None = getattr(expected, name)
        if value is not msgspec.UNSET:
            fields[name] = value
    return fields


class _Heard:
    """OPA, with its decisions kept."""

    def __init__(self, opa: OpaClient) -> None:
        self._opa = opa
        self.decisions: list[Decision] = []

    async def decide(self, query: bytes) -> Decision:
        decision = await self._opa.decide(query)
        self.decisions.append(decision)
        return decision

    async def visible(self, query: bytes) -> Visible:
        return await self._opa.visible(query)


class _Stated:
    """The approval that a case says accompanies a call, under the policy that holds now."""

    def __init__(self, state: Literal["granted", "refused", "expired"] | None, revision: str) -> None:
        self._state = state
        self._revision = revision

    async def find(self, fingerprint: str, now: datetime) -> Answered | None:  # noqa: ARG002
        if self._state not in ("granted", "refused"):
            return None
        return Answered("stated", "approved" if self._state == "granted" else "refused", "", self._revision)

    async def open(self, request: ApprovalRequest, now: datetime) -> str:  # noqa: ARG002
        return "asked"

    async def take(self, approval_id: str, now: datetime) -> bool:  # noqa: ARG002
        return True

    async def give_back(self, approval_id: str) -> None:
        """It was for this one call."""
