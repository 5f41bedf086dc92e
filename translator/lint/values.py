"""Sets of argument values: those that make a condition true, those that do not make it false, what sets share.

A set is exact for types, numbers and listed values. Of patterns it knows only that a text matches or does not, so a set
that is not empty may still have no member; one that is empty has none. No rules and no paths.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from translator.kinds import KINDS, Kind, key, kind_of
from translator.lint.numbers import ANY_NUMBER, NumberSet, above, below, complement, meet, points
from translator.program import Condition, Json, Number, Op

_ORDER = {Op.LT: (below, False), Op.LTE: (below, True), Op.GT: (above, False), Op.GTE: (above, True)}
_NEGATED = (Op.NEQ, Op.NOT_IN)
_BOTH: frozenset[Hashable] = frozenset({key(True), key(False)})


@dataclass(frozen=True, slots=True)
class Some:
    """Values of one type.

    `listed` are the only ones, or with `but` the only ones missing. `said` are tests they pass (True) or fail. For
    strings, `numeric` says which number a text that reads as one may have, `other` whether it may be another text.
    For numbers `numeric` is the set itself, and `other` has no meaning.
    """

    listed: frozenset[Hashable] = frozenset()
    but: bool = True
    said: frozenset[tuple[bool, Hashable]] = frozenset()
    numeric: NumberSet = ANY_NUMBER
    other: bool = True

    @property
    def is_empty(self) -> bool:
        """Is there surely no such value?"""
        if self.listed >= _BOTH if self.but else not self.listed:
            return True
        if not self.numeric and not self.other:
            return True
        return any((not passed, test) in self.said for passed, test in self.said)

    def meet(self, also: "Some") -> "Some":
        """The values that are in both."""
        if self.but and also.but:
            listed, but = self.listed | also.listed, True
        elif self.but or also.but:
            some, out = (also, self) if self.but else (self, also)
            listed, but = some.listed - out.listed, False
        else:
            listed, but = self.listed & also.listed, False
        return Some(listed, but, self.said | also.said, meet(self.numeric, also.numeric), self.other and also.other)

    def complement(self) -> "Some":
        """The values that are not in it. Only for what one condition says, which is one thing."""
        if self == ALL:
            return NONE
        if self.is_empty:
            return ALL
        if self.said:
            ((passed, test),) = self.said
            return Some(said=frozenset({(not passed, test)}))
        if self.numeric != ANY_NUMBER or not self.other:
            return Some(numeric=complement(self.numeric), other=not self.other)
        return replace(self, but=not self.but)


ALL = Some()
NONE = Some(but=False)


@dataclass(frozen=True, slots=True)
class Values:
    """What an argument may be: absent, or a value of some type."""

    absent: bool = True
    kinds: Mapping[Kind, Some] = field(default_factory=lambda: dict.fromkeys(KINDS, ALL))

    @property
    def is_empty(self) -> bool:
        """Can an argument surely not be so?"""
        return not self.absent and all(some.is_empty for some in self.kinds.values())

    def meet(self, also: "Values") -> "Values":
        """What is in both."""
        kinds = {kind: some.meet(also.kinds[kind]) for kind, some in self.kinds.items()}
        return Values(self.absent and also.absent, kinds)

    def complement(self) -> "Values":
        """What is not in it. Only for the set of one condition."""
        kinds = {kind: some.complement() for kind, some in self.kinds.items()}
        if kinds["number"] != ALL:
            kinds["number"] = replace(kinds["number"], other=False)
        return Values(not self.absent, kinds)


ANYTHING = Values()


def true_of(condition: Condition) -> Values:
    """The values that make the condition true."""
    return _values(condition, NONE)


def open_of(condition: Condition) -> Values:
    """The values that make the condition true or undetermined: a `deny_if` fires on them."""
    return _values(condition, ALL)


def _values(condition: Condition, undetermined: Some) -> Values:
    """Source: policy-semantics, section 5."""
    if condition.op is Op.EXISTS:
        present = ALL if condition.value else NONE
        return Values(not condition.value, dict.fromkeys(KINDS, present))
    judged = _numeric(condition) if condition.as_number else _judged(condition)
    if condition.as_number:
        judged["string"] = replace(judged["number"], other=undetermined is ALL)
        judged["number"] = replace(judged["number"], other=False)
    return Values(False, {kind: judged.get(kind, undetermined) for kind in KINDS})


def _numeric(condition: Condition) -> dict[Kind, Some]:
    value = condition.value
    if condition.op in _ORDER:
        return _ordered(condition)
    numbers = value if isinstance(value, list) else [value]
    listed = points(_decimal(number) for number in numbers)
    return {"number": _number(complement(listed) if condition.op in _NEGATED else listed)}


def _ordered(condition: Condition) -> dict[Kind, Some]:
    make, closed = _ORDER[condition.op]
    return {"number": _number(make(_decimal(condition.value), closed=closed))}


def _number(numbers: NumberSet) -> Some:
    return Some(numeric=numbers, other=False)


def _decimal(value: Json) -> Decimal:
    assert isinstance(value, Number)
    return value.value


def _judged(condition: Condition) -> dict[Kind, Some]:
    """The values that make it true, by the types it can judge."""
    op, value = condition.op, condition.value
    match op:
        case Op.LT | Op.LTE | Op.GT | Op.GTE:
            return _ordered(condition)
        case Op.REGEX:
            return {"string": _said("matches", value)}
        case Op.CONTAINS:
            held = _said("contains", value)
            return {"array": held, "string": held} if isinstance(value, str) else {"array": held}
        case Op.EQ | Op.NEQ:
            return _listed([value], negated=op is Op.NEQ)
        case _:
            assert isinstance(value, list)
            if not value:
                return dict.fromkeys(KINDS, ALL if op is Op.NOT_IN else NONE)
            return _listed(value, negated=op is Op.NOT_IN)


def _said(test: str, value: Json) -> Some:
    return Some(said=frozenset({(True, (test, key(value)))}))


def _listed(values: list[Json], *, negated: bool) -> dict[Kind, Some]:
    found: dict[Kind, Some] = {}
    for kind in KINDS:
        alike = [value for value in values if kind_of(value) == kind]
        if not alike:
            continue
        if kind == "number":
            numbers = points(map(_decimal, alike))
            found[kind] = _number(complement(numbers) if negated else numbers)
        else:
            found[kind] = Some(frozenset(map(key, alike)), but=negated)
    return found
