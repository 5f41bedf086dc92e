"""Edits of a call's arguments that may change what one rule says of it. They are guesses: whoever uses one asks OPA.

Nothing here judges a call, and no argument that was given is altered in place.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher

import msgspec

from sidecar.core.limits import add, subtract
from sidecar.proving.tree import Tree, found, grown, raw, replaced, written
from translator.emit import path_text
from translator.literal import number, value
from translator.program import Condition, Json, Number, Op

_NEGATED = {
    Op.EQ: Op.NEQ,
    Op.NEQ: Op.EQ,
    Op.IN: Op.NOT_IN,
    Op.NOT_IN: Op.IN,
    Op.LT: Op.GTE,
    Op.LTE: Op.GT,
    Op.GT: Op.LTE,
    Op.GTE: Op.LT,
}
_SIGN = {Op.LT: "<", Op.LTE: "≤", Op.GT: ">", Op.GTE: "≥"}
_COST = {"": 1, "add ": 2, "drop ": 3}
_CHOICES = 5
_COMPARED = 200
_ELEMENTS = 10
_SHOWN = 80
_SPECIAL = frozenset(".^$*+?()[]{}|\\")
_EXAMPLES: tuple[Tree, ...] = ("text", msgspec.Raw(b"1"), True, [], {})


@dataclass(frozen=True, slots=True)
class Change:
    """What to do to what is at a path, in words, and the arguments after it. `cost` grows with what is lost."""

    path: str
    words: str
    arguments: Tree
    cost: int = 1


def satisfying(condition: Condition, tree: Tree) -> Iterator[Change]:
    """Edits after which the condition may be true."""
    op, wanted = condition.op, condition.value
    if op is Op.EXISTS:
        yield from _added(condition.path, _EXAMPLES, tree) if wanted else _dropped(condition.path, tree)
    elif op is Op.CONTAINS:
        yield from _with(condition, tree)
    elif op is Op.REGEX:
        yield from _set(condition, "matching", _literals(str(wanted)), tree)
    else:
        yield from _related(condition, op, tree)
    yield from _fewer(condition.path, tree)


def refuting(condition: Condition, tree: Tree) -> Iterator[Change]:
    """Edits after which the condition may be false."""
    op = condition.op
    if op is Op.EXISTS:
        yield from _dropped(condition.path, tree) if condition.value else _added(condition.path, _EXAMPLES, tree)
    else:
        yield from _related(condition, _NEGATED[op], tree) if op in _NEGATED else _without(condition, tree)
        yield from _dropped(condition.path, tree)
    yield from _fewer(condition.path, tree)


def amounts(path: Sequence[str], left: Decimal, tree: Tree) -> Iterator[Change]:
    """Edits after which what is found at the path may add up to no more than `left`."""
    there = found(tree, path)
    if len(there) <= 1:
        most = Number("", left)
        yield from _set(Condition(tuple(path), Op.LTE, most), f"≤ {number(left)}", [_tree(most)], tree)
        for less in (1, 0):
            if less < left:
                yield from _set(Condition(tuple(path), Op.EQ, None), f"= {less}", [raw(str(less))], tree)
    yield from _fewer(path, tree)


def _fewer(path: Sequence[str], tree: Tree) -> Iterator[Change]:
    """Each of the first elements that the path's `*` takes left out: it may be the one that is wrong."""
    if "*" in path:
        for place, node in found(tree, path[: path.index("*")]):
            for index in range(min(len(node), _ELEMENTS) if isinstance(node, list) else 0):
                one = (*place, index)
                yield _change([str(step) for step in one], "drop ", "", replaced(tree, one, None))


def _change(path: Sequence[str], verb: str, words: str, tree: Tree) -> Change:
    where = path_text(path)
    return Change(where, f"{verb}{where} {words}".rstrip(), tree, _COST[verb])


def _related(condition: Condition, op: Op, tree: Tree) -> Iterator[Change]:
    """Edits that put the value into the relation `op` to the condition's."""
    wanted = condition.value
    if isinstance(wanted, Number) and op in _SIGN:
        yield from _set(condition, f"{_SIGN[op]} {number(wanted.value)}", [_tree(_beside(wanted, op))], tree)
    elif op is Op.EQ:
        yield from _set(condition, f"= {_shown(wanted)}", [_tree(wanted)], tree)
    elif op is Op.NEQ:
        yield from _set(condition, f"≠ {_shown(wanted)}", _others([wanted]), tree)
    elif isinstance(wanted, list) and op is Op.IN:
        present = [_text(node) for _, node in found(tree, condition.path)]
        for element in _nearest(wanted, present[0] if present else ""):
            yield from _set(condition, f"= {_shown(element)}", [_tree(element)], tree)
    elif isinstance(wanted, list):
        yield from _set(condition, f"none of {_shown(wanted)}", _others(wanted), tree)


def _set(condition: Condition, words: str, values: Iterable[Tree], tree: Tree) -> Iterator[Change]:
    """Each value put at every place of the condition's path, or added where nothing is."""
    places = [place for place, _ in found(tree, condition.path)]
    strings = condition.as_number and any(isinstance(node, str) for _, node in found(tree, condition.path))
    for new in values:
        value_ = _text(new) if strings and isinstance(new, msgspec.Raw) else new
        if not places:
            yield from _added(condition.path, [value_], tree, words)
            continue
        edited = tree
        for place in places:
            edited = replaced(edited, place, value_)
        yield _change(condition.path, "", words, edited)


def _added(path: Sequence[str], values: Iterable[Tree], tree: Tree, words: str = "") -> Iterator[Change]:
    for new in values:
        edited = grown(tree, path, new)
        if edited is not None:
            yield _change(path, "add ", words, edited)


def _dropped(path: Sequence[str], tree: Tree) -> Iterator[Change]:
    places = [place for place, _ in found(tree, path)]
    if places:
        edited = tree
        for place in reversed(places):
            edited = replaced(edited, place, None)
        yield _change(path, "drop ", "", edited)


def _with(condition: Condition, tree: Tree) -> Iterator[Change]:
    """Edits that put into a string or an array what it has to contain."""
    wanted = _tree(condition.value)
    there = found(tree, condition.path)
    edited = tree
    for place, node in there:
        if isinstance(node, list):
            edited = replaced(edited, place, [*node, wanted])
        elif isinstance(node, str) and isinstance(wanted, str):
            edited = replaced(edited, place, node + wanted)
    if there:
        yield _change(condition.path, "", f"with {_shown(condition.value)}", edited)
    else:
        yield from _added(condition.path, [wanted, [wanted]], tree, f"with {_shown(condition.value)}")


def _without(condition: Condition, tree: Tree) -> Iterator[Change]:
    """Edits that take out of a string or an array what it must not contain, as far as that is plain text."""
    texts = [condition.value] if condition.op is Op.CONTAINS else _literals(str(condition.value))
    wanted = {_text(_tree(text)) for text in texts}
    edited = tree
    for place, node in found(tree, condition.path):
        if isinstance(node, list):
            edited = replaced(edited, place, [element for element in node if _text(element) not in wanted])
        elif isinstance(node, str):
            for text in wanted:
                node = node.replace(text, "") if text else node
            edited = replaced(edited, place, node)
    if edited is not tree:
        yield _change(condition.path, "", f"without {_shown(condition.value)}", edited)


def _beside(bound: Number, op: Op) -> Number:
    """A number in this relation to the bound, and near it."""
    if op in (Op.LTE, Op.GTE):
        return bound
    exponent = bound.value.as_tuple().exponent
    step = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
    return Number("", subtract(bound.value, step) if op is Op.LT else add(bound.value, step))


def _others(values: Sequence[Json]) -> Iterator[Tree]:
    """Values of the same types that are none of these."""
    texts = [value(each) for each in values]
    for each in values[:1]:
        if isinstance(each, bool):
            yield not each
        elif isinstance(each, Number):
            numbers = [one.value for one in values if isinstance(one, Number)]
            yield _tree(Number("", add(max(numbers), Decimal(1))))
        elif isinstance(each, str):
            yield "x" * (max(map(len, texts)) + 1)
        elif isinstance(each, list):
            yield []
            yield [True]
        else:
            yield {}
            yield {"x": True}
    if not values:
        yield from _EXAMPLES


def _nearest(values: Sequence[Json], present: str) -> list[Json]:
    """The values most like the one that is there, first."""
    first = sorted(
        values[:200], key=lambda each: -SequenceMatcher(None, value(each)[:_SHOWN], present[:_SHOWN]).ratio()
    )
    return first[:_CHOICES]


def _literals(pattern: str) -> list[str]:
    """The texts that a pattern of plain alternatives matches; none where it is more than that."""
    inner = pattern.removeprefix("^").removesuffix("$")
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1].removeprefix("?:")
    texts = inner.split("|")[:_CHOICES]
    return [text for text in texts if text and not _SPECIAL & set(text)]


def _tree(json_: Json) -> Tree:
    if isinstance(json_, Number):
        return raw(number(json_.value))
    if isinstance(json_, list):
        return [_tree(element) for element in json_]
    if isinstance(json_, dict):
        return {name: _tree(member) for name, member in json_.items()}
    return json_


def _text(tree: Tree) -> str:
    return tree if isinstance(tree, str) else written(tree).decode()


def _shown(json_: Json) -> str:
    text = value(json_)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
