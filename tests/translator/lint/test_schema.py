"""Source: JSON Schema, draft 2020-12, core and validation."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translator.kinds import key, kind_of
from translator.lint import schema as module
from translator.lint.numbers import meet, points
from translator.lint.schema import Found, Schema
from translator.program import Number
from translator.report import Report
from translator.source import read
from translator.tree import plain


def _at(schema: Any, path: str) -> Found:
    root = read(json.dumps({"": schema}), Report())
    assert root is not None
    assert isinstance(root.value, dict)
    return Schema(root.value[""]).at(tuple(path.split(".")))


def _object(more: Any = None, **properties: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": properties}
    return made if more is None else {**made, "additionalProperties": more}


STRING, NUMBER = {"type": "string"}, {"type": "number"}
TREE = {
    **_object(False, value={"type": "integer"}, children={"type": "array", "items": {"$ref": "#"}}),
    "$defs": {"a/b": STRING, "loop": {"$ref": "#/$defs/loop"}, "list": [STRING]},
}


@pytest.mark.parametrize(
    ("schema", "path", "kinds"),
    [
        (_object(a=STRING), "a", {"string"}),
        (_object(a={"type": ["integer", "null"]}), "a", {"number"}),
        (_object(a={"anyOf": [STRING, {"type": "null"}]}), "a", {"string"}),
        (_object(a={"oneOf": [STRING, NUMBER]}), "a", {"string", "number"}),
        (_object(a={"allOf": [{"type": ["string", "number"]}, STRING]}), "a", {"string"}),
        (_object(a={"enum": ["x", None, 1]}), "a", {"string", "number"}),
        (_object(a={"const": True}), "a", {"boolean"}),
        (_object(a={"type": "string", "enum": ["x", 1]}), "a", {"string"}),
        (_object(a=_object(b=STRING)), "a.b", {"string"}),
        (_object(a={"type": "array", "items": NUMBER}), "a.*", {"number"}),
        (_object(a={"type": "array", "items": NUMBER}), "a.10", {"number"}),
        (_object(STRING), "x", {"string"}),
        (TREE, "children.*.children.0.value", {"number"}),
        (_object(a={"type": "null"}), "a", set()),
        ({"allOf": [_object(a={"type": ["string", "array"]}), _object(a=STRING)]}, "a", {"string"}),
        ({"anyOf": [_object(False, a=STRING), _object(False, a=NUMBER)]}, "a", {"string", "number"}),
        ({"anyOf": [_object(False, a=STRING), _object(False, b=NUMBER)]}, "a", {"string"}),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/a~1b"}}, "$defs": TREE["$defs"]}, "a", {"string"}),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/list/0"}}, "$defs": TREE["$defs"]}, "a", {"string"}),
    ],
)
def test_schema_tells_the_types_that_it_lists(schema: Any, path: str, kinds: set[str]) -> None:
    found = _at(schema, path)
    assert (found.listed, found.absent, found.kinds) == (True, False, kinds)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (_object(a=True), "a"),
        (_object(a=False), "a"),
        (_object(a={}), "a"),
        (_object(a={"type": "strange"}), "a"),
        (_object(a={"type": 1}), "a"),
        (_object(a={"anyOf": [STRING, {}]}), "a"),
        (_object(a={"$ref": "https://example.org/x"}), "a"),
        (_object(a={"anyOf": [STRING, {"$ref": "https://example.org/x"}]}), "a"),
        (_object(a={"$ref": "#anchor"}), "a"),
        (_object(a={"$ref": 1}), "a"),
        (_object(a={"$ref": "#/none"}), "a"),
        (_object(a={"$ref": "#/properties/a/type/1"}), "a"),
        (_object(a={"$ref": "#/properties/a", "type": "string"}), "a"),
        ({**_object(a={"$ref": "#/$defs/loop"}), "$defs": TREE["$defs"]}, "a"),
        (_object(a={"$dynamicRef": "#x"}), "a"),
        (_object(a={"$id": "x", "type": "string"}), "a"),
        (_object(a={"anyOf": []}), "a"),
        (_object(a=1), "a"),
        ({"anyOf": [_object(False, a=STRING), _object(b=NUMBER)]}, "a"),
        ({"allOf": [_object(a={}), _object(a={})]}, "a"),
        (_object(a={"allOf": [{"anyOf": [STRING] * 9}, {"anyOf": [STRING] * 9}]}), "a"),
        (_object(a={"anyOf": [STRING] * 99}), "a"),
    ],
)
def test_schema_lists_an_argument_of_unknown_type(schema: Any, path: str) -> None:
    assert _at(schema, path) == Found(listed=True)


@pytest.mark.parametrize(
    ("schema", "path", "parent"),
    [
        (_object(a=STRING), "b", 0),
        (_object(False, a=STRING), "b", 0),
        (_object(), "b", 0),
        (_object(a=_object(c=STRING)), "a.b", 1),
        (_object(a=STRING), "a.b", 1),
        (_object(a={"type": "array", "items": _object(False, b=STRING)}), "a.b", 1),
        (_object(a={"type": "array", "items": _object(False, b=STRING)}), "a.01", 1),
        (_object(a={"type": "array", "items": _object(False, b=STRING)}), "a.*.c", 2),
        ({"allOf": [_object(a=STRING), {"required": ["a"]}]}, "b", 0),
        ({"anyOf": [_object(False, a=STRING), _object(b=NUMBER)]}, "c", 0),
        ({**_object(a=STRING), "unevaluatedProperties": False}, "b", 0),
        ({"allOf": [_object(False, a=STRING), _object(b=STRING)]}, "b", 0),
    ],
)
def test_schema_has_no_argument_of_this_name(schema: Any, path: str, parent: int) -> None:
    found = _at(schema, path)
    assert (found.listed, found.absent, found.parent) == (False, True, parent)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "object"}, "a"),
        (True, "a"),
        (False, "a"),
        (1, "a"),
        (_object(True, a=_object()), "a.b"),
        (_object(a={}), "a.b.c"),
        (_object(a=False), "a.b"),
        ({**_object(a=STRING), "patternProperties": {"^b": STRING}}, "b"),
        ({**_object(False, a=STRING), "patternProperties": {"^b": STRING}}, "b"),
        ({**_object(NUMBER, a=STRING), "patternProperties": {"^b": STRING}}, "b"),
        ({**_object(a=STRING), "if": {}, "then": _object(b=STRING)}, "b"),
        ({**_object(a=STRING), "dependentSchemas": {"a": _object(b=STRING)}}, "b"),
        ({"anyOf": [_object(False, a=STRING), {"type": "object"}]}, "b"),
        ({"properties": 1}, "a"),
        (_object(a={"type": "array"}), "a.0"),
        (_object(a={"type": "array", "items": [STRING]}), "a.0.b"),
        (_object(a={"type": "array", "prefixItems": [STRING], "items": NUMBER}), "a.0"),
        (_object(a={"items": STRING}), "a.*"),
    ],
)
def test_schema_that_is_vague_says_nothing(schema: Any, path: str) -> None:
    assert _at(schema, path) == Found()


def test_schema_tells_the_values_that_it_lists() -> None:
    found = _at(_object(a={"anyOf": [{"enum": ["x", 1]}, {"const": 1.0}, {"allOf": [{"enum": [2]}, STRING]}]}), "a")
    assert found.values is not None
    assert plain(found.values[0]) == "x"
    assert len(found.values) == 3
    assert _at(_object(a={"anyOf": [{"enum": ["x"]}, STRING]}), "a").values is None


def test_schema_tells_what_stands_beside_an_unknown_name() -> None:
    found = _at({"anyOf": [_object(False, a=STRING), {**_object(False, b=STRING), "allOf": [{}]}]}, "c")
    assert found.siblings == ("a", "b")
    assert _at(_object(a=STRING), "a.b").parent_kinds == {"string"}


def test_schema_that_grows_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    doubling: dict[str, Any] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(15)}
    schema = {**_object(a={"$ref": "#/$defs/d0"}), "$defs": {**doubling, "d15": STRING}}
    assert _at(schema, "a") == Found(listed=True)
    wide = _object(a={"anyOf": [_object(False, b={"anyOf": [STRING] * 9})] * 9})
    assert _at(wide, "a.b") == Found()
    monkeypatch.setattr(module, "_MAX_STEPS", 1)
    assert _at(_object(a=STRING), "a") == Found(listed=True)


_LEAF = st.sampled_from([None, True, 1, "x"])
_VALUES: list[Any] = [None, True, 1, "x", [], [1], ["x"], [1, "x"], [["x"]], [{"a": 1}], {}]
_VALUES += [{name: value} for name in "ab" for value in (None, 1, "x", [1], {"a": 1}, {"b": "x"})]
_TYPE = st.sampled_from(["null", "boolean", "integer", "string", "array", "object"])
_SIMPLE = st.one_of(
    st.booleans(),
    st.just({}),
    st.builds(lambda each: {"type": each}, _TYPE | st.lists(_TYPE, min_size=1, max_size=3, unique=True)),
    st.builds(lambda each: {"enum": each}, st.lists(_LEAF, min_size=1, max_size=3)),
    st.builds(lambda each: {"const": each}, _LEAF),
    st.builds(
        lambda name, bound: {"type": "number", name: bound},
        st.sampled_from(["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"]),
        st.integers(0, 2),
    ),
)


def _compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=2)
    named = st.dictionaries(st.sampled_from("ab"), inner)
    keywords = {
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), several),
        **dict.fromkeys(("not", "if", "then", "else", "items", "additionalProperties", "unevaluatedProperties"), inner),
        **dict.fromkeys(("properties", "dependentSchemas"), named),
        "patternProperties": st.dictionaries(st.just("^a"), inner),
        "type": _TYPE,
    }
    pairs = st.lists(st.sampled_from(sorted(keywords)), min_size=1, max_size=3, unique=True)
    return pairs.flatmap(lambda names: st.fixed_dictionaries({name: keywords[name] for name in names}))


_DEFINED = st.recursive(_SIMPLE, _compound, max_leaves=4)
_SCHEMAS = st.recursive(_SIMPLE | st.just({"$ref": "#/$defs/d"}), _compound, max_leaves=8)
_PATHS = st.lists(st.sampled_from(["a", "b", "0", "*"]), max_size=2)


def _at_path(value: Any, path: list[str]) -> list[Any]:
    """The values at the path of a value; a null is none."""
    if not path:
        return [] if value is None else [value]
    first, *rest = path
    if isinstance(value, dict):
        return _at_path(value.get(first), rest)
    if isinstance(value, list):
        chosen = value if first == "*" else value[int(first) :][:1] if first.isdigit() else []
        return [found for each in chosen for found in _at_path(each, rest)]
    return []


def _known(value: Any) -> Any:
    root = read(json.dumps({"": value}), Report())
    assert root is not None
    assert isinstance(root.value, dict)
    return plain(root.value[""])


@settings(max_examples=300, deadline=None)
@given(_SCHEMAS, _DEFINED, _PATHS)
def test_schema_never_denies_a_type_or_a_value_that_a_valid_argument_has(
    inner: Any, other: Any, path: list[str]
) -> None:
    schema = {"type": "object", "properties": {"a": inner}, "$defs": {"d": other}}
    found = _at(schema, ".".join(["a", *path]))
    validator = jsonschema.Draft202012Validator(schema)
    for value in _VALUES:
        is_valid = validator.is_valid({"a": value})
        for seen in map(_known, _at_path(value, path) if is_valid else []):
            assert found.kinds is None or kind_of(seen) in found.kinds
            assert found.values is None or key(seen) in {key(plain(each)) for each in found.values}
            assert not isinstance(seen, Number) or meet(points([seen.value]), found.numbers)
