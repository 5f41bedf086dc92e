"""The calls most like one that is stopped which would pass: edits of its arguments, each tried before it is named.

Edits are guessed from the rule that stops the call (`changes`); whether one helps is asked, never concluded.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from sidecar.core.limits import subtract
from sidecar.path.judgement import Verdict
from sidecar.proving import changes
from sidecar.proving.changes import Change
from sidecar.proving.tree import Tree, read, written
from translator.program import Guard, Limit, Step

SHOWN = 3
_CHANGES = 6
_KEPT = 8
_GUESSES = 40
_BYTES = 256 * 1024
"""Larger arguments are not edited: each guess is another copy of them."""
_REQUIRES = (Step.TOOL_REQUIRE, Step.ALL_REQUIRE)

Ask = Callable[[bytes], Awaitable[Verdict]]


@dataclass(frozen=True, slots=True)
class Passing:
    """A call that passes: what was changed, the last word on each path, and its arguments."""

    words: tuple[str, ...]
    arguments: bytes


@dataclass(frozen=True, slots=True)
class _Tried:
    words: Mapping[str, str]
    cost: int
    tree: Tree
    verdict: Verdict


async def search(
    ask: Ask, items: Sequence[Guard | Limit], arguments: bytes, verdict: Verdict, left: Mapping[str, Decimal]
) -> list[Passing]:
    """The passing calls found with the fewest changes. None for a call that passes, or that no argument can save.

    `left` is what the counter of each limit still takes, by rule id.
    """
    by_rule = {item.rule: item for item in items}
    order = {item.rule: at for at, item in enumerate(items)}
    if verdict.decision.rule not in by_rule or len(arguments) > _BYTES:
        return []
    seen = {arguments}
    level = [_Tried({}, 0, read(arguments), verdict)]
    for _ in range(_CHANGES):
        passing: list[_Tried] = []
        further: list[_Tried] = []
        for tried in level:
            rule = tried.verdict.decision.rule
            for change in islice(_guesses(by_rule[rule], tried, left), _GUESSES):
                text = written(change.arguments)
                if text in seen:
                    continue
                seen.add(text)
                answer = await ask(text)
                after = _Tried(_words(tried, change), tried.cost + change.cost, change.arguments, answer)
                if answer.decision.outcome == "allow":
                    passing.append(after)
                elif order.get(answer.decision.rule, -1) > order[rule]:
                    further.append(after)
        if passing or not further:
            passing.sort(key=lambda each: each.cost)
            return [Passing(tuple(each.words.values()), written(each.tree)) for each in passing[:SHOWN]]
        further.sort(key=lambda each: -order[each.verdict.decision.rule])
        level = further[:_KEPT]
    return []


def _words(tried: _Tried, change: Change) -> dict[str, str]:
    """What was done at each path. What was dropped and then added was only changed; elements drop one by one."""
    before = tried.words.get(change.path, "")
    if before.startswith("drop ") and change.words.startswith("drop "):
        return {**tried.words, f"{change.path} {len(tried.words)}": change.words}
    words = change.words.removeprefix("add ") if before.startswith("drop ") else change.words
    return {**tried.words, change.path: words}


def _guesses(item: Guard | Limit, tried: _Tried, left: Mapping[str, Decimal]) -> Iterator[Change]:
    if isinstance(item, Limit):
        if item.amount_path is not None:
            yield from changes.amounts(item.amount_path, min(left[item.rule], item.max.value), tried.tree)
    elif item.step in _REQUIRES:
        yield from _all(item, tried.tree)
    else:
        for condition in item.conditions:
            yield from changes.refuting(condition, tried.tree)


def _all(item: Guard, tree: Tree) -> Iterator[Change]:
    """Edits that satisfy the conditions one after the other: alone, and the first guess of each together."""
    together, words = tree, list[str]()
    for condition in item.conditions:
        yield from changes.satisfying(condition, tree)
        first = next(changes.satisfying(condition, together), None)
        if first is not None:
            together = first.arguments
            words.append(first.words)
    if len(words) > 1:
        yield Change(item.rule, " and ".join(words), together)


def left(most: Decimal, stands_at: Decimal) -> Decimal:
    """What a counter still takes."""
    return max(subtract(most, stands_at), Decimal(0))
