"""Counters in Redis, for several gateways. Each round of reservations is one script: Redis is the only truth."""

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import TypeAlias

from sidecar.core.limits import Claim, epoch_s
from sidecar.errors import StoreError, StoreSilent
from sidecar.ports import Refused, Reservation
from sidecar.redis import Redis, Script

SLACK_S = 3600
"""How long a counter is kept after its window has ended: clocks differ, and what is under way may come back."""

ROUND = 100
"""The most callers that one script serves, so that Redis is never busy for long."""

UNDO_S = 60
"""How long an answer that was lost can be asked for again, or undone."""

UNDO_EVERY_S = 0.2
UNDO_MOST = 1000

_EXPONENT = 100_000
_INEXACT, _DAMAGED = "-1", "-2"
_FAULTS = {_INEXACT: "A counter cannot be kept exactly.", _DAMAGED: "What Redis holds for a counter is none."}
_Taken: TypeAlias = Reservation | Refused
_At: TypeAlias = tuple[str, int]


def _script(name: str) -> Script:
    here = files("sidecar.counters")
    return Script(*((here / f"{part}.lua").read_text("utf-8") for part in ("decimal", name)))


TAKE = _script("take")
GIVE_BACK = _script("give_back")


@dataclass(slots=True)
class _Asked:
    """One caller who waits, and what it would take: a counter met twice is added to once, by the larger amount."""

    claims: Sequence[Claim]
    taken: dict[_At, Claim]
    answer: "asyncio.Future[_Taken]"


@dataclass(frozen=True, slots=True)
class _Undo:
    """Amounts to be taken off again: a round's whose answer was lost, or a reservation's."""

    token: str
    kind: str
    taken: Sequence[tuple[str, int, str, int]]
    until_s: float


