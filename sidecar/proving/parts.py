"""The rules of one tool in two policies, taken apart where they look at different arguments. Asks and judges nothing.

A call is denied if any part denies it, waits if any part asks a person, and cannot be counted if any part says so. So
what the parts do one by one tells what the whole does, and only a part has to be tried in all combinations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

from translator import Program
from translator.boundary import text
from translator.program import Condition, Guard, Limit, Number, Section, Step
from translator.space import Place

REQUIRE, DENY, ASK, AMOUNT = "require", "deny", "ask", "amount"
_STEPS = {REQUIRE: Step.TOOL_REQUIRE, DENY: Step.TOOL_DENY, ASK: Step.TOOL_APPROVAL}
_KINDS = {
    Step.TOOL_REQUIRE: REQUIRE,
    Step.ALL_REQUIRE: REQUIRE,
    Step.TOOL_DENY: DENY,
    Step.ALL_DENY: DENY,
    Step.TOOL_APPROVAL: ASK,
    Step.ALL_APPROVAL: ASK,
}
_ONE = Number("1", Decimal(1))


@dataclass(frozen=True, slots=True)
class Side:
    """What one policy says of one tool. Not `reached`: every call is denied before any rule."""

    reached: bool
    guards: tuple[Guard, ...] = ()
    limits: tuple[Limit, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for sides that judge every call alike. Rule ids, messages and names are left out."""
        return (self.reached, frozenset(item.key for item in items(self)), frozenset(map(_limit_key, self.limits)))

    @property
    def spent(self) -> bool:
        """Is there a limit that the first call would pass already?"""
        return any(limit.amount_path is None and limit.max.value < limit.increment.value for limit in self.limits)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that can stop a call: a requirement, a denial, a question to a person, or an amount that cannot be
    counted or is above `most` by itself."""

    kind: str
    conditions: tuple[Condition, ...] = ()
    path: tuple[str, ...] = ()
    as_number: bool = False
    most: Number = _ONE

    @property
    def key(self) -> str:
        judged = sorted(f"{each.path} {each.op} {text(each.value)} {each.as_number}" for each in self.conditions)
        return f"{self.kind} {judged} {self.path} {self.as_number} {text(self.most)}"

    @property
    def members(self) -> frozenset[str]:
        """The arguments that it looks at, by their top-level name."""
        return frozenset(path[0] for path in (self.path, *(each.path for each in self.conditions)) if path)

    def alone(self) -> "Iterator[Item]":
        """Each of its questions by itself."""
        if self.kind == AMOUNT:
            yield replace(self, most=_ONE)
        for condition in self.conditions:
            yield Item(DENY if self.kind == ASK else self.kind, (condition,))


@dataclass(frozen=True, slots=True)
class Part:
    """Rules of both policies that look at the same arguments. `bounds` are numbers that matter to its amounts."""

    members: tuple[str, ...]
    old: tuple[Item, ...]
    new: tuple[Item, ...]
    bounds: tuple[Decimal, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        return (*(frozenset(item.key for item in side) for side in (self.old, self.new)), self.bounds)

    @property
    def is_common(self) -> bool:
        """Do both policies say the same here?"""
        return {item.key for item in self.old} == {item.key for item in self.new}

    def atoms(self, member: str) -> list[Item]:
        """Every question about one argument, once."""
        found = {alone.key: alone for item in (*self.old, *self.new) for alone in item.alone()}
        return [item for item in found.values() if member in item.members]

    def place(self, member: str) -> Place:
        """What is asked of one argument."""
        root = Place()
        for item in self.atoms(member):
            for condition in item.conditions:
                root.add(condition)
            if item.kind == AMOUNT:
                place = root.at(item.path)
                place.amounts += self.bounds
                place.numeric_text |= item.as_number
        return root.at((member,))


def side(program: Program, tool: str) -> Side:
    """What the policy says of the tool."""
    hidden = tool in program.hide or "*" in program.hide
    if hidden or (tool not in program.tools and program.fallback == "deny"):
        return Side(reached=False)
    sections = (program.tools.get(tool, Section()), program.all_tools)
    return Side(
        True,
        tuple(guard for section in sections for guard in section.guards),
        tuple(limit for section in sections for limit in section.limits),
    )


def items(side: Side) -> list[Item]:
    """What can stop a call. A requirement is one thing per condition: each is needed by itself."""
    found: list[Item] = []
    for guard in side.guards:
        kind = _KINDS[guard.step]
        if kind == REQUIRE:
            found += (Item(kind, (condition,)) for condition in guard.conditions)
        else:
            found.append(Item(kind, guard.conditions))
    found += (
        Item(AMOUNT, (), limit.amount_path, limit.as_number, limit.max)
        for limit in side.limits
        if limit.amount_path is not None
    )
    return list({item.key: item for item in found}.values())


def parts(old: Side, new: Side) -> list[Part]:
    """The two sides taken apart: no argument is in two parts. What looks at no argument comes first."""
    both = (items(old), items(new))
    groups: dict[str, list[str]] = {}
    for item in (*both[0], *both[1]):
        meeting = {id(group): group for name in sorted(item.members) for group in [groups.setdefault(name, [name])]}
        largest, *others = sorted(meeting.values(), key=len, reverse=True) or [[]]
        for group in others:
            largest += group
            groups.update(dict.fromkeys(group, largest))
    made: dict[tuple[str, ...], tuple[list[Item], list[Item]]] = {}
    whole = {id(group): tuple(sorted(group)) for group in groups.values()}
    for at, each in enumerate(both):
        for item in each:
            members = whole[id(groups[min(item.members)])] if item.members else ()
            made.setdefault(members, ([], []))[at].append(item)
    bounds = _bounds(old, new)
    return [_part(members, *made[members], bounds) for members in sorted(made)]


def section(found: Sequence[Item]) -> Section:
    """The items as rules of a tool, so that OPA can be asked about them alone. A rule's id is its item's kind."""
    return Section(
        tuple(Guard(_STEPS[item.kind], item.kind, "m", item.conditions) for item in found if item.kind != AMOUNT),
        tuple(_counted(item, f"c{at}") for at, item in enumerate(found) if item.kind == AMOUNT),
    )


def _counted(item: Item, counter: str) -> Limit:
    return Limit(Step.TOOL_LIMIT, AMOUNT, "m", counter, "day", item.most, "grant", _ONE, item.path, item.as_number)


def _part(members: tuple[str, ...], old: Sequence[Item], new: Sequence[Item], bounds: tuple[Decimal, ...]) -> Part:
    counted = any(item.kind == AMOUNT for item in (*old, *new))
    return Part(members, tuple(old), tuple(new), bounds if counted else ())


def _bounds(old: Side, new: Side) -> tuple[Decimal, ...]:
    """Nothing, each maximum, and the steps between two of them."""
    most = sorted({limit.max.value for limit in (*old.limits, *new.limits) if limit.amount_path is not None})
    return tuple(sorted({Decimal(0), *most, *(high - low for low, high in pairwise(most))}))


def _limit_key(limit: Limit) -> tuple[object, ...]:
    counted = limit.increment.value if limit.amount_path is None else None
    return (limit.scope, limit.counter, limit.window, limit.max.value, counted, limit.amount_path, limit.as_number)
