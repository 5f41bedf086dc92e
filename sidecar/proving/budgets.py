"""What limits permit at most, and when one limit makes another needless. Arithmetic only; asks nothing.

Source: policy-semantics, section 7.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import TypeAlias

import msgspec

from sidecar.core.limits import window_s
from sidecar.proving.parts import Side
from translator.emit import path_text
from translator.program import Limit

DAY_S = 86_400
EXACT = Context(prec=4096, Emax=MAX_EMAX, Emin=MIN_EMIN)
Key: TypeAlias = tuple[str, str, int]
"""A counter: scope, name, window in seconds."""
Counted: TypeAlias = Decimal | tuple[object, ...]
"""What one call adds: a fixed number, or the amount at a path."""

_SCOPES = ("session", "grant", "server")


@dataclass(frozen=True, slots=True)
class Budgets:
    """The limits of one policy: for each tool its maxima, for each counter what every tool adds to it."""

    limits: Mapping[str, Mapping[Key, Decimal]]
    added: Mapping[Key, Mapping[str, Counted]] = field(default_factory=dict)


class Most(msgspec.Struct, frozen=True):
    """The most that one grant can do in a day. None is without bound. `of` names the counter, or counters."""

    most: str | None
    of: str


def budgets(sides: Mapping[str, Side]) -> Budgets:
    """The limits of a policy, by tool."""
    limits: dict[str, dict[Key, Decimal]] = {}
    added: dict[Key, dict[str, Counted]] = {}
    for tool, side in sides.items():
        own = limits.setdefault(tool, {})
        for limit in side.limits if side.reached else ():
            key = (limit.scope, limit.counter, window_s(limit.window))
            own[key] = min(limit.max.value, own.get(key, limit.max.value))
            added.setdefault(key, {})[tool] = _counted(limit)
    return Budgets(limits, added)


def _counted(limit: Limit) -> Counted:
    return limit.increment.value if limit.amount_path is None else (limit.amount_path, limit.as_number)


def at_least_as_strict(one: Budgets, other: Budgets, tool: str) -> bool:
    """Do the limits of `one` surely refuse every call of the tool that those of `other` refuse, at the same history?"""
    return all(
        any(_implies(one, other, tool, mine, theirs) for mine in one.limits[tool]) for theirs in other.limits[tool]
    )


def _implies(one: Budgets, other: Budgets, tool: str, mine: Key, theirs: Key) -> bool:
    """Does a call that passes `mine` always pass `theirs`? What `theirs` has counted, `mine` has counted too."""
    ours, counted = one.added[mine], other.added[theirs]
    if _SCOPES.index(mine[0]) < _SCOPES.index(theirs[0]):
        return False
    if not all(user in ours and _covers(ours[user], added) for user, added in counted.items()):
        return False
    length, other_length = mine[2], theirs[2]
    if length % other_length and other_length % length:
        return False
    most, least = one.limits[tool][mine], other.limits[tool][theirs]
    mine_step, their_step = _step(ours.values()), _step(counted.values())
    if mine_step and their_step:
        most, least = EXACT.divide_int(most, mine_step), EXACT.divide_int(least, their_step)
    return EXACT.multiply(most, Decimal(max(other_length // length, 1))) <= least


def _covers(mine: Counted, theirs: Counted) -> bool:
    if isinstance(mine, Decimal) and isinstance(theirs, Decimal):
        return mine >= theirs
    return mine == theirs


def _step(added: Iterable[Counted]) -> Decimal | None:
    """The number that every call adds, where it is the same for all."""
    found = set(added)
    step = next(iter(found), None)
    return step if len(found) == 1 and isinstance(step, Decimal) else None


def most_calls(side: Side) -> Most:
    """The most calls of the tool that one grant can make in a day, as its limits have it."""
    found = [
        (_in_a_day(limit, EXACT.divide_int(limit.max.value, limit.increment.value)), limit.counter)
        for limit in side.limits
        if limit.amount_path is None and limit.scope != "session"
    ]
    if not found:
        return Most(None, "")
    most, of = min(found)
    return Most(text_of(most), of)


def most_spend(side: Side) -> list[Most]:
    """The most that one grant can spend in a day through the tool, for each amount that a limit sums up."""
    found: dict[str, tuple[Decimal, str] | None] = {}
    for limit in side.limits:
        if limit.amount_path is not None:
            path = path_text(limit.amount_path)
            before = found.get(path)
            if limit.scope == "session":
                found[path] = before
            else:
                here = (_in_a_day(limit, limit.max.value), limit.counter)
                found[path] = min(before, here) if before else here
    return [
        Most(None, path) if most is None else Most(text_of(most[0]), f"{path} by {most[1]}")
        for path, most in found.items()
    ]


def _in_a_day(limit: Limit, each: Decimal) -> Decimal:
    """A day is one of the calendar, in UTC. Windows that do not divide it, or that it does not divide, may reach in."""
    length = window_s(limit.window)
    if length >= DAY_S:
        return EXACT.multiply(each, Decimal(2 if length % DAY_S else 1))
    return EXACT.multiply(each, Decimal(DAY_S // length + (2 if DAY_S % length else 0)))


def text_of(value: Decimal) -> str:
    """A number for people and programs, exact."""
    from translator.literal import number

    return number(value)
