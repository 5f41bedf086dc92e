"""The types of JSON values, and when two values are equal. Source: policy-semantics, section 5."""

from collections.abc import Hashable, Mapping
from typing import Literal, TypeAlias

from translator.program import Json, Number

Kind: TypeAlias = Literal["boolean", "number", "string", "array", "object"]
KINDS: tuple[Kind, ...] = ("boolean", "number", "string", "array", "object")


def kind_of(value: Json) -> Kind | None:
    """The JSON type of a value; None for null, which counts as absent."""
    if value is None:
        return None
    kinds: Mapping[type, Kind] = {bool: "boolean", Number: "number", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]


def key(value: Json) -> Hashable:
    """What two JSON values have in common exactly when they are equal."""
    if isinstance(value, Number):
        return "number", value.value
    if isinstance(value, list):
        return "array", tuple(key(each) for each in value)
    if isinstance(value, dict):
        return "object", frozenset((name, key(each)) for name, each in value.items())
    return kind_of(value), value
