"""Two policies compared by what becomes of calls: per tool equivalent, stricter, looser or both, each shown by a call.

What is found is confirmed by the two policies themselves. What could not be decided is named. Prints nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from sidecar.proving.budgets import Most, at_least_as_strict, budgets, most_calls, most_spend
from sidecar.proving.fates import Arguments, Court, Fate, Fates, Reached, added, atom_names, confirmed, reach, written
from sidecar.proving.oracle import judging
from sidecar.proving.parts import AMOUNT, Part, Side, parts, section, side
from sidecar.proving.rush import Found, Move, rush
from translator import Program
from translator.bundle import build
from translator.generated import unknown

Verdict: TypeAlias = Literal["equivalent", "stricter", "looser", "both"]
Direction: TypeAlias = Literal["looser", "stricter"]
Callable: TypeAlias = Literal["no", "with approval", "yes"]
OUTCOMES = ("denied", "held for a person, and denied whatever the answer", "held for a person", "allowed")
MAX_MOVES = 40
_OTHERS = 20


class Before(msgspec.Struct, frozen=True):
    """Calls made before the one that shows a difference, `after_s` seconds after the first. Both policies let them
    pass. `who` tells another grant or session apart."""

    times: int
    tool: str
    arguments: str
    after_s: int
    who: str = ""


class Shown(msgspec.Struct, frozen=True):
    """A call whose outcome changes."""

    tool: str
    arguments: str
    old: str
    new: str
    before: tuple[Before, ...] = ()
    after_s: int = 0
    who: str = ""


class Standing(msgspec.Struct, frozen=True):
    """What one policy permits of a tool: whether it can be called, and the most of it in a day, per grant."""

    callable: Callable
    calls: Most
    spend: tuple[Most, ...]


class ToolDiff(msgspec.Struct, frozen=True):
    """The difference for tools of the same rules. What is `open` was neither found nor ruled out."""

    tools: tuple[str, ...]
    verdict: Verdict
    looser: Shown | None
    stricter: Shown | None
    open: tuple[Direction, ...]
    undecided: tuple[str, ...]
    old: Standing
    new: Standing


class Diff(msgspec.Struct, frozen=True):
    """Two policies compared. `stranger` stands for every tool that neither policy nor list names."""

    tools: tuple[ToolDiff, ...]
    stranger: str
    asked: int


class _Group:
    """Tools that have the same rules as each other, in both policies, and what is found of them."""

    def __init__(self, old: Side, new: Side) -> None:
        self.tools: list[str] = []
        self.sides = (old, new)
        self.parts: list[Part] = []
        self.reached: list[Reached] = []
        self.fates: dict[Fates, Arguments] = {}
        self.moves: list[Move] = []
        self.shown: dict[Direction, Shown] = {}
        self.open: set[Direction] = set()
        self.undecided: list[str] = []
        self.asked = False

    @property
    def start(self) -> Fates:
        old, new = (Fate(denied=not side.reached, uncounted=side.spent) for side in self.sides)
        return old, new


async def compare(old: Program, new: Program, tools: Sequence[str] = (), opa: Path | None = None) -> Diff:
    """The difference for every tool that a policy or the list names, and for any other tool.

    Raises: CannotDecide (there is no OPA that works).
    """
    stranger = unknown(old)
    while stranger in (*new.tools, *new.hide, *tools):
        stranger += "!"
    hidden = [name for name in (*old.hide, *new.hide) if name != "*"]
    names = list(dict.fromkeys((*old.tools, *new.tools, *hidden, *tools, stranger)))
    groups = _groups(old, new, names)
    asking = [group for group in groups if group.asked]
    asked = 0
    if asking:
        known: dict[tuple[object, ...], tuple[int, Part]] = {}
        for group in asking:
            group.parts = parts(*group.sides)
            for part in group.parts:
                known.setdefault(part.key, (len(known), part))
        async with judging(build(_probes(old, new, known.values())), opa) as client:
            court = Court(client)
            found = {key: await reach(court, index, part) for key, (index, part) in known.items()}
            for group in asking:
                group.reached = [found[part.key] for part in group.parts]
                await _guards(court, group)
                await _moves(court, group)
            asked = court.asked
        _limits(groups)
    return Diff(tuple(map(_told, groups)), stranger, asked)


def _groups(old: Program, new: Program, names: Iterable[str]) -> list[_Group]:
    found: dict[tuple[object, ...], _Group] = {}
    for name in names:
        sides = side(old, name), side(new, name)
        found.setdefault((sides[0].key, sides[1].key), _Group(*sides)).tools.append(name)
    groups = list(found.values())
    counted = any(_limits_differ(group) for group in groups)
    for group in groups:
        differs = group.sides[0].key != group.sides[1].key
        group.asked = differs or (counted and any(each.limits for each in group.sides))
    return groups


def _limits_differ(group: _Group) -> bool:
    """May a counter be fed otherwise than before? A tool that can no longer be called feeds none."""
    return group.sides[0].key != group.sides[1].key and any(each.limits for each in group.sides)


def _probes(old: Program, new: Program, known: Iterable[tuple[int, Part]]) -> dict[str, Program]:
    """Both policies, and their parts and questions as tools that can be asked about one by one."""
    old_parts, new_parts, atoms = {}, {}, {}
    for index, part in known:
        old_parts[str(index)] = section(part.old)
        new_parts[str(index)] = section(part.new)
        atoms.update({name: section([item]) for name, item in atom_names(index, part).items()})
    made = {"old parts": old_parts, "new parts": new_parts, "atoms": atoms}
    return {"old": old, "new": new, **{name: Program("allow", (), tools) for name, tools in made.items()}}


async def _guards(court: Court, group: _Group) -> None:
    """Which way calls change by the rules that judge one call alone."""
    group.fates = added(group.start, group.reached)
    signs: tuple[tuple[Direction, int], ...] = (("looser", 1), ("stricter", -1))
    for direction, sign in signs:
        changed = [
            (-sign * (new.rank - old.rank), len(written(call)), (old, new), call)
            for (old, new), call in group.fates.items()
            if sign * (new.rank - old.rank) > 0
        ]
        if changed:
            _, _, fates, call = min(changed, key=lambda each: each[:2])
            await confirmed(court, group.tools[0], fates, call)
            group.shown[direction] = Shown(
                group.tools[0], written(call), OUTCOMES[fates[0].rank], OUTCOMES[fates[1].rank]
            )
    wide = added(group.start, group.reached, unseen=True)
    group.open = {
        direction
        for direction, sign in signs
        if direction not in group.shown and any(sign * (new.rank - old.rank) > 0 for old, new in wide)
    }
    if group.open:
        group.undecided = sorted({part.gap for part in group.reached if part.unseen})


async def _moves(court: Court, group: _Group) -> None:
    """Calls that both policies let pass if a person agrees, with what each wants counted."""
    passing = [call for fates, call in group.fates.items() if min(fate.rank for fate in fates) >= 2]
    if not passing or not any(each.limits for each in group.sides):
        return
    base = passing[0]
    calls = [base]
    for part, reached in zip(group.parts, group.reached, strict=True):
        if any(item.kind == AMOUNT for item in (*part.old, *part.new)):
            calls += [{**base, **call} for call in reached.passing]
    tool = group.tools[0]
    both = [await court.decisions(policy, tool, calls, approved=True) for policy in ("old", "new")]
    made: dict[object, Move] = {}
    for call, old, new in zip(calls, *both, strict=True):
        amounts = tuple(tuple(limit.amounts) for limit in (*old.limits, *new.limits))
        if old.outcome == new.outcome == "allow":
            made.setdefault(amounts, Move(tool, written(call), tuple(old.limits), tuple(new.limits)))
    group.moves = sorted(made.values(), key=_size, reverse=True)[:MAX_MOVES]


def _size(move: Move) -> Decimal:
    return max((sum(limit.amounts, Decimal(0)) for limit in (*move.old, *move.new)), default=Decimal(0))


def _limits(groups: Sequence[_Group]) -> None:
    """Which way calls change by what was counted before them."""
    able = {tool: group.sides for group in groups if group.moves or not group.asked for tool in group.tools}
    old = budgets({tool: sides[0] for tool, sides in able.items()})
    new = budgets({tool: sides[1] for tool, sides in able.items()})
    for group in groups:
        if not group.moves:
            continue
        tool = group.tools[0]
        wanted: set[tuple[str, Direction]] = set()
        if "looser" not in group.shown and not at_least_as_strict(new, old, tool):
            wanted.add((tool, "looser"))
        if "stricter" not in group.shown and not at_least_as_strict(old, new, tool):
            wanted.add((tool, "stricter"))
        if not wanted:
            continue
        found = rush([*group.moves, *_neighbours(group, groups)], wanted)
        for (_, direction), shown in found.items():
            group.shown[direction] = _shown(shown, direction)
        missing = {direction for _, direction in wanted - set(found)}
        group.open = (group.open | missing) - set(group.shown)
        if missing:
            group.undecided.append(f"limits: whether some sequence of calls shows them {' or '.join(sorted(missing))}")


def _neighbours(group: _Group, groups: Sequence[_Group]) -> list[Move]:
    """A call of each tool that shares a counter with the group, the largest and the smallest."""
    names = {limit.counter for move in group.moves for limit in (*move.old, *move.new)}
    found = []
    for other in groups:
        sharing = [move for move in other.moves if any(limit.counter in names for limit in (*move.old, *move.new))]
        if other is not group and sharing:
            found += [sharing[0], sharing[-1]]
        elif sharing and len(other.tools) > 1:
            first = sharing[0]
            found.append(Move(other.tools[1], first.arguments, first.old, first.new))
    return found[:_OTHERS]


def _shown(found: Found, direction: Direction) -> Shown:
    last = found.last
    first_s = min((each.at_s for each in found.before), default=last.at_s)
    refused, passed = "denied: a limit is reached", "allowed"
    return Shown(
        last.move.tool,
        last.move.arguments,
        refused if direction == "looser" else passed,
        passed if direction == "looser" else refused,
        tuple(
            Before(each.times, each.move.tool, each.move.arguments, each.at_s - first_s, _who(each.move))
            for each in found.before
        ),
        last.at_s - first_s,
        _who(last.move),
    )


def _who(move: Move) -> str:
    return " in ".join(each for each in (move.grant, move.session) if each not in ("g", "s"))


def _told(group: _Group) -> ToolDiff:
    verdict: Mapping[tuple[bool, bool], Verdict] = {
        (False, False): "equivalent",
        (True, False): "looser",
        (False, True): "stricter",
        (True, True): "both",
    }
    looser, stricter = group.shown.get("looser"), group.shown.get("stricter")
    is_open: list[Direction] = sorted(group.open)
    return ToolDiff(
        tuple(group.tools),
        verdict[(looser is not None, stricter is not None)],
        looser,
        stricter,
        tuple(is_open),
        tuple(group.undecided if is_open else ()),
        *(_standing(group, at) for at in (0, 1)),
    )


def _standing(group: _Group, at: int) -> Standing:
    own = group.sides[at]
    best = max((fates[at].rank for fates in group.fates), default=3 if own.reached else 0)
    able: Callable = "no" if best < 2 or own.spent else "with approval" if best == 2 else "yes"
    return Standing(able, most_calls(own), tuple(most_spend(own)))
