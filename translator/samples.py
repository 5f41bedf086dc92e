"""Calls around each rule, and whether the rule then fires: what a generated test of it says. Writes no Rego.

Each call changes one argument: the others are such that the rule depends on that one, and, as far as one call can
have it, such that no other rule stops the call.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

from translator.answer import answer, countable
from translator.arguments import Path, clash, holding, is_far, together
from translator.boundary import ABSENT, Value, around, text
from translator.program import Condition, Guard, Json, Limit, Number, Section, Step

REQUIRES = (Step.TOOL_REQUIRE, Step.ALL_REQUIRE)
_MAX_FIRST, _MAX_LAST = 40, 20


@dataclass(frozen=True, slots=True)
class Sample:
    """A call's arguments, and whether the rule fires on it."""

    arguments: dict[str, Json]
    fires: bool


@dataclass(frozen=True, slots=True)
class Count:
    """A call's arguments, and the amounts that the limit counts of it; None: it cannot be counted."""

    arguments: dict[str, Json]
    amounts: tuple[Number, ...] | None


def quiet(sections: Iterable[Section]) -> dict[Path, Value]:
    """A value for each path at which every rule is content, where there is one: a call that is likely to pass."""
    sections = tuple(sections)
    needs: dict[Path, list[tuple[Condition, bool]]] = {}
    for guard in chain.from_iterable(section.guards for section in sections):
        for condition in guard.conditions:
            needs.setdefault(condition.path, []).append((condition, guard.step in REQUIRES))
    spends = {
        limit.amount_path: limit for section in sections for limit in section.limits if limit.amount_path is not None
    }
    found: dict[Path, Value] = {}
    for path in (*needs, *spends):
        asked, spend = needs.get(path, []), spends.get(path)
        if not is_far(path) and not any(clash(path, other) for other in found):
            amounts = [] if spend is None else [Decimal(0), spend.max.value]
            values = around([condition for condition, _ in asked], amounts).values
            content = (value for value in values if _content(value, asked, spend))
            found[path] = next(content, ABSENT)
    return {path: value for path, value in found.items() if value is not ABSENT}


def _content(value: Value, asked: Sequence[tuple[Condition, bool]], spend: Limit | None) -> bool:
    if spend is not None and countable(value, spend.as_number) is None:
        return False
    return all(answer(condition, value) is needed for condition, needed in asked)


def of_guard(guard: Guard, calm: Mapping[Path, Value]) -> list[Sample]:
    """Calls around each condition. Empty where the conditions cannot be tried one at a time."""
    own = list(dict.fromkeys(condition.path for condition in guard.conditions))
    if not own:
        return [Sample(together(calm) or {}, fires=True)]
    if any(clash(one, other) for at, one in enumerate(own) for other in own[:at]):
        return []
    kept = {path: value for path, value in calm.items() if not any(clash(path, mine) for mine in own)}
    found: dict[str, Sample] = {}
    for path in own:
        still = _holding(guard, set(own) - {path})
        for several in _each(guard, path):
            arguments = None if still is None else holding({**kept, **still}, path, several)
            if arguments is not None:
                fires = _fires(guard, {**{each: [value] for each, value in (still or {}).items()}, path: several})
                found.setdefault(text(arguments), Sample(arguments, fires))
    return list(found.values())


def _each(guard: Guard, path: Path) -> Iterator[list[Value]]:
    """The values to try at a path; where it walks an array, also none, and one that fires beside one that does not."""
    conditions = [condition for condition in guard.conditions if condition.path == path]
    values = around(conditions).values
    if len(values) > _MAX_FIRST + _MAX_LAST:  # the types come last
        values = values[:_MAX_FIRST] + values[-_MAX_LAST:]
    yield from ([value] for value in values)
    if "*" in path[1:]:
        yield []
        quiet_ones = [value for value in values if not _fires(guard, {path: [value]}, conditions)]
        loud = [value for value in values if _fires(guard, {path: [value]}, conditions)]
        if quiet_ones and loud:
            yield [quiet_ones[-1], loud[0]]
            yield [quiet_ones[0], quiet_ones[-1]]


def _holding(guard: Guard, paths: Iterable[Path]) -> dict[Path, Value] | None:
    """A value for each path at which the guard depends on the other paths alone; None where there is none."""
    found: dict[Path, Value] = {}
    for path in paths:
        conditions = [condition for condition in guard.conditions if condition.path == path]
        values = around(conditions).values
        value = next((each for each in values if all(answer(one, each) is True for one in conditions)), None)
        if value is None:
            return None
        found[path] = value
    return found


def _fires(guard: Guard, found: Mapping[Path, Sequence[Value]], conditions: Sequence[Condition] | None = None) -> bool:
    """Does the guard fire on what its paths found? Source: policy-semantics, section 5, "Use"."""
    answers = [
        [answer(condition, value) for value in found[condition.path] or [ABSENT]]
        for condition in (guard.conditions if conditions is None else conditions)
    ]
    if guard.step in REQUIRES:
        return any(each is not True for given in answers for each in given)
    return all(any(each is not False for each in given) for given in answers)


def of_limit(limit: Limit, calm: Mapping[Path, Value]) -> list[Count]:
    """Calls around what the limit can count, each with its amounts."""
    path = limit.amount_path
    if path is None:
        return [Count(together(calm) or {}, (limit.increment,))]
    kept = {each: value for each, value in calm.items() if each == path or not clash(each, path)}
    values = around((), [Decimal(0), limit.max.value], limit.as_number).values
    tried: list[list[Value]] = [[value] for value in values]
    if "*" in path[1:]:
        good = [value for value in values if countable(value, limit.as_number) is not None]
        tried += [[], [good[0], good[-1]], [good[0], ABSENT]]
    found: dict[str, Count] = {}
    for several in tried:
        arguments = holding(kept, path, several)
        if arguments is not None:
            amounts = [countable(value, limit.as_number) for value in several] or [None]
            counted = tuple(amount for amount in amounts if amount is not None)
            found.setdefault(text(arguments), Count(arguments, counted if len(counted) == len(amounts) else None))
    return list(found.values())
