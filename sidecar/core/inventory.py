"""What the upstream advertised: tool names, argument names, mirrored headers. State without I/O; filters nothing.

Source: mcp-gateway.md G6, G13, G54.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from sidecar.core import listing, splice
from sidecar.core.listing import Listing
from sidecar.core.names import Known
from sidecar.errors import Broken

_ANNOTATION = "x-mcp-header"
_TYPES = ("string", "integer", "boolean")
_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
# fmt: off
_ONE = frozenset((
    "items", "contains", "unevaluatedItems", "additionalProperties", "propertyNames", "unevaluatedProperties", "not",
    "if", "then", "else", "contentSchema",
))
# fmt: on
_LIST = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAP = frozenset({"patternProperties", "dependentSchemas", "$defs", "definitions"})


class HeaderParam(msgspec.Struct, frozen=True):
    """An argument that a header mirrors: the lower-case header, the way to the argument, whether it is an integer."""

    header: bytes
    path: tuple[str, ...]
    integer: bool


class _Tool(msgspec.Struct, frozen=True):
    properties: Known | None
    headers: tuple[HeaderParam, ...]


class Inventory:
    """The tools of one server, as far as its list answers have passed. Keeps at most 10,000."""

    def __init__(self) -> None:
        self._tools: dict[str, _Tool] = {}
        self._announces_changes = False

    def learn(self, answer: bytes | Listing) -> None:
        """Takes in the tools of one unfiltered list answer; anything else teaches nothing."""
        try:
            found = listing.read(answer) if isinstance(answer, bytes) else answer
        except Broken:
            return
        if found is None:
            return
        annotated = _ANNOTATION in found.text or "\\u" in found.text
        for entry in found.entries:
            if entry.name is not None and (entry.name in self._tools or len(self._tools) < listing.TOOLS):
                self._tools[entry.name] = _tool(entry.value.get("inputSchema"), annotated=annotated)

    def learn_abilities(self, answer: bytes) -> None:
        """Takes in an answer to `initialize`; anything else teaches nothing."""
        if (tools := splice.get(answer, "result", "capabilities", "tools")) is not None:
            self._announces_changes = splice.get(tools, "listChanged") == b"true"

    @property
    def announces_changes(self) -> bool:
        """Whether the server says that it tells of changes to its list of tools."""
        return self._announces_changes

    @property
    def names(self) -> list[str]:
        """The tools that are known."""
        return list(self._tools)

    def advertised(self, name: str) -> bool:
        """Whether the upstream listed a tool of exactly this name."""
        return name in self._tools

    def properties(self, name: str) -> Known | None:
        """The names of a tool's arguments, or None when its schema is not known."""
        tool = self._tools.get(name)
        return None if tool is None else tool.properties

    def header_params(self, name: str) -> tuple[HeaderParam, ...]:
        """The arguments that headers mirror; none when the schema is unknown or its annotations are invalid."""
        tool = self._tools.get(name)
        return () if tool is None else tool.headers


def _tool(schema: Any, *, annotated: bool) -> _Tool:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    known = Known(properties) if isinstance(properties, dict) else None
    return _Tool(known, mirrored(schema) or () if annotated else ())


def mirrored(schema: Any) -> tuple[HeaderParam, ...] | None:
    """The mirrored arguments of a schema; None if any annotation is invalid: conforming clients drop such a tool."""
    found: dict[bytes, HeaderParam] = {}
    for path, node in _schemas(schema):
        if _ANNOTATION not in node:
            continue
        token, kind = node[_ANNOTATION], node.get("type")
        if not path or not isinstance(token, str) or not _is_token(token) or kind not in _TYPES:
            return None
        header = b"mcp-param-" + token.lower().encode()
        if header in found:
            return None
        found[header] = HeaderParam(header, path, kind == "integer")
    return tuple(found.values())


def _schemas(root: Any) -> Iterator[tuple[tuple[str, ...] | None, dict[str, Any]]]:
    """Every schema inside a schema, with the chain of properties that leads to it (None: another way)."""
    waiting: list[tuple[tuple[str, ...] | None, Any]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        if not isinstance(node, dict):
            continue
        yield path, node
        for keyword, value in node.items():
            if keyword == "properties" and isinstance(value, dict):
                waiting += [(None if path is None else (*path, name), child) for name, child in value.items()]
            elif keyword in _ONE:
                waiting.append((None, value))
            elif keyword in _LIST and isinstance(value, list):
                waiting += [(None, child) for child in value]
            elif keyword in _MAP and isinstance(value, dict):
                waiting += [(None, child) for child in value.values()]
