"""Pattern → a few texts that it matches, and neighbours of them that it does not. RE2 has the last word on each.

Reads only the common part of the syntax: a pattern beyond it has no specimen, never a wrong one. Nothing here knows
conditions.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, product

import re2  # type: ignore[import-untyped]

MAX_CHARS = 2_000
_MAX_EACH = 4
_MAX_TEXT = 2_000
_MAX_DEPTH = 50
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_CLASSES = {"d": "0", "w": "a", "s": " ", "D": "a", "W": " ", "S": "a", "n": "\n", "t": "\t", "r": "\r"}
_TRIED = "aA0 -_./:@~\\é"
_TOKEN = re.compile(
    r"(?P<anchor>[\^$]|\\[bBAz])"
    r"|(?P<escape>\\[dwsDWSntr]|\\[^A-Za-z0-9])"
    r"|(?P<klass>\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\])"
    r"|(?P<flags>\(\?[imsU]+\))"
    r"|(?P<open>\((?!\?)|\(\?(?:[a-z]*:|P?<[A-Za-z0-9_]+>))"
    r"|(?P<repeat>(?:[*+?]|\{(?P<least>[0-9]+)(?P<comma>,(?P<most>[0-9]*))?\})\??)"
    r"|(?P<bar>\|)|(?P<close>\))|(?P<dot>\.)|(?P<plain>[^\\\[(){])",
    re.DOTALL,
)


class _Unread(Exception):
    """The pattern uses what is not read here."""


@dataclass(frozen=True, slots=True)
class Specimens:
    """Texts that a pattern matches and texts that it does not; either may be empty."""

    inside: tuple[str, ...]
    outside: tuple[str, ...]


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a text holds a match, as RE2 says. The pattern must be one that RE2 takes."""
    compiled = re2.compile(pattern, _OPTIONS)
    return lambda text: compiled.search(text) is not None


def specimens(pattern: str) -> Specimens:
    """A few texts on either side of the pattern: at its least and its greatest repetitions, and one step beyond."""
    matches = matcher(pattern)
    made = _made(pattern)
    inside = tuple(text for text in made if matches(text))
    outside = dict.fromkeys(text for text in _beyond(inside) if not matches(text))
    return Specimens(inside, tuple(islice(outside, 2 * _MAX_EACH)))


def _made(pattern: str) -> list[str]:
    if len(pattern) > MAX_CHARS:
        return []
    try:
        return _Reader(pattern).texts()
    except _Unread:
        return []


def _beyond(inside: Iterable[str]) -> Iterator[str]:
    for text in inside:
        yield from (text[:-1], text[1:], f"{text}{text[-1:]}", f"{text}~", f"~{text}", f"{text}\n", text.swapcase())
        yield from (text.replace(old, "~") for old in dict.fromkeys(text[:8]))
    yield from ("", "~", " ")


class _Reader:
    """Reads a pattern from left to right and keeps, for each part, a few texts that it could stand for."""

    def __init__(self, pattern: str) -> None:
        self._tokens = list(self._read(pattern))
        self._at = 0

    def texts(self) -> list[str]:
        return self._alternatives(0)

    @staticmethod
    def _read(pattern: str) -> "Iterator[re.Match[str]]":
        at = 0
        while at < len(pattern):
            token = _TOKEN.match(pattern, at)
            if token is None:
                raise _Unread
            yield token
            at = token.end()

    def _kind(self) -> str:
        return self._tokens[self._at].lastgroup or "" if self._at < len(self._tokens) else "end"

    def _alternatives(self, depth: int) -> list[str]:
        if depth > _MAX_DEPTH:
            raise _Unread
        found = self._sequence(depth)
        while self._kind() == "bar":
            self._at += 1
            found = [*found[: _MAX_EACH - 1], *self._sequence(depth)]
        return _few(found)

    def _sequence(self, depth: int) -> list[str]:
        found = [""]
        while self._kind() not in ("end", "bar", "close"):
            part = self._part(depth)
            while self._kind() == "repeat":
                part = _repeated(part, self._tokens[self._at])
                self._at += 1
            found = _few([*_zipped(found, part), *(left + right for left, right in product(found, part))])
        return found

    def _part(self, depth: int) -> list[str]:
        token = self._tokens[self._at]
        kind, text = self._kind(), token.group()
        self._at += 1
        match kind:
            case "anchor" | "flags":
                return [""]
            case "escape":
                return [_CLASSES.get(text[1], text[1])]
            case "klass":
                return _members(text)
            case "dot":
                return ["x"]
            case "open":
                found = self._alternatives(depth + 1)
                self._at += 1
                return found
        return [text]


def _zipped(left: list[str], right: list[str]) -> Iterator[str]:
    """Each part's first, each part's last: the least and the greatest survive however long the pattern is."""
    yield left[0] + right[0]
    yield left[-1] + right[-1]


def _few(texts: Iterable[str]) -> list[str]:
    found = list(islice(dict.fromkeys(text for text in texts if len(text) <= _MAX_TEXT), _MAX_EACH))
    if not found:
        raise _Unread
    return found


def _repeated(part: list[str], token: "re.Match[str]") -> list[str]:
    counts: tuple[int, ...] = {"*": (1, 0, 2), "+": (1, 2), "?": (1, 0)}.get(token.group()[0], ())
    if not counts:
        least = int(token["least"])
        most = least if token["comma"] is None else int(token["most"]) if token["most"] else least + 1
        counts = (least, most)
    return _few(text * count for count in counts for text in part)


def _members(klass: str) -> list[str]:
    """A few characters that the class takes: its own first ones, else common ones. RE2 is asked which."""
    matches = matcher(f"^{klass}$")
    own = re.sub(r"\\[A-Za-z0-9]|\[:\^?[a-z]+:\]|\\", "", klass[1:-1])
    return _few(char for char in [*own, *_TRIED] if matches(char))
