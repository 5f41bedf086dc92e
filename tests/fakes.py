"""In-memory fakes of the ports. All write what is asked of them to one tape, as one word each.

A test hands the same list to every fake and asserts the order of effects:
`["ask", "reserve", "forward", "rollback", "record"]`. A fake whose `error` is set raises it.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, Inexact

from sidecar.core.decision import Decision
from sidecar.core.limits import Claim, add, subtract
from sidecar.core.record import AuditRecord, Entry
from sidecar.errors import KeysAwaited, StoreError, UnknownGrant, WrongServer
from sidecar.ports import (
    Answered,
    ApprovalRequest,
    Event,
    Grant,
    Headers,
    Outgoing,
    Refused,
    Reply,
    Reservation,
    Visible,
)

Tape = list[str]
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ALLOWED = Decision("allow", "", "", "sha256:fake", ())


async def events(*messages: bytes) -> AsyncIterator[Event]:
    """Messages as a stream, for `Reply(events=…)`."""
    for message in messages:
        yield Event(message, b"data: " + message + b"\n\n")


@dataclass
class FakeClock:
    """Stands still until told to `advance`."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class FakeDecisionPoint:
    """Tape: `ask`, `list`. Gives `decisions` in turn, the last one for ever; sees all names but `hidden`.

    `listed` says which names a list query is about; without it, all of `names`.
    """

    tape: Tape = field(default_factory=list)
    decisions: Sequence[Decision] = (ALLOWED,)
    names: Sequence[str] = ()
    listed: Callable[[bytes], Sequence[str]] | None = None
    hidden: frozenset[str] = frozenset()
    revision: str = "sha256:fake"
    error: Exception | None = None
    queries: list[bytes] = field(default_factory=list)
    asked: int = 0

    async def decide(self, query: bytes) -> Decision:
        self.tape.append("ask")
        self.queries.append(query)
        if self.error is not None:
            raise self.error
        self.asked += 1
        return self.decisions[min(self.asked, len(self.decisions)) - 1]

    async def visible(self, query: bytes) -> Visible:
        self.tape.append("list")
        self.queries.append(query)
        if self.error is not None:
            raise self.error
        names = self.names if self.listed is None else self.listed(query)
        return Visible([name for name in names if name not in self.hidden], self.revision)


@dataclass
class FakeCounters:
    """Tape: `reserve`, `rollback`. `values` is keyed by (counter key, window start)."""

    tape: Tape = field(default_factory=list)
    error: Exception | None = None
    values: dict[tuple[str, int], Decimal] = field(default_factory=dict)

    async def reserve(self, claims: Sequence[Claim]) -> Reservation | Refused:
        self.tape.append("reserve")
        if self.error is not None:
            raise self.error
        amounts: dict[tuple[str, int], Decimal] = {}
        ends: dict[tuple[str, int], int] = {}
        for index, claim in enumerate(claims):
            at = (claim.key, claim.window_start)
            try:
                sum_ = add(self.values.get(at, Decimal(0)), claim.amount)
            except Inexact as error:
                raise StoreError("A counter cannot be kept exactly.") from error
            if sum_ > claim.max:
                return Refused(index)
            amounts[at] = max(amounts.get(at, claim.amount), claim.amount)
            ends[at] = claim.window_end
        for at, amount in amounts.items():
            self.values[at] = add(self.values.get(at, Decimal(0)), amount)
        return Reservation(tuple((*at, ends[at], str(amount)) for at, amount in amounts.items()))

    async def rollback(self, reservation: Reservation, now: datetime) -> None:
        self.tape.append("rollback")
        if self.error is not None:
            raise self.error
        for key, start, end, amount in reservation.taken:
            if now.timestamp() < end and (key, start) in self.values:
                self.values[key, start] = max(subtract(self.values[key, start], Decimal(amount)), Decimal(0))


@dataclass
class _Held:
    id: str
    request: ApprovalRequest
    state: str
    expires: datetime
    person: str = ""


