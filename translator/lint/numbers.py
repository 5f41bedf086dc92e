"""Sets of exact numbers: points and intervals, and what they have in common. Nothing else has an order here."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TypeAlias

Cut: TypeAlias = tuple[Decimal, bool]
"""A place between numbers: just before one (False) or just after it (True)."""
NumberSet: TypeAlias = tuple[Cut, ...]
"""Cuts in order; the set begins at the first, ends at the second, begins again at the third …"""

_FIRST: Cut = (Decimal("-Infinity"), False)
_LAST: Cut = (Decimal("Infinity"), True)
NO_NUMBER: NumberSet = ()
ANY_NUMBER: NumberSet = (_FIRST, _LAST)


def points(values: Iterable[Decimal]) -> NumberSet:
    """Exactly these numbers."""
    return tuple(cut for value in sorted(set(values)) for cut in ((value, False), (value, True)))


def below(value: Decimal, *, closed: bool) -> NumberSet:
    """The numbers less than `value`; with `closed`, the value too."""
    return (_FIRST, (value, closed))


def above(value: Decimal, *, closed: bool) -> NumberSet:
    """The numbers greater than `value`; with `closed`, the value too."""
    return ((value, not closed), _LAST)


def complement(one: NumberSet) -> NumberSet:
    """The numbers that are not in the set."""
    inner = one[1:] if one[:1] == (_FIRST,) else (_FIRST, *one)
    return inner[:-1] if inner[-1:] == (_LAST,) else (*inner, _LAST)


def meet(one: NumberSet, other: NumberSet) -> NumberSet:
    """The numbers that both sets have."""
    if one == ANY_NUMBER:
        return other
    if other == ANY_NUMBER:
        return one
    found: list[Cut] = []
    here = there = 0
    while here < len(one) and there < len(other):
        start = max(one[here], other[there])
        end = min(one[here + 1], other[there + 1])
        if start < end:
            found += (start, end)
        if one[here + 1] < other[there + 1]:
            here += 2
        else:
            there += 2
    return tuple(found)
