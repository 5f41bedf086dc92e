"""What can become of a call under two policies, found by asking OPA about each part and adding the parts up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice, product
from typing import NamedTuple

from sidecar.core.decision import Decision
from sidecar.core.limits import claims
from sidecar.core.query import Asker
from sidecar.errors import CannotDecide
from sidecar.opa.client import OpaClient
from sidecar.proving.parts import AMOUNT, ASK, DENY, REQUIRE, Item, Part
from translator.boundary import Absent, Value, text
from translator.program import Json
from translator.space import space

MAX_CALLS = 4_000
"""Calls tried for one part; more combinations are cut, and the part's gap says so."""
_TOGETHER = 256
_MAX_PASSING = 80
_START = datetime(1970, 1, 1, tzinfo=UTC)


class Fate(NamedTuple):
    """What one policy does with a call: denied; else a person is asked, or no counter could ever take it, or both."""

    denied: bool = False
    asked: bool = False
    uncounted: bool = False

    def __or__(self, other: "Fate") -> "Fate":
        if self.denied or other.denied:
            return Fate(denied=True)
        return Fate(False, self.asked or other.asked, self.uncounted or other.uncounted)

    @property
    def rank(self) -> int:
        """How much it permits: 0 nothing, 1 a question to a person that cannot help, 2 with a person's yes, 3 all."""
        if self.denied:
            return 0
        if self.asked:
            return 1 if self.uncounted else 2
        return 0 if self.uncounted else 3


Fates = tuple[Fate, Fate]
Arguments = dict[str, Value]


@dataclass(slots=True)
class Reached:
    """The fates that a part's calls met, each with one call; calls that pass in both; what may be unseen, and why."""

    fates: dict[Fates, Arguments] = field(default_factory=dict)
    unseen: dict[Fates, Arguments] = field(default_factory=dict)
    passing: list[Arguments] = field(default_factory=list)
    gap: str = ""


class Court:
    """Asks OPA about many calls at once. `asked` counts them."""

    def __init__(self, client: OpaClient) -> None:
        self._client = client
        self._askers: dict[str, Asker] = {}
        self.asked = 0

    async def decisions(
        self, policy: str, tool: str, calls: Sequence[Arguments], approved: bool | None = None
    ) -> list[Decision]:
        """The decision on each call. Raises: CannotDecide, DecisionError."""
        asker = self._askers.setdefault(policy, Asker(policy=policy, server="s", grant="g"))
        queries = [asker.call(tool, written(call).encode(), approved=approved) for call in calls]
        found: list[Decision] = []
        for start in range(0, len(queries), _TOGETHER):
            for answer in await self._client.decide_together(queries[start : start + _TOGETHER]):
                if isinstance(answer, Exception):
                    raise answer
                found.append(answer)
        self.asked += len(calls)
        return found


def written(arguments: Arguments) -> str:
    """The arguments as exact JSON text."""
    present: dict[str, Json] = {name: each for name, each in arguments.items() if not isinstance(each, Absent)}
    return text(present)


async def reach(court: Court, index: int, part: Part) -> Reached:
    """Every fate that the part's rules can give a call. The bundle holds them as tool `index` of the policies `old
    parts` and `new parts`, and its questions as tools `index.n` of `atoms` (see `probes`)."""
    names, values, gaps = [], [], []
    atoms = atom_names(index, part)
    for member in part.members:
        found = await _told_apart(court, part, member, atoms)
        names.append(member)
        values.append(found[0])
        gaps.append(found[1])
    calls: list[Arguments] = [dict(zip(names, each, strict=True)) for each in islice(product(*values), MAX_CALLS + 1)]
    if len(calls) > MAX_CALLS:
        gaps.append("too many combinations of arguments")
        calls.pop()
    old = await _fates(court, "old parts", str(index), part.old, calls)
    new = old if part.is_common else await _fates(court, "new parts", str(index), part.new, calls)
    reached = Reached()
    for call, fates in zip(calls, zip(old, new, strict=True), strict=True):
        if fates not in reached.fates or len(written(call)) < len(written(reached.fates[fates])):
            reached.fates[fates] = call
        if min(fate.rank for fate in fates) >= 2 and len(reached.passing) < _MAX_PASSING:
            reached.passing.append(call)
    reached.gap = "; ".join(dict.fromkeys(filter(None, gaps)))
    if reached.gap:
        reached.unseen = {fates: {} for fates in _conceivable(part) if fates not in reached.fates}
    return reached


