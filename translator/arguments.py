"""Values at paths → one arguments object, as far as one object can hold them all. Judges nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from translator.boundary import ABSENT, Absent, Value
from translator.emit import INDEX
from translator.program import Json

Path: TypeAlias = tuple[str, ...]
MAX_INDEX = 64
_FILLER = "other"


def clash(one: Path, other: Path) -> bool:
    """Can a value at one path change what stands at another, different one? Then no object is made of both."""
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return at > 0 and _kind(left) != _kind(right)
    return True


def is_far(path: Path) -> bool:
    """Does the path pick an element that no array made here has?"""
    return any(INDEX.fullmatch(segment) and int(segment) > MAX_INDEX for segment in path[1:])


def holding(values: Mapping[Path, Value], path: Path, several: Sequence[Value]) -> dict[str, Json] | None:
    """The object with each value at its path, and at `path` one element for each of `several` under its first `*`.

    None where an index is too far away. A path without `*` holds the first of `several`; none of them: an empty array.
    """
    if "*" not in path[1:]:
        return together({path: several[0], **_without(values, path)})
    star = path.index("*", 1)
    wholes = [together({path: value, **_without(values, path)}) for value in several]
    if not wholes:
        return together(
            {path[:star]: [], **{each: value for each, value in values.items() if each[:star] != path[:star]}}
        )
    first = wholes[0]
    if first is None or None in wholes:
        return None
    elements = [_array(whole, path[:star])[0] for whole in wholes if whole is not None]
    _array(first, path[:star])[:] = elements
    return first


def _without(values: Mapping[Path, Value], path: Path) -> dict[Path, Value]:
    return {each: value for each, value in values.items() if each != path}


@dataclass(slots=True)
class _Node:
    value: Value = ABSENT
    leaf: bool = False
    inner: "dict[str, _Node]" = field(default_factory=dict)


def together(values: Mapping[Path, Value]) -> dict[str, Json] | None:
    """The object with each value at its path; None where an index is too far away. No two of the paths may clash."""
    root = _Node()
    for path, value in values.items():
        if is_far(path):
            return None
        node = root
        for segment in path:
            node = node.inner.setdefault(segment, _Node())
        node.value, node.leaf = value, True
    return _members(root)


def _members(node: _Node) -> dict[str, Json]:
    made = {name: _built(inner) for name, inner in node.inner.items()}
    return {name: value for name, value in made.items() if not isinstance(value, Absent)}


def _built(node: _Node) -> Value:
    if node.leaf:
        return node.value
    kinds = {_kind(segment) for segment in node.inner}
    if kinds == {"*"}:
        return [_element(node.inner["*"])]
    if kinds == {"0"}:
        last = max(map(int, node.inner))
        return [_element(node.inner[str(at)]) if str(at) in node.inner else _FILLER for at in range(last + 1)]
    return _members(node)


def _element(node: _Node) -> Json:
    value = _built(node)
    return None if isinstance(value, Absent) else value


def _kind(segment: str) -> str:
    return "*" if segment == "*" else "0" if INDEX.fullmatch(segment) else "name"


def _array(whole: Json, path: Path) -> list[Json]:
    for segment in path:
        whole = whole[int(segment)] if isinstance(whole, list) else whole[segment] if isinstance(whole, dict) else None
    return whole if isinstance(whole, list) else []
