"""What the call path needs from the outside, one Protocol each. Imports core types only."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from sidecar.core.decision import Decision
from sidecar.core.limits import Claim
from sidecar.core.record import Entry


class Grant(msgspec.Struct, frozen=True):
    """A token's right to one server under one policy (None: no policy, so every call is denied).

    `list`: its lists hold what is not hidden, or only what may be called. `policed_methods`: all but tools pass, or
    what is about resources or prompts, or unknown, does not. `hidden_calls`: a call of a hidden tool is denied, or
    answered as if there were no such tool. `approval`: a call that needs one is denied and made again later, or waits
    for an operator, or has the client's own user confirm it.
    """

    id: str
    server: str
    policy: str | None
    list: Literal["hidden", "callable"] = "hidden"
    policed_methods: Literal["tools", "all"] = "tools"
    hidden_calls: Literal["denied", "unknown"] = "denied"
    approval: Literal["later", "wait", "confirm"] = "later"

    @property
    def binding(self) -> "dict[str, Any]":
        """What the grant's queries have in common."""
        callable_only = self.list == "callable"
        return {"policy": self.policy, "server": self.server, "grant": self.id, "callable_only": callable_only}


@dataclass(frozen=True, slots=True)
class Visible:
    """The tools a grant may see, by name, in the order asked; and the policy revision that said so."""

    names: list[str]
    revision: str


class DecisionPoint(Protocol):
    """Where policy is decided: OPA."""

    def decide(self, query: bytes) -> Awaitable[Decision]:
        """The decision on one query document (`core.query`). Raises: DecisionError."""
        ...

    async def visible(self, query: bytes) -> Visible:
        """The visible ones of the names in one list query. Raises: DecisionError."""
        ...


class Reservation(msgspec.Struct, frozen=True):
    """Claims held while upstream works: one (key, window_start, window_end, amount) per counter taken.

    Units: window bounds are whole seconds since the Unix epoch, end exclusive; amounts exact decimals as text.
    """

    taken: tuple[tuple[str, int, int, str], ...]


class Refused(msgspec.Struct, frozen=True):
    """No claim was taken; `claims[index]` is the first that would pass its maximum."""

    index: int


class Counters(Protocol):
    """Exact, durable counting. A reservation survives a killed gateway."""

    async def reserve(self, claims: Sequence[Claim]) -> Reservation | Refused:
        """All claims taken at once, or none.

        A counter met twice (same key) is tested against each claim's own `max` and added to once.
        A caller that is cancelled while it waits has taken nothing.
        Raises: StoreError (locked past the time allowed, full, gone, off shape).
        """
        ...

    async def rollback(self, reservation: Reservation, now: datetime) -> None:
        """Gives a reservation back, each amount to the window it came from unless that has ended.

        Raises: StoreError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """What the store holds for exactly this call: an approval `id` in a `state`.

    `person` is who answered: an `operator`, or the `user` of the client that called.
    """

    id: str
    state: Literal["pending", "approved", "refused"]
    rule: str
    revision: str
    person: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A call that waits for a person. `fingerprint` binds the answer to grant, tool and arguments."""

    fingerprint: str
    server: str
    grant: str
    tool: str
    argument_keys: tuple[str, ...]
    rule: str
    message: str
    policy: str
    revision: str
    ttl_s: int


class Approvals(Protocol):
    """People's answers to calls that wait for one. Expired, used and unknown look alike: None."""

    async def find(self, fingerprint: str, now: datetime) -> Answered | None:
        """The newest unexpired, unused approval for this fingerprint. Raises: StoreError."""
        ...

    async def open(self, request: ApprovalRequest, now: datetime) -> str:
        """The id of a pending approval for this call; the one already pending, if there is one.

        Raises: StoreError.
        """
        ...

    async def take(self, approval_id: str, now: datetime) -> bool:
        """Uses an approved one up; True for exactly one caller. Raises: StoreError."""
        ...

    async def give_back(self, approval_id: str) -> None:
        """Makes a taken one usable again (the call surely did not run). Raises: StoreError."""
        ...


class Answers(Protocol):
    """What clients hear and say of approvals while their calls wait."""

    async def waits(self, approval_id: str, now: datetime) -> bool:
        """Whether one is pending still: neither answered nor lapsed. Raises: StoreError."""
        ...

    async def answer(self, approval_id: str, granted: bool, by: str, now: datetime) -> bool:
        """The answer of the client's own user; False if somebody was first, or it lapsed. Raises: StoreError."""
        ...


