"""The values of one argument that matter to conditions on it, however deep their paths, as a conversation.

No condition is judged here: whoever drives the conversation is told values and answers which of them it can tell
apart. So one value of each kind is left, and a combination of them stays small.
"""

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain, combinations, islice, product
from typing import TypeAlias

from translator.boundary import ABSENT, Absent, Around, Value, around, text
from translator.emit import INDEX
from translator.program import Condition, Json, Op

MAX_VALUES = 3_000
"""At one place, before they are told apart; more are cut, and the space says so."""
_MAX_INDEX = 8
_CUT = "too many combinations of values"

Conversation: TypeAlias = Generator[Sequence[Value], Sequence[Hashable], Around]
"""Yields values of the argument, is sent one mark for each (equal marks: no difference), returns what is left."""
_Whole: TypeAlias = Callable[[Value], Value] | None
_FILLER = "other"


@dataclass(slots=True)
class Place:
    """What is asked of the value at one path, and of what is inside it. An amount's bounds are numbers that matter."""

    conditions: list[Condition] = field(default_factory=list)
    amounts: list[Decimal] = field(default_factory=list)
    numeric_text: bool = False
    children: "dict[str, Place]" = field(default_factory=dict)

    def at(self, path: Iterable[str]) -> "Place":
        """The place at a path from here, made where it is not yet."""
        place = self
        for segment in path:
            place = place.children.setdefault(segment, Place())
        return place

    def add(self, condition: Condition) -> None:
        """Asks a condition, at the end of its path."""
        place = self.at(condition.path)
        if condition not in place.conditions:
            place.conditions.append(condition)

    @property
    def asked(self) -> bool:
        """Is anything asked of the value itself?"""
        return bool(self.conditions or self.amounts)

    def size(self) -> int:
        """How many questions are asked here and inside."""
        return len(self.conditions) + bool(self.amounts) + sum(child.size() for child in self.children.values())


def space(place: Place) -> Conversation:
    """The values of the argument at this place."""
    return _space(place, lambda value: value, ())


def _space(place: Place, whole: _Whole, more: Iterable[Value]) -> Conversation:
    own = around(place.conditions, place.amounts, place.numeric_text)
    values = [*(own.values if place.asked else (ABSENT,)), *more]
    gaps = [own.gap]
    if place.children:
        inner = yield from _inside(place, whole)
        values += inner.values
        gaps.append(inner.gap)
    if whole is not None and len(values) > 1:
        values = yield from _told_apart(values, whole)
    return _bounded(values, gaps)


def _told_apart(
    values: Sequence[Value], whole: Callable[[Value], Value]
) -> Generator[Sequence[Value], Sequence[Hashable], list[Value]]:
    marks = yield [whole(value) for value in values]
    shortest: dict[Hashable, Value] = {}
    for mark, value in zip(marks, values, strict=True):
        if mark not in shortest or _length(value) < _length(shortest[mark]):
            shortest[mark] = value
    return list(shortest.values())


def _length(value: Value) -> int:
    return 0 if isinstance(value, Absent) else len(text(value))


def _inside(place: Place, whole: _Whole) -> Conversation:
    """Objects and arrays that hold what is asked of members and elements."""
    indexes = [int(segment) for segment in place.children if INDEX.fullmatch(segment)]
    star = place.children.get("*")
    gaps = []
    found: dict[str, tuple[Value, ...]] = {}
    for segment, child in place.children.items():
        alone = child is star and not indexes
        inner = yield from _space(child, _inner(segment, whole, alone), _elements(place) if alone else ())
        found[segment] = inner.values
        gaps.append(inner.gap)
    values: list[Iterable[Value]] = []
    if place.asked or len(found) > max(len(indexes), star is not None):
        values.append(_objects(found, place))
    if indexes and max(indexes) > _MAX_INDEX:
        gaps.append("an index too far into an array")
    elif indexes and star is not None:
        merged = yield from _space(_merged(place), None, _elements(place))
        values.append(_rows([merged.values] * (max(indexes) + 1), merged.values))
        gaps.append(merged.gap)
    elif indexes:
        rows = _rows([found.get(str(at), (_FILLER,)) for at in range(max(indexes) + 1)], None)
        values.append(_longer(rows, list(map(_element, _elements(place)))))
    elif star is not None:
        values.append(_bags(found["*"], 2 * place.size(), place))
    return _bounded(chain.from_iterable(values), gaps)