@dataclass
class FakeApprovals:
    """Tape: `find`, `open`, `answer`, `take`, `give_back`. People answer through `approve` and `refuse`."""

    tape: Tape = field(default_factory=list)
    error: Exception | None = None
    held: list[_Held] = field(default_factory=list)

    async def find(self, fingerprint: str, now: datetime) -> Answered | None:
        self._write("find")
        for one in reversed(self.held):
            if one.request.fingerprint == fingerprint and one.expires > now:
                match one.state:
                    case "pending" | "approved" | "refused" as state:
                        return Answered(one.id, state, one.request.rule, one.request.revision, one.person)
        return None

    async def open(self, request: ApprovalRequest, now: datetime) -> str:
        self._write("open")
        for one in self.held:
            if one.request.fingerprint == request.fingerprint and one.state == "pending" and one.expires > now:
                return one.id
        opened = _Held(f"apr_{len(self.held) + 1}", request, "pending", now + timedelta(seconds=request.ttl_s))
        self.held.append(opened)
        return opened.id

    async def waits(self, approval_id: str, now: datetime) -> bool:
        if self.error is not None:
            raise self.error
        return any(one.id == approval_id and one.state == "pending" and one.expires > now for one in self.held)

    async def answer(self, approval_id: str, granted: bool, by: str, now: datetime) -> bool:
        self._write("answer")
        return self._answer(approval_id, "approved" if granted else "refused", now, "user") == "done"

    async def take(self, approval_id: str, now: datetime) -> bool:
        self._write("take")
        return self._move(approval_id, "approved", "used", now)

    async def give_back(self, approval_id: str) -> None:
        self._write("give_back")
        self._move(approval_id, "used", "approved", datetime.min.replace(tzinfo=UTC))

    def approve(self, approval_id: str, by: str, now: datetime) -> str:
        return self._answer(approval_id, "approved", now)

    def refuse(self, approval_id: str, by: str, now: datetime) -> str:
        return self._answer(approval_id, "refused", now)

    def _write(self, word: str) -> None:
        self.tape.append(word)
        if self.error is not None:
            raise self.error

    def _answer(self, approval_id: str, state: str, now: datetime, person: str = "operator") -> str:
        if not self._move(approval_id, "pending", state, now):
            states = [one.state for one in self.held if one.id == approval_id]
            return "unknown" if not states else "expired" if states == ["pending"] else "answered"
        for one in self.held:
            if one.id == approval_id:
                one.expires = now + timedelta(seconds=one.request.ttl_s)
                one.person = person
        return "done"

    def _move(self, approval_id: str, old: str, new: str, now: datetime) -> bool:
        for one in self.held:
            if one.id == approval_id and one.state == old and one.expires > now:
                one.state = new
                return True
        return False


@dataclass
class FakeStates:
    """Tape: `use`, `unuse`."""

    tape: Tape = field(default_factory=list)
    error: Exception | None = None
    used: set[bytes] = field(default_factory=set)

    async def use(self, nonce: bytes, expires_ms: int, now: datetime) -> bool:
        self.tape.append("use")
        if self.error is not None:
            raise self.error
        if nonce in self.used:
            return False
        self.used.add(nonce)
        return True

    async def give_back(self, nonce: bytes) -> None:
        self.tape.append("unuse")
        if self.error is not None:
            raise self.error
        self.used.discard(nonce)


@dataclass
class FakeAudit:
    """Tape: `record`."""

    tape: Tape = field(default_factory=list)
    healthy: bool = True
    records: list[AuditRecord] = field(default_factory=list)
    closed: bool = False

    def append(self, entry: Entry) -> None:
        self.tape.append("record")
        self.records.append(entry.record())

    async def close(self) -> None:
        self.closed = True


@dataclass
class FakeGrants:
    """Nothing on the tape: a token is resolved before a call begins."""

    tape: Tape = field(default_factory=list)
    by_token: dict[bytes, Grant] = field(default_factory=dict)
    error: Exception | None = None

    def resolve(self, token: bytes) -> Grant | None:
        if self.error is not None:
            raise self.error
        return self.by_token.get(token)

    def edition(self) -> int:
        if self.error is not None:
            raise self.error
        return hash(tuple(self.by_token.items()))


@dataclass
class FakeBearers:
    """Knows tokens for one server each; those in `late` only once it has settled. An exception is raised."""

    by_token: dict[bytes, Grant | Exception] = field(default_factory=dict)
    late: set[bytes] = field(default_factory=set)
    settled: int = 0

    def resolve(self, token: bytes, server: str) -> Grant:
        if token in self.late:
            raise KeysAwaited("wait")
        found = self.by_token.get(token, UnknownGrant("This token is not valid."))
        if isinstance(found, Exception):
            raise found
        if found.server != server:
            raise WrongServer("This token is for another server.")
        return found

    async def settle(self) -> None:
        self.settled += 1
        self.late.clear()


@dataclass
class FakeUpstream:
    """Tape: `forward`, `listen`, `end`. Gives `replies` in turn, the last one for ever; an exception is raised."""

    tape: Tape = field(default_factory=list)
    replies: Sequence[Reply | Exception] = (Reply(200, body=b'{"jsonrpc":"2.0","id":1,"result":{}}'),)
    sent: list[Outgoing] = field(default_factory=list)
    closed: bool = False
    answered: int = 0

    async def send(self, message: Outgoing) -> Reply:
        self.tape.append("forward")
        self.sent.append(message)
        return self._next()

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        self.tape.append("listen")
        return self._next()

    async def end(self, headers: Headers, session: str | None) -> Reply:
        self.tape.append("end")
        return self._next()

    async def close(self) -> None:
        self.closed = True

    def _next(self) -> Reply:
        self.answered += 1
        reply = self.replies[min(self.answered, len(self.replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply
