"""Arguments as a tree: what is at a path, and other trees with something put there or taken away. Judges nothing.

Numbers stay as they were written, and no tree is altered in place.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

Tree: TypeAlias = "bool | str | msgspec.Raw | list[Tree] | dict[str, Tree] | None"
Place: TypeAlias = tuple[str | int, ...]


def read(arguments: bytes) -> Tree:
    """The arguments as a tree, numbers as they were written. They have passed `core.arguments`."""
    tree: Tree = json.loads(arguments, parse_int=raw, parse_float=raw)
    return tree


def written(tree: Tree) -> bytes:
    """The arguments as JSON text."""
    return msgspec.json.encode(tree)


def found(tree: Tree, path: Sequence[str]) -> list[tuple[Place, Tree]]:
    """The values at a path and where they are; null counts as absent. Source: policy-semantics section 5."""
    level: list[tuple[Place, Tree]] = [((), tree)]
    for step in path:
        level = [each for place, node in level for each in _inner(node, place, step)]
    return [(place, node) for place, node in level if node is not None]


def replaced(tree: Tree, place: Place, new: Tree) -> Tree:
    """A tree with another value at a place, or without that place (None)."""
    if not place:
        return new
    step, *rest = place
    if isinstance(tree, dict):
        members = dict(tree)
        if rest or new is not None:
            members[str(step)] = replaced(members[str(step)], tuple(rest), new)
        else:
            del members[str(step)]
        return members
    assert isinstance(tree, list)
    assert isinstance(step, int)
    kept = [replaced(tree[step], tuple(rest), new)] if rest or new is not None else []
    return [*tree[:step], *kept, *tree[step + 1 :]]


def grown(tree: Tree, path: Sequence[str], new: Tree) -> Tree:
    """A tree with a value at a path where nothing was; None where the path meets a value that it cannot enter."""
    if not path:
        return new
    step, *rest = path
    if tree is None:
        inner = grown(None, rest, new)
        return [inner] if step in ("*", "0") else {step: inner}
    if isinstance(tree, dict):
        member = grown(tree.get(step), rest, new)
        return None if member is None else {**tree, step: member}
    if isinstance(tree, list) and step in ("*", str(len(tree))):
        return [*tree, grown(None, rest, new)]
    return None


def raw(text: str) -> msgspec.Raw:
    """A number with this text."""
    return msgspec.Raw(text.encode())


def _inner(node: Tree, place: Place, step: str) -> Iterator[tuple[Place, Tree]]:
    if isinstance(node, dict):
        if step in node:
            yield (*place, step), node[step]
    elif isinstance(node, list):
        if step == "*":
            yield from (((*place, index), element) for index, element in enumerate(node))
        elif step.isdecimal() and str(int(step)) == step and int(step) < len(node):
            yield (*place, int(step)), node[int(step)]