def _bounded(values: Iterable[Value], gaps: Iterable[str]) -> Around:
    kept = list(islice(values, MAX_VALUES + 1))
    cut = (_CUT,) if len(kept) > MAX_VALUES else ()
    return Around(tuple(kept[:MAX_VALUES]), "; ".join(dict.fromkeys(filter(None, (*gaps, *cut)))))


def _inner(segment: str, whole: _Whole, in_array: bool) -> _Whole:
    """How a value stands in the whole argument when it is asked alone: in an array, or as a member."""
    if whole is None:
        return None
    if in_array:
        return lambda value: whole([_element(value)])
    return lambda value: whole(_object({segment: value}))


def _element(value: Value) -> Json:
    return None if isinstance(value, Absent) else value


def _object(members: Mapping[str, Value]) -> Json:
    return {name: value for name, value in members.items() if not isinstance(value, Absent)}


def _elements(place: Place) -> list[Value]:
    """The elements that the array's own conditions ask for."""
    return [condition.value for condition in place.conditions if condition.op is Op.CONTAINS]


def _merged(place: Place) -> Place:
    """One place for every element of an array that is met by index and by `*`."""
    whole = Place()
    for segment, child in place.children.items():
        if segment == "*" or INDEX.fullmatch(segment):
            _pour(child, whole)
    return whole


def _pour(place: Place, into: Place) -> None:
    into.conditions += [condition for condition in place.conditions if condition not in into.conditions]
    into.amounts += place.amounts
    into.numeric_text |= place.numeric_text
    for segment, child in place.children.items():
        _pour(child, into.at((segment,)))


def _objects(found: Mapping[str, Sequence[Value]], place: Place) -> Iterator[Value]:
    """Every combination of members, with one more where a whole object is compared."""
    more: dict[str, Json] = {_FILLER: True} if any(_holds(one, dict) for one in place.conditions) else {}
    for values in product(*found.values()):
        yield _object(dict(zip(found, values, strict=True)) | more)


def _rows(columns: Sequence[Sequence[Value]], rest: Sequence[Value] | None) -> Iterator[list[Json]]:
    """Arrays by position. With `rest` their length matters: every shorter one, and one or two elements more."""
    if rest is None:
        yield from (list(map(_element, row)) for row in product(*columns))
        return
    wide = [*columns, rest, rest]
    for length in range(len(wide) + 1):
        yield from (list(map(_element, row)) for row in product(*wide[:length]))


def _longer(rows: Iterable[list[Json]], asked: Sequence[Json]) -> Iterator[Value]:
    """Each row, and with each set of the elements that the array itself is asked for behind it."""
    for row in rows:
        for size in range(len(asked) + 1):
            yield from ([*row, *chosen] for chosen in combinations(asked, size))


def _bags(elements: Sequence[Value], asked: int, place: Place) -> Iterator[Value]:
    """Arrays of which only what is in them matters: each question needs at most one element to answer it."""
    compared = any(_holds(one, list) for one in place.conditions)
    yield []
    for size in range(1, min(asked, len(elements)) + 1):
        for chosen in combinations(map(_element, elements), size):
            yield list(chosen)
            if compared:
                yield [*chosen, chosen[-1]]


def _holds(condition: Condition, kind: type) -> bool:
    value = condition.value
    return isinstance(value, kind) or (isinstance(value, list) and any(isinstance(each, kind) for each in value))