def atom_names(index: int, part: Part) -> dict[str, Item]:
    """Each question of the part, under the name of the tool that asks only it."""
    found = {item.key: item for member in part.members for item in part.atoms(member)}
    return {f"{index}.{at}": item for at, item in enumerate(found.values())}


async def _told_apart(
    court: Court, part: Part, member: str, atoms: Mapping[str, Item]
) -> tuple[tuple[Value, ...], str]:
    """The values of one argument that its questions tell apart."""
    asking = [name for name, item in atoms.items() if member in item.members]
    talk = space(part.place(member))
    values = next(talk)
    while True:
        marks = [await court.decisions("atoms", name, [{member: value} for value in values]) for name in asking]
        try:
            values = talk.send([tuple(map(_mark, answers)) for answers in zip(*marks, strict=True)])
        except StopIteration as end:
            return end.value.values, end.value.gap


def _mark(decision: Decision) -> object:
    return (decision.outcome, *(tuple(limit.amounts) for limit in decision.limits))


async def _fates(court: Court, policy: str, tool: str, side: Sequence[Item], calls: Sequence[Arguments]) -> list[Fate]:
    """What the part does with each call. Only where it asks a person has OPA to be asked again, with a yes."""
    first = await court.decisions(policy, tool, calls)
    asks = any(item.kind == ASK for item in side)
    second = await court.decisions(policy, tool, calls, approved=True) if asks else first
    return [_fate(*each) for each in zip(first, second, strict=True)]


def _fate(first: Decision, approved: Decision) -> Fate:
    asked = first.outcome == "approval_required"
    last = approved if asked else first
    if last.outcome == "allow":
        return Fate(asked=asked, uncounted=not _fits(last))
    return Fate(asked=asked, uncounted=True) if last.rule == AMOUNT else Fate(denied=True)


def _fits(decision: Decision) -> bool:
    """Would empty counters let pass what this call wants counted?"""
    return not any(claim.amount > claim.max for claim in claims(decision.limits, "s", "g", None, _START))


def _conceivable(part: Part) -> list[Fates]:
    old, new = _all_fates(part.old), _all_fates(part.new)
    return [(fate, fate) for fate in old] if part.is_common else list(product(old, new))


def _all_fates(side: Sequence[Item]) -> list[Fate]:
    kinds = {item.kind for item in side}
    asked = (False, True) if ASK in kinds else (False,)
    uncounted = (False, True) if AMOUNT in kinds else (False,)
    found = [Fate(False, *each) for each in product(asked, uncounted)]
    return [*found, Fate(denied=True)] if kinds & {REQUIRE, DENY} else found


def added(start: Fates, reached: Sequence[Reached], unseen: bool = False) -> dict[Fates, Arguments]:
    """Every pair of fates that a whole call can meet, each with one call; those `unseen`, too, which no call was found
    for and which cannot be ruled out."""
    found: dict[Fates, Arguments] = {start: {}}
    for part in reached:
        wider: dict[Fates, Arguments] = {}
        for (old, new), arguments in found.items():
            for (more_old, more_new), more in (part.fates | part.unseen if unseen else part.fates).items():
                wider.setdefault((old | more_old, new | more_new), {**arguments, **more})
        found = wider
    return found


async def confirmed(court: Court, tool: str, fates: Fates, arguments: Arguments) -> None:
    """Asks the two policies themselves about a call found from their parts. Raises: CannotDecide if they disagree."""
    for policy, fate in zip(("old", "new"), fates, strict=True):
        first = (await court.decisions(policy, tool, [arguments]))[0]
        approved = (await court.decisions(policy, tool, [arguments], approved=True))[0]
        rank = _whole(first, approved)
        if rank != fate.rank:
            raise CannotDecide("A policy as a whole answers otherwise than its parts.", hint="This is a bug to report.")


def _whole(first: Decision, approved: Decision) -> int:
    if first.outcome == "approval_required":
        return 2 if approved.outcome == "allow" and _fits(approved) else 1
    return 3 if first.outcome == "allow" and _fits(first) else 0