class RedisCounters:
    """The port `Counters` over one Redis, shared by every gateway with the same `prefix`.

    Who asks while a round is under way waits for the next one. A round has a token: asked again after the connection
    broke, Redis answers as before; and a round whose answer was lost is undone as soon as Redis answers, for its
    callers were denied. What cannot be undone within a minute stays counted. A caller who is cancelled has taken
    nothing, or it is given back.
    """

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._waiting: deque[_Asked] = deque()
        self._undo: deque[_Undo] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._undoing: asyncio.Task[None] | None = None

    async def reserve(self, claims: Sequence[Claim]) -> Reservation | Refused:
        """All claims taken at once, or none. Raises: StoreError."""
        if not claims:
            return Reservation(())
        if not all(map(_is_countable, claims)):
            raise StoreError(_FAULTS[_INEXACT])
        asked = _Asked(claims, _taken(claims), asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return await asked.answer

    async def rollback(self, reservation: Reservation, now: datetime) -> None:
        """Gives a reservation back to windows that have not ended, never below zero. Raises: StoreError."""
        at = epoch_s(now)
        taken = [(key, start, amount, 1) for key, start, end, amount in reservation.taken if at < end]
        if taken:
            await self._give_back(_Undo(_token(), "given", taken, 0))

    async def close(self) -> None:
        """Ends what is under way; who waits is denied. The Redis stays open."""
        tasks = [task for task in (self._serving, self._undoing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self) -> None:
        """Rounds, until nobody waits."""
        asked: list[_Asked] = []
        try:
            while self._waiting:
                count = min(ROUND, len(self._waiting))
                asked = [one for one in (self._waiting.popleft() for _ in range(count)) if not one.answer.done()]
                if asked:
                    await self._round(asked)
        finally:
            _fail([*asked, *self._waiting], StoreError("The gateway gave up asking Redis."))
            self._waiting.clear()
            self._serving = None

    async def _round(self, asked: Sequence[_Asked]) -> None:
        token = _token()
        keys: dict[_At, int] = {}
        arguments: list[str | int] = [UNDO_S * 1000, SLACK_S * 1000, len(asked)]
        for one in asked:
            _encode(one, keys, arguments)
        names = [f"{self._prefix}round:{token}", *(self._name(*at) for at in keys)]
        try:
            answers = _read(await self._redis.run(TAKE, names, arguments), len(asked))
        except StoreError as error:
            if isinstance(error, StoreSilent):
                self._undo_later(token, "round", asked)
            _fail([*asked, *self._waiting], error)
            self._waiting.clear()
            return
        for one, answer in zip(asked, answers, strict=True):
            if not one.answer.done():
                _tell(one, answer)
            elif answer == "0":
                self._undo_later(_token(), "given", [one])

    async def _give_back(self, undo: _Undo) -> None:
        keys: dict[_At, int] = {}
        arguments: list[str | int] = [UNDO_S * 1000, undo.kind]
        for key, start, amount, caller in undo.taken:
            arguments += (_place((key, start), keys), _text(Decimal(amount)), caller)
        names = [f"{self._prefix}round:{undo.token}", *(self._name(*at) for at in keys)]
        await self._redis.run(GIVE_BACK, names, arguments)

    def _undo_later(self, token: str, kind: str, asked: Sequence[_Asked]) -> None:
        taken = [
            (*at, str(claim.amount), caller) for caller, one in enumerate(asked, 1) for at, claim in one.taken.items()
        ]
        if len(self._undo) >= UNDO_MOST:
            return
        self._undo.append(_Undo(token, kind, taken, asyncio.get_running_loop().time() + UNDO_S))
        if self._undoing is None:
            self._undoing = asyncio.create_task(self._undo_all())

    async def _undo_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._undo:
                if loop.time() >= self._undo[0].until_s:
                    self._undo.popleft()
                    continue
                try:
                    await self._give_back(self._undo[0])
                except StoreError:
                    await asyncio.sleep(UNDO_EVERY_S)
                else:
                    self._undo.popleft()
        finally:
            self._undoing = None

    def _name(self, key: str, start: int) -> str:
        return f"{self._prefix}counter:{start}:{key}"


def _is_countable(claim: Claim) -> bool:
    return claim.amount >= 0 and all(abs(number.adjusted()) <= _EXPONENT for number in (claim.amount, claim.max))


def _taken(claims: Sequence[Claim]) -> dict[_At, Claim]:
    taken: dict[_At, Claim] = {}
    for claim in claims:
        at = (claim.key, claim.window_start)
        if at not in taken or claim.amount > taken[at].amount:
            taken[at] = claim
    return taken


def _encode(one: _Asked, keys: dict[_At, int], arguments: list[str | int]) -> None:
    """Adds a caller to a round's arguments, in the order in which `take.lua` reads them."""
    arguments.append(len(one.claims))
    for claim in one.claims:
        arguments += (_place((claim.key, claim.window_start), keys), _text(claim.amount), _text(claim.max))
    arguments.append(len(one.taken))
    for at, claim in one.taken.items():
        arguments += (_place(at, keys), _text(claim.amount), claim.window_end)


def _place(at: _At, keys: dict[_At, int]) -> int:
    """Where a counter is among a script's KEYS, of which the first is the token."""
    return keys.setdefault(at, len(keys) + 2)


def _text(number: Decimal) -> str:
    """Digits and exponent, as the scripts read a number that is not below zero."""
    sign, digits, exponent = number.as_tuple()
    return f"{'-' * sign}{''.join(map(str, digits))}e{exponent}" if number else "0e0"


def _read(answer: object, count: int) -> list[str]:
    """A round's answers, one for each caller. Raises: StoreError (off shape, or undone)."""
    answers = answer.decode("ascii", "replace").split(",") if isinstance(answer, bytes) else []
    if len(answers) != count or not all(one.removeprefix("-").isdigit() for one in answers):
        raise StoreError("Redis answered what cannot be read.")
    return answers


def _tell(one: _Asked, answer: str) -> None:
    if answer in _FAULTS:
        one.answer.set_exception(StoreError(_FAULTS[answer]))
    elif answer == "0":
        taken = tuple((*at, claim.window_end, str(claim.amount)) for at, claim in one.taken.items())
        one.answer.set_result(Reservation(taken))
    else:
        one.answer.set_result(Refused(int(answer) - 1))


def _fail(asked: Sequence[_Asked], error: StoreError) -> None:
    for one in asked:
        if not one.answer.done():
            one.answer.set_exception(error)


def _token() -> str:
    return secrets.token_hex(16)
