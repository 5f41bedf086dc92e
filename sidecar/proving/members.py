"""A JSON object or array taken apart, each part's text as it was written. Parts are found and checked, never settled.

A case may hold on purpose what a parser would settle or refuse: doubled names, half surrogates, bottomless nesting.
"""

import json
import re
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

_space = re.compile(r"[ \t\n\r]*").match
_scalar = re.compile(r"[^\s,\]}]*").match
_piece = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]|[^][{}"]+').match


class Malformed(Exception):
    """The text is not JSON, or has a member name twice. `at` is where, in code points from 0."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def members(text: str) -> dict[str, str]:
    """The members of the one object in this text. Raises: Malformed."""
    reader = _Reader(text)
    found: dict[str, str] = {}
    more = reader.opened("{", "}", "an object")
    while more:
        name = reader.name()
        if name in found:
            raise Malformed(f'"{name}" is there twice', reader.at)
        found[name] = reader.value()
        more = reader.goes_on("}")
    reader.nothing_more()
    return found


def elements(text: str) -> list[str]:
    """The elements of the one array in this text. Raises: Malformed."""
    reader = _Reader(text)
    found = []
    more = reader.opened("[", "]", "an array")
    while more:
        found.append(reader.value())
        more = reader.goes_on("]")
    reader.nothing_more()
    return found


def plain(text: str) -> Any:
    """The value in the text of a part, where no number belongs: one is worth nothing. Raises: Malformed."""
    try:
        return json.loads(text, parse_int=lambda _: 0, parse_float=lambda _: 0.0)
    except RecursionError:
        raise Malformed("it is nested too deeply", 0) from None


def _constant(name: str) -> None:
    raise JSONDecodeError(f"{name} is not JSON", name, 0)


class _Reader:
    """Where we are in a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._to_next()

    def opened(self, bracket: str, closing: str, kind: str) -> bool:
        """Steps in; is there anything inside?"""
        if not self._stepped(bracket):
            raise Malformed(f"{kind} is expected here", self.at)
        return not self._stepped(closing)

    def name(self) -> str:
        if not self._stepped('"'):
            raise Malformed("a member name is expected here", self.at)
        try:
            name, self.at = scanstring(self.text, self.at, True)
        except JSONDecodeError as error:
            raise Malformed(error.msg, error.pos) from error
        self._to_next()
        if not self._stepped(":"):
            raise Malformed("a colon is expected here", self.at)
        return str(name)

    def value(self) -> str:
        begin = self.at
        depth = 0
        while self.at < len(self.text):
            piece = (_piece if depth or self.text[self.at] in '"[{' else _scalar)(self.text, self.at)
            if piece is None or not piece.group():
                break
            self.at = piece.end()
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(piece.group(), 0)
            if depth <= 0:
                break
        value = self.text[begin : self.at]
        _check(value, begin)
        self._to_next()
        return value

    def goes_on(self, closing: str) -> bool:
        if self._stepped(","):
            return True
        if not self._stepped(closing):
            raise Malformed(f"a comma or {closing} is expected here", self.at)
        return False

    def nothing_more(self) -> None:
        if self.at < len(self.text):
            raise Malformed("nothing may follow here", self.at)

    def _stepped(self, char: str) -> bool:
        there = self.text.startswith(char, self.at)
        if there:
            self.at += 1
            if char != '"':
                self._to_next()
        return there

    def _to_next(self) -> None:
        space = _space(self.text, self.at)
        self.at = space.end() if space else self.at


def _check(value: str, begin: int) -> None:
    """Is the part JSON? One that is nested deeper than can be checked is left to whoever reads it."""
    try:
        json.loads(value, parse_int=str, parse_float=str, parse_constant=_constant)
    except JSONDecodeError as error:
        raise Malformed(error.msg, begin + error.pos) from error
    except RecursionError:
        return
