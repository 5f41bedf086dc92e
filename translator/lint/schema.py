"""What a tool's input schema says of an argument path: never more than is certain. Knows JSON Schema, no policy.

A place in a schema is a disjunction of conjunctions of schemas (`View`); None stands for anything at all. Keywords that
only narrow (`not`, `if`, `minLength` …) are left out, so what is said to be possible may be more than is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import unquote

from translator.kinds import KINDS, Kind, key, kind_of
from translator.lint.numbers import ANY_NUMBER, NumberSet, above, below, meet
from translator.program import Number
from translator.tree import Node, plain

Conjunction: TypeAlias = tuple[Node, ...]
View: TypeAlias = "tuple[Conjunction, ...] | None"
_MAX_VIEW = 64
_MAX_STEPS = 2_000
_MAX_DEPTH = 20
_BESIDE_REF = frozenset(
    {"$ref", "$defs", "definitions", "title", "description", "default", "examples", "$comment", "deprecated"}
)
_UNFOLLOWED = ("$dynamicRef", "$recursiveRef")
_CONDITIONAL = ("if", "then", "else", "dependentSchemas", "dependencies", "patternProperties")
_BOUNDS = (
    ("minimum", above, True),
    ("exclusiveMinimum", above, False),
    ("maximum", below, True),
    ("exclusiveMaximum", below, False),
)
_TYPES: Mapping[str, Kind | None] = {**{kind: kind for kind in KINDS}, "integer": "number", "null": None}


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at a path. `listed` means that the schema has it; then `kinds` and `values` are all there can be, and
    `numbers` all the numbers.

    `absent` means that the schema has no such argument; `parent` is then the longest part of the path that it has,
    `siblings` are the names there, and `parent_kinds` its types. All None or False: nothing is certain.
    """

    listed: bool = False
    absent: bool = False
    kinds: frozenset[Kind] | None = None
    values: tuple[Node, ...] | None = None
    numbers: NumberSet = ANY_NUMBER
    parent: int = 0
    siblings: tuple[str, ...] = ()
    parent_kinds: frozenset[Kind] | None = None


_Step: TypeAlias = Literal["listed", "unlisted", "impossible", "unknown"]


class Schema:
    """The input schema of one tool."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._left = _MAX_STEPS
        self._found: dict[tuple[str, ...], Found] = {}

    def at(self, path: tuple[str, ...]) -> Found:
        """What lies at the path."""
        if path not in self._found:
            self._left = _MAX_STEPS
            self._found[path] = self._at(path)
        return self._found[path]

    def _at(self, path: tuple[str, ...]) -> Found:
        view = self._expand(self._root)
        for at, segment in enumerate(path):
            if not view:
                return Found()
            step, following = self._step(view, segment)
            if step in ("unlisted", "impossible"):
                return Found(absent=True, parent=at, siblings=_siblings(view), parent_kinds=_kinds(view))
            if step == "unknown":
                return Found()
            view = following
        if not view:
            return Found(listed=True)
        return Found(listed=True, kinds=_kinds(view), values=_values(view), numbers=_numbers(view))

    def _expand(self, node: Node, depth: int = 0) -> View:
        """The schema with its references and its combinations written out."""
        self._left -= 1
        held = node.value
        if held is True:
            return ((),)
        if held is False:
            return ()
        if not isinstance(held, dict) or self._left < 0 or depth > _MAX_DEPTH:
            return None
        if any(word in held for word in _UNFOLLOWED) or ("$id" in held and node is not self._root):
            return None
        if "$ref" in held:
            target = self._target(held["$ref"]) if held.keys() <= _BESIDE_REF else None
            return self._expand(target, depth + 1) if target is not None else None
        view: View = ((node,),)
        for part in _elements(held.get("allOf")):
            view = _both(view, self._expand(part, depth + 1))
        for word in ("anyOf", "oneOf"):
            if word in held:
                view = _both(view, self._any(_elements(held[word]), depth + 1))
        return view

    def _any(self, nodes: Sequence[Node], depth: int) -> View:
        found: list[Conjunction] = []
        if not nodes:
            return None
        for node in nodes:
            view = self._expand(node, depth)
            if view is None:
                return None
            found += view
        return tuple(found) if len(found) <= _MAX_VIEW else None

    def _target(self, reference: Node) -> Node | None:
        """Where a reference into the same document leads. Source: RFC 6901, section 6."""
        text = reference.value
        if not isinstance(text, str) or not (text == "#" or text.startswith("#/")):
            return None
        node = self._root
        for part in unquote(text).split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node.value, dict) and name in node.value:
                node = node.value[name]
            elif isinstance(node.value, list) and name.isdecimal() and int(name[:9]) < len(node.value):
                node = node.value[int(name[:9])]
            else:
                return None
        return node

    def _step(self, view: tuple[Conjunction, ...], segment: str) -> tuple[_Step, View]:
        """One segment further, over all alternatives."""
        steps: list[_Step] = []
        following: View = ()
        for conjunction in view:
            kinds = _kinds((conjunction,))
            branches = []
            if kinds is None or "object" in kinds:
                branches.append(self._member(conjunction, segment))
            if (kinds is None or "array" in kinds) and _is_index(segment):
                branches.append(self._element(conjunction))
            for step, inner in branches:
                steps.append(step)
                if step in ("listed", "unlisted"):
                    following = None if following is None or inner is None else (*following, *inner)
        if "unknown" in steps or (following is not None and len(following) > _MAX_VIEW):
            return "unknown", None
        if "listed" in steps:
            return "listed", following
        return ("unlisted" if "unlisted" in steps else "impossible"), None

    def _member(self, conjunction: Conjunction, name: str) -> tuple[_Step, View]:
        listed: View = ((),)
        is_listed = lists_others = is_unsure = False
        for node in conjunction:
            held = _held(node)
            properties, more = held.get("properties"), held.get("additionalProperties")
            named = _held(properties) if properties is not None else {}
            is_unsure = is_unsure or any(word in held for word in _CONDITIONAL)
            if name in named:
                is_listed, listed = True, _both(listed, self._expand(named[name]))
            elif more is not None and more.value is False and "patternProperties" not in held:
                return "impossible", None
            elif more is not None and isinstance(more.value, dict) and "patternProperties" not in held:
                is_listed, listed = True, _both(listed, self._expand(more))
            elif named or (node is self._root and properties is not None and properties.value == {}):
                lists_others = True
        if is_listed:
            return "listed", listed
        return ("unlisted" if lists_others and not is_unsure else "unknown"), None

    def _element(self, conjunction: Conjunction) -> tuple[_Step, View]:
        view: View = ((),)
        is_listed = False
        for node in conjunction:
            held = _held(node)
            if "prefixItems" in held:
                return "unknown", None
            if "items" in held:
                is_listed, view = True, _both(view, self._expand(held["items"]))
        return ("listed", view) if is_listed else ("unknown", None)


def _is_index(segment: str) -> bool:
    return segment == "*" or (segment.isascii() and segment.isdigit() and (segment == "0" or segment[0] != "0"))


def _elements(node: Node | None) -> Sequence[Node]:
    return node.value if node is not None and isinstance(node.value, list) else ()


def _both(one: View, other: View) -> View:
    """What satisfies both, if both are known."""
    if one is None or other is None:
        return None
    if len(one) * len(other) > _MAX_VIEW:
        return None
    return tuple((*left, *right) for left in one for right in other)


def _siblings(view: tuple[Conjunction, ...]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for conjunction in view:
        for node in conjunction:
            properties = node.value.get("properties") if isinstance(node.value, dict) else None
            if properties is not None and isinstance(properties.value, dict):
                names.update(dict.fromkeys(properties.value))
    return tuple(names)


def _kinds(view: View) -> frozenset[Kind] | None:
    """The types that a value there may have; null is none, because it counts as absent."""
    found: set[Kind] = set()
    for conjunction in view or ((),):
        known = [kinds for node in conjunction for kinds in (_typed(node), _enumerated(node)) if kinds is not None]
        if not known:
            return None
        found |= frozenset.intersection(*known)
    return frozenset(found)


def _typed(node: Node) -> frozenset[Kind] | None:
    named = _held(node).get("type")
    if named is None:
        return None
    words = [each.value for each in named.value] if isinstance(named.value, list) else [named.value]
    if not all(isinstance(word, str) and word in _TYPES for word in words):
        return None
    return frozenset(kind for word in words if (kind := _TYPES[str(word)]) is not None)


def _enumerated(node: Node) -> frozenset[Kind] | None:
    values = _enumeration(node)
    if values is None:
        return None
    return frozenset(kind for value in values if (kind := kind_of(plain(value))) is not None)


def _enumeration(node: Node) -> tuple[Node, ...] | None:
    held = _held(node)
    listed = held.get("enum")
    if "const" in held:
        return (held["const"],)
    return tuple(listed.value) if listed is not None and isinstance(listed.value, list) else None


def _values(view: tuple[Conjunction, ...]) -> tuple[Node, ...] | None:
    """All the values that there may be, if the schema lists them."""
    found: dict[object, Node] = {}
    for conjunction in view:
        lists = [values for node in conjunction if (values := _enumeration(node)) is not None]
        if not lists:
            return None
        found.update({key(plain(value)): value for value in min(lists, key=len)})
    return tuple(found.values())


def _numbers(view: tuple[Conjunction, ...]) -> NumberSet:
    """The numbers within the bounds that all alternatives have in common; any where there are several."""
    found = ANY_NUMBER
    for node in view[0] if len(view) == 1 else ():
        for name, make, closed in _BOUNDS:
            bound = _held(node).get(name)
            if bound is not None and isinstance(bound.value, Number):
                found = meet(found, make(bound.value.value, closed=closed))
    return found


def _held(node: Node) -> Mapping[str, Node]:
    return node.value if isinstance(node.value, dict) else {}