class States(Protocol):
    """Which of the states that clients carry were used. Durable, and one for all gateways of a state directory."""

    async def use(self, nonce: bytes, expires_ms: int, now: datetime) -> bool:
        """Uses a state up; True for exactly one caller. Raises: StoreError."""
        ...

    async def give_back(self, nonce: bytes) -> None:
        """Makes a used one usable again (its round surely did not run). Raises: StoreError."""
        ...


class AuditLog(Protocol):
    """One record per call, in order. Entries are queued, and their records written in batches."""

    def append(self, entry: Entry) -> None:
        """Queues an entry; never blocks, never raises. A failing log turns `healthy` false."""
        ...

    @property
    def healthy(self) -> bool:
        """False while records cannot be written: then no further call may be forwarded."""
        ...

    async def close(self) -> None:
        """Writes what is queued, then closes."""
        ...


class Grants(Protocol):
    """Tokens to grants."""

    def resolve(self, token: bytes) -> Grant | None:
        """The grant of a token, or None. Compared by hash, in constant time. Raises: StoreError."""
        ...

    def edition(self) -> int:
        """While this stays the same, `resolve` says the same of every token. Raises: StoreError."""
        ...


class Bearers(Protocol):
    """Tokens that others issue, to grants."""

    def resolve(self, token: bytes, server: str) -> Grant:
        """The grant of a token for a server. Raises: GrantError; after KeysAwaited, `settle` and ask once more."""
        ...

    async def settle(self) -> None:
        """Waits, within bounds, for what the answer needs. Never raises."""
        ...


Headers = Sequence[tuple[bytes, bytes]]


class Event(msgspec.Struct, frozen=True):
    """One message on a stream.

    `data` is its JSON text (empty for a priming event or a comment); `raw` the bytes of the whole
    event as they came, blank line included, or None where the upstream has no event stream (stdio).
    `fault` says why the adapter answers in the server's stead, which proves nothing of the call.
    """

    data: bytes
    raw: bytes | None = None
    fault: str = ""


async def let_go(stream: AsyncGenerator[Any, None]) -> None:
    """Closes a stream. One that nobody began to read is begun first: only then does closing it free what it holds."""
    beginning = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)
    await stream.aclose()


class Reply(msgspec.Struct):
    """An upstream's answer to one message.

    Exactly one of these holds: `body` (whole, may be empty), `events` (an event stream), or `chunks`
    (a body of unknown length that is no event stream). `headers` are lower-case and allowlisted (G18).
    `lasting`: the events answer nothing that would end them, so they end when somebody leaves.
    """

    status: int
    headers: Headers = ()
    body: bytes | None = None
    events: AsyncGenerator[Event, None] | None = None
    chunks: AsyncGenerator[bytes, None] | None = None
    lasting: bool = False

    async def drop(self) -> None:
        """Lets go of a stream that nobody will read."""
        if self.events is not None:
            await let_go(self.events)
        if self.chunks is not None:
            await let_go(self.chunks)


class Outgoing(msgspec.Struct, frozen=True):
    """One message on its way to an upstream: the client's own bytes and its allowlisted headers.

    `session` is the upstream's own session id, or None; `method` and `id` are as judged. A message
    without a `method` answers a request of the upstream's; one without `id` is a notification.
    """

    raw: bytes
    method: str | None
    id: str | int | None
    headers: Headers = ()
    session: str | None = None
    modern: bool = False


class Upstream(Protocol):
    """The MCP server behind us."""

    def send(self, message: Outgoing) -> Awaitable[Reply]:
        """Forwards one message. Raises: Unreachable (nothing was sent), TimedOut, Broken."""
        ...

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        """The stream of messages that belong to no request (HTTP GET). Raises: UpstreamError."""
        ...

    async def end(self, headers: Headers, session: str | None) -> Reply:
        """Ends a session (HTTP DELETE). Raises: UpstreamError."""
        ...

    async def close(self) -> None:
        """Frees connections and processes, children of children included."""
        ...


class Clock(Protocol):
    """The time, as an aware UTC datetime."""

    def now(self) -> datetime: ...
