"""The values around conditions: just inside, at, just outside, of every other type, absent. Judges none of them.

Nothing here knows rules, tools or Rego; `space` puts the values into arguments.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from enum import Enum
from itertools import combinations, pairwise, product
from typing import Final, TypeAlias

from translator import literal
from translator.number import number
from translator.program import Condition, Json, Number, Op
from translator.specimen import matcher, specimens


class Absent(Enum):
    """The value of an argument that is left out."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
Value: TypeAlias = "Json | Absent"

_ORDER = (Op.LT, Op.LTE, Op.GT, Op.GTE)
_LISTS = (Op.IN, Op.NOT_IN)
_EXACT = Context(prec=4096, Emax=MAX_EMAX, Emin=MIN_EMIN)
_MAX_STEP_DIGITS = 17
_MAX_PARTS = 5
_SEPARATORS = " |~_/:;,."


@dataclass(frozen=True, slots=True)
class Around:
    """Values that stand for all values at one place. A `gap` says why they may not; empty: they do."""

    values: tuple[Value, ...]
    gap: str = ""


def around(conditions: Sequence[Condition], amounts: Iterable[Decimal] = (), numeric_text: bool = False) -> Around:
    """The values at which the conditions on one place may change their answers, and one of each other kind.

    `amounts` are further numbers that matter there; with `numeric_text` strings are read as numbers, too.
    """
    texts = _Texts(conditions)
    operands = [operand for condition in conditions if not condition.as_number for operand in _operands(condition)]
    bounds = {each.value for one in conditions for each in _operands(one) if isinstance(each, Number)}
    numbers = neighbours({*bounds, *amounts}) or [_NUMBER]
    as_text = numeric_text or any(condition.as_number for condition in conditions)
    filler = texts.other
    values: list[Value] = [ABSENT, *numbers]
    values += texts.values()
    values += [spelt for each in numbers for spelt in _spelt(each)] if as_text else []
    values += [True, False]
    values += [*_arrays(conditions, filler), *(operand for operand in operands if isinstance(operand, list))]
    values += [{filler: True}, *(operand for operand in operands if isinstance(operand, dict)), None]
    mixed = "a text is read as a number and as a text" if as_text and texts.parts_or_patterns else ""
    return Around(tuple(_distinct(values)), texts.gap() or mixed)


def neighbours(bounds: Iterable[Decimal]) -> list[Number]:
    """Each bound, the numbers one step beside it, and at least one between any two, in order; all exact."""
    ordered = sorted(set(bounds))
    found = set(ordered)
    for low, high in pairwise(ordered):
        inner = [each for each in (_above(low), _below(high)) if low < each < high]
        found.update(inner or [_EXACT.divide(_EXACT.add(low, high), Decimal(2))])
    if ordered:
        found |= {_below(ordered[0]), _above(ordered[-1])}
    return [each for value in sorted(found) if (each := number(literal.number(value))) is not None]


def _step(value: Decimal) -> Decimal:
    """One unit of the last digit that was written, or of the eighteenth where there are more."""
    exponent = value.as_tuple().exponent
    last = min(exponent if isinstance(exponent, int) else 0, 0)
    return Decimal((0, (1,), max(last, value.adjusted() - _MAX_STEP_DIGITS) if value else 0))


def _above(value: Decimal) -> Decimal:
    return _EXACT.add(value, _step(value))


def _below(value: Decimal) -> Decimal:
    return _EXACT.subtract(value, _step(value))


_NUMBER = Number("7", Decimal(7))


def _operands(condition: Condition) -> list[Json]:
    value = condition.value
    if condition.op in _LISTS and isinstance(value, list):
        return value
    return [] if condition.op in (Op.REGEX, Op.EXISTS, Op.CONTAINS) else [value]


def _spelt(each: Number) -> tuple[str, ...]:
    text = literal.number(each.value)
    return (text,) if "e" in text else (text, f"{text}e0")


class _Texts:
    """The strings that matter to the conditions on one place."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        plain = [condition for condition in conditions if not condition.as_number]
        self._literals = [each for one in plain for each in _operands(one) if isinstance(each, str)]
        self._parts = _strings(condition.value for condition in plain if condition.op is Op.CONTAINS)
        self._patterns = _strings(condition.value for condition in plain if condition.op is Op.REGEX)
        self.parts_or_patterns = bool(self._parts or self._patterns)
        self.other = self._other()

    def values(self) -> list[str]:
        near = [text for each in self._literals for text in (f"{each} ", each.swapcase())]
        return [*self._literals, *near, *self._free()]

    def _free(self) -> list[str]:
        """Strings that are no literal's neighbours on purpose: with each set of the parts, and of each pattern."""
        made = [found for each in self._patterns for found in _both_sides(each)]
        made += [f"{left}{right}" for left, right in product(made[:8], self._parts[:_MAX_PARTS])]
        separator = next((each for each in _SEPARATORS if not any(each in part for part in self._parts)), "\n")
        sets = (chosen for size in range(1, _MAX_PARTS + 1) for chosen in combinations(self._parts[:_MAX_PARTS], size))
        return ["", self.other, *(separator.join(("", *chosen, "")) for chosen in sets), *made]

    def gap(self) -> str:
        """Why these strings may not stand for all; empty when each possible set of answers was met."""
        if len(self._parts) > _MAX_PARTS:
            return f"more than {_MAX_PARTS} texts to contain in one place"
        matchers = [matcher(pattern) for pattern in self._patterns]
        contained = {self._held(text) for text in self.values()}
        free = set(self.values()) - set(self._literals)
        met = {(self._held(text), *(matches(text) for matches in matchers)) for text in free}
        if len(met) == len(contained) * 2 ** len(matchers):
            return ""
        return f"regex {' and '.join(map(literal.note, self._patterns))}: not every text could be tried"

    def _held(self, text: str) -> frozenset[str]:
        return frozenset(part for part in self._parts if part in text)

    def _other(self) -> str:
        taken = {*self._literals}
        text = "other"
        while text in taken or any(part in text for part in self._parts if part):
            text = chr(ord(text[0]) + 1) * (len(text) % 5 + 1)
        return text


def _strings(values: Iterable[Json]) -> list[str]:
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))


def _both_sides(pattern: str) -> tuple[str, ...]:
    found = specimens(pattern)
    return (*found.inside, *found.outside)


def _arrays(conditions: Sequence[Condition], filler: str) -> Iterator[list[Json]]:
    """The empty array, one of another element, one for each set of elements asked for, and a literal's neighbours."""
    asked = _distinct(one.value for one in conditions if one.op is Op.CONTAINS)[:_MAX_PARTS]
    yield []
    for size in range(len(asked) + 1):
        for chosen in combinations(asked, size):
            yield [filler, *(each for each in chosen if not isinstance(each, Absent))]
    for each in (operand for condition in conditions for operand in _operands(condition)):
        if isinstance(each, list):
            yield [*each, filler]


def text(value: Value) -> str:
    """The value as JSON text, on one line."""
    return "absent" if isinstance(value, Absent) else literal.value(value)


def _distinct(values: Iterable[Value]) -> list[Value]:
    return list({text(value): value for value in values}.values())
