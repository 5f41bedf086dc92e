"""Calls made one after another under the limits of two policies, to find one that only one of them lets pass.

Counts as the gateway's counters do, in memory. Finding none proves nothing; `budgets` proves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias

from sidecar.core.decision import Limit
from sidecar.core.limits import Claim, add, claims, subtract
from sidecar.proving.budgets import EXACT

MAX_STEPS = 2_000
_START = datetime(1970, 1, 1, tzinfo=UTC)
"""Every window begins here."""

Direction: TypeAlias = Literal["looser", "stricter"]
State: TypeAlias = dict[tuple[str, int], Decimal]


@dataclass(frozen=True, slots=True)
class Move:
    """One call that both policies would let pass if they had no limits, and what each wants counted."""

    tool: str
    arguments: str
    old: tuple[Limit, ...]
    new: tuple[Limit, ...]
    grant: str = "g"
    session: str = "s"


@dataclass(frozen=True, slots=True)
class Repeated:
    """So many times this call, so many seconds after the start of all windows."""

    move: Move
    times: int
    at_s: int


@dataclass(slots=True)
class Found:
    """A call that one policy refuses, and those made before it, which both let pass."""

    before: tuple[Repeated, ...]
    last: Repeated


@dataclass(slots=True)
class _Run:
    now: datetime = _START
    old: State = field(default_factory=dict)
    new: State = field(default_factory=dict)
    made: list[Repeated] = field(default_factory=list)

    @property
    def at_s(self) -> int:
        return int((self.now - _START).total_seconds())


def rush(moves: Sequence[Move], wanted: set[tuple[str, Direction]]) -> dict[tuple[str, Direction], Found]:
    """For each tool and direction wanted, a call that shows it; without those for which none was found."""
    found: dict[tuple[str, Direction], Found] = {}
    people = _people(moves)
    longest = max((_length(limit) for move in moves for limit in (*move.old, *move.new)), default=0)
    for first in people:
        if wanted <= set(found):
            break
        order = [first, *(move for move in people if move is not first)]
        run = _Run()
        for _ in range(MAX_STEPS):
            _look(run, order, wanted, found)
            if wanted <= set(found) or not (_call(run, order) or _wait(run, order)) or run.at_s > 2 * longest:
                break
    return found


def _people(moves: Sequence[Move]) -> list[Move]:
    """The moves, also by another session and another grant where a counter tells them apart."""
    scopes = {limit.scope for move in moves for limit in (*move.old, *move.new)}
    sessions = ("s", "another session") if "session" in scopes else ("s",)
    grants = ("g", "another grant") if "server" in scopes else ("g",)
    return [
        Move(move.tool, move.arguments, move.old, move.new, grant, session)
        for grant in grants
        for session in sessions
        for move in moves
    ]


def _length(limit: Limit) -> int:
    claim = claims([limit], "s", "g", None, _START)[0]
    return claim.window_end - claim.window_start


def _claims(run: _Run, move: Move) -> tuple[list[Claim], list[Claim]]:
    return (
        claims(move.old, "s", move.grant, move.session, run.now),
        claims(move.new, "s", move.grant, move.session, run.now),
    )


def _look(
    run: _Run, moves: Sequence[Move], wanted: set[tuple[str, Direction]], found: dict[tuple[str, Direction], Found]
) -> None:
    for move in moves:
        old, new = _claims(run, move)
        passes = not _exceeded(run.old, old), not _exceeded(run.new, new)
        if passes[0] != passes[1]:
            direction: Direction = "stricter" if passes[0] else "looser"
            shown = (move.tool, direction)
            if shown in wanted and shown not in found:
                found[shown] = Found(tuple(run.made), Repeated(move, 1, run.at_s))


def _exceeded(state: State, asked: Sequence[Claim]) -> list[Claim]:
    return [
        claim
        for claim in asked
        if add(state.get((claim.key, claim.window_start), Decimal(0)), claim.amount) > claim.max
    ]


def _call(run: _Run, moves: Sequence[Move]) -> bool:
    """Makes the first call that both let pass, as often as both do. False: there is none that counts anything."""
    for move in moves:
        asked = _claims(run, move)
        times = min(
            (
                _left(state, claim)
                for state, side in zip((run.old, run.new), asked, strict=True)
                for claim in side
                if claim.amount
            ),
            default=0,
        )
        if times >= 1 and not any(map(_exceeded, (run.old, run.new), asked)):
            for state, side in zip((run.old, run.new), asked, strict=True):
                _take(state, side, times)
            run.made.append(Repeated(move, times, run.at_s))
            return True
    return False


def _left(state: State, claim: Claim) -> int:
    room = subtract(claim.max, state.get((claim.key, claim.window_start), Decimal(0)))
    return max(int(EXACT.divide_int(room, claim.amount)), 0)


def _take(state: State, asked: Sequence[Claim], times: int) -> None:
    """As the counters do: one counter that a call meets twice is added to once, by the larger amount."""
    taken: dict[tuple[str, int], Decimal] = {}
    for claim in asked:
        at = (claim.key, claim.window_start)
        taken[at] = max(claim.amount, taken.get(at, claim.amount))
    for at, amount in taken.items():
        state[at] = add(state.get(at, Decimal(0)), EXACT.multiply(amount, Decimal(times)))


def _wait(run: _Run, moves: Sequence[Move]) -> bool:
    """Lets time pass until some window ends that keeps a call from passing. False: none does."""
    ends = [
        claim.window_end
        for move in moves
        for state, side in zip((run.old, run.new), _claims(run, move), strict=True)
        for claim in _exceeded(state, side)
        if claim.amount <= claim.max
    ]
    if not ends:
        return False
    run.now = _START + timedelta(seconds=min(ends))
    return True
