"""A tools/list answer → its names, and the same answer without the tools that are hidden. Nothing else is touched.

Reads as laxly as the laxest client: whatever one of them could take for a list of tools is found here, be it in a
batch, beside an error, twice, under look-alike names or in UTF-16. Source: mcp-gateway.md G26, G27.
"""

import json
import re
from collections.abc import Callable, Collection
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, TypeAlias

import msgspec

from sidecar.core import strict
from sidecar.core.names import fold
from sidecar.core.strict import Number
from sidecar.errors import Broken

_after_space = re.compile(r"[\s\ufeff]*").match
_has_escaped_letter = re.compile(rb"\\u0(?:0[4-7]|000|17[fF])").search
_has_list_name = re.compile(r"""["'][\s\ufeff]*tool[s\u017f]""", re.IGNORECASE).search
_is_whole = re.compile(r"0|[1-9][0-9]{0,15}").fullmatch
TOOLS = 10_000
"""More tools than this in one list are not looked through."""

_HINTS = frozenset({"cachescope", "ttlms"})
_Change: TypeAlias = tuple[int, int, str]


class Entry(msgspec.Struct, frozen=True):
    """One element of a `tools` array. `name` is None where it has none that every reader reads the same."""

    name: str | None
    value: Any
    start: int
    end: int


class _Hint(msgspec.Struct, frozen=True):
    name: str
    value: object
    start: int
    end: int


class _Result(msgspec.Struct, frozen=True):
    """A result object: where it starts, its arrays of tools (start, end, entries) and its caching hints."""

    start: int
    lists: list[tuple[int, int, list[Entry]]]
    hints: list[_Hint]


class Listing:
    """A message that carries tools."""

    def __init__(self, data: bytes, text: str, results: list[_Result]) -> None:
        self._data = data
        self.text = text
        self._results = results

    @property
    def entries(self) -> list[Entry]:
        """All tools, in order, nameless ones included."""
        return [entry for result in self._results for _, _, entries in result.lists for entry in entries]

    @property
    def names(self) -> tuple[str, ...]:
        """The tools' names, in order."""
        return tuple(entry.name for entry in self.entries if entry.name is not None)

    def filtered(self, visible: Collection[str], *, modern: bool, ttl_cap_ms: int) -> bytes:
        """The message with the visible tools only; the very same bytes object if that changes nothing."""
        kept = frozenset(visible)
        changes: list[_Change] = []
        for result in self._results:
            for start, end, entries in result.lists:
                shown = [self.text[entry.start : entry.end] for entry in entries if entry.name in kept]
                if len(shown) < len(entries):
                    changes.append((start, end, f"[{','.join(shown)}]"))
            if modern:
                changes += _private(result, ttl_cap_ms)
        return self._spliced([change for change in changes if self.text[change[0] : change[1]] != change[2]])

    def _spliced(self, changes: list[_Change]) -> bytes:
        if not changes:
            return self._data
        parts = []
        done = 0
        for start, end, text in sorted(changes):
            parts += [self.text[done:start], text]
            done = end
        return "".join([*parts, self.text[done:]]).encode()


def read(data: bytes) -> Listing | None:
    """The listing in this message, or None when it carries no tools.

    Raises: Broken (it may carry tools, but cannot be read).
    """
    if not may_list(data):
        return None
    text, exact = _decoded(data)
    found = _Finder(text)
    try:
        index = _skip(text, 0)
        while index < len(text):
            index = _skip(text, found.message(index))
    except (StopIteration, ValueError, IndexError, RecursionError):
        readings = (reading.translate(None, b"\0\n").decode(errors="replace") for reading in (data, text.encode()))
        if any(map(_has_list_name, readings)) or _has_escaped_letter(data):
            raise Broken("The server sent what may be a list of tools, but is not readable JSON.") from None
        return None
    if found.odd or (found.results and not exact):
        raise Broken("The server sent a list of tools in a form that cannot be filtered.")
    return Listing(data, text, found.results) if found.results else None


def names(data: bytes) -> tuple[str, ...] | None:
    """The names of the tools in this message, or None when it carries none. Raises: Broken."""
    listing = read(data)
    return None if listing is None else listing.names


def filtered(data: bytes, visible: Collection[str], *, modern: bool, ttl_cap_ms: int) -> bytes:
    """The message with the visible tools only; all else byte for byte. Raises: Broken."""
    listing = read(data)
    return data if listing is None else listing.filtered(visible, modern=modern, ttl_cap_ms=ttl_cap_ms)


def may_list(data: bytes) -> bool:
    """Whether this message may carry tools: False is sure."""
    lower = data.lower().replace(b"\n", b"")
    return (
        b"tools" in lower
        or b"tool\xc5\xbf" in lower
        or b"\0" in data
        or (b"\\u" in data and _has_escaped_letter(data) is not None)
    )


def _decoded(data: bytes) -> tuple[str, bool]:
    """The text, and whether it is exactly what the bytes say."""
    try:
        return data.decode(json.detect_encoding(data) if b"\0" in data else "utf-8"), True
    except UnicodeDecodeError:
        return data.decode(errors="replace"), False


def _private(result: _Result, ttl_cap_ms: int) -> list[_Change]:
    """What makes the caching hints of one result right. Source: mcp-gateway.md G27."""
    changes = []
    named = set()
    for hint in result.hints:
        named.add(hint.name)
        text = '"private"' if hint.name == "cachescope" else _ttl(hint.value, ttl_cap_ms)
        changes.append((hint.start, hint.end, text))
    missing = ('"cacheScope":"private",', "cachescope"), ('"ttlMs":0,', "ttlms")
    added = "".join(text for text, name in missing if name not in named)
    return [*changes, (result.start + 1, result.start + 1, added)]


def _ttl(value: object, cap_ms: int) -> str:
    if not isinstance(value, Number):
        return "0"
    return value.text if _is_whole(value.text) and int(value.text) <= cap_ms else str(_capped(value.text, cap_ms))


def _capped(text: str, cap_ms: int) -> int:
    return int(max(0.0, min(float(text), float(cap_ms))))


class _Finder:
    """Walks one text and keeps what it finds: results that carry tools, and whether one has an odd form."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.results: list[_Result] = []
        self.odd = False

    def message(self, index: int) -> int:
        """Reads a message or a batch of them; where it ends."""
        if self._text[index] == "[":
            return _elements(self._text, index, self._single)
        return self._single(index)

    def _single(self, index: int) -> int:
        """One message, or a whole piece of one (a line of a long body): `tools` may stand at its top, even alone."""
        if self._text[index] == "{":
            return self._result(index)
        value, end = _value(self._text, index)
        self.odd = self.odd or (isinstance(value, str) and _lax(value) == "tools")
        return end

    def _result(self, index: int) -> int:
        result = _Result(index, [], [])
        end = _members(self._text, index, lambda name, index: self._member(result, _lax(name), index))
        if result.lists:
            self.results.append(result)
        return end

    def _member(self, result: _Result, name: str, index: int) -> int:
        if name == "result" and self._text[index] == "{":
            return self._result(index)
        if name == "tools" and self._text[index] == "[":
            entries: list[Entry] = []
            end = _elements(self._text, index, lambda index: self._entry(entries, index))
            result.lists.append((index, end, entries))
            return end
        value, end = _value(self._text, index)
        self.odd = self.odd or (name == "tools" and isinstance(value, dict))
        if name in _HINTS:
            result.hints.append(_Hint(name, value, index, end))
        return end

    def _entry(self, entries: list[Entry], index: int) -> int:
        if len(entries) == TOOLS:
            raise Broken(f"The server sent a list of more than {TOOLS} tools.")
        value, end = _value(self._text, index)
        entries.append(Entry(_name(value), value, index, end))
        return end


def _lax(name: str) -> str:
    """A member's name as the laxest reader sees it, such as one that joins an event's lines without a break."""
    return fold(name.replace("\n", "") if "\n" in name else name)


def _name(entry: object) -> str | None:
    if type(entry) is not dict or any(name != "name" and _lax(name) == "name" for name in entry):
        return None
    name = entry.get("name")
    if type(name) is not str:
        return None
    return name if name.isascii() or not any("\ud800" <= char <= "\udfff" for char in name) else None


def _members(text: str, index: int, visit: Callable[[str, int], int]) -> int:
    """Shows each member of the object at `index` to `visit`, which says where its value ends; where the object ends."""
    index = _skip(text, index + 1)
    if text[index] == "}":
        return index + 1
    while True:
        if text[index] != '"':
            raise ValueError
        name, index = scanstring(text, index + 1, False)
        index = _skip(text, index)
        if text[index] != ":":
            raise ValueError
        index = _skip(text, visit(name, _skip(text, index + 1)))
        if text[index] == "}":
            return index + 1
        index = _comma(text, index)


def _elements(text: str, index: int, visit: Callable[[int], int]) -> int:
    """Shows each element of the array at `index` to `visit`, which says where it ends; where the array ends."""
    index = _skip(text, index + 1)
    if text[index] == "]":
        return index + 1
    while True:
        index = _skip(text, visit(index))
        if text[index] == "]":
            return index + 1
        index = _comma(text, index)


def _comma(text: str, index: int) -> int:
    if text[index] != ",":
        raise ValueError
    return _skip(text, index + 1)


def _skip(text: str, index: int) -> int:
    match = _after_space(text, index)
    assert match is not None
    return match.end()


class _TwoNames(dict[str, Any]):
    """A tool that is named twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs) and sum(name == "name" for name, _ in pairs) > 1:
        return _TwoNames(members)
    return members


_value = strict.scanner(_object, lambda _: None, strict=False)
