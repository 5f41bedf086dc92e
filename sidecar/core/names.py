"""When a name only looks like another. Folding never decides what a name is, only what is refused.

Nothing here reads JSON or knows a message. Source: mcp-gateway.md G2, G6, G54; CVE-2026-27896, GHSA-q382-vc8q-7jhj.
"""

import re
import unicodedata
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from urllib.parse import unquote

_UNSEEN = str.maketrans({"\0": None, "ı": "i", "\u0307": None})
_SLASHES = str.maketrans(dict.fromkeys("\\\u2044\u2215\u29f8\u29f5\u2216\uff3c", "/"))
_ESCAPE = re.compile(r"\\u\{?([0-9a-fA-F]{4})\}?|\\x([0-9a-fA-F]{2})|&#x([0-9a-fA-F]{2,6});|&#([0-9]{2,7});")

is_tool_name = re.compile(r"[A-Za-z0-9_.-]{1,128}").fullmatch
"""Whether a tool's name is of the form that needs no advertising (G6)."""


def fold(name: str) -> str:
    """The name as the laxest known reader of JSON members sees it: without case and without U+0000.

    U+017F and U+212A fold to s and k; both Turkish i's, which some platforms fold, to i.
    """
    folded = name.casefold()
    return folded if folded.isascii() and "\0" not in folded else folded.translate(_UNSEEN)


class Known:
    """Names that no other name may look like."""

    __slots__ = ("_folded", "exact")

    def __init__(self, names: Iterable[str]) -> None:
        self.exact = frozenset(names)
        self._folded = frozenset(map(fold, self.exact))

    def imitated(self, names: AbstractSet[str]) -> bool:
        """Whether one of these is none of the known names, but folds to one."""
        if names <= self.exact:
            return False
        return any(name not in self.exact and fold(name) in self._folded for name in names)


def bare_method(method: str) -> str:
    """A method as a lenient server might come to read it.

    Percent-, backslash- and entity-escapes undone, however deep, compatibility forms composed, case folded,
    spaces, control and invisible characters dropped, slashes of any kind made plain and single.
    """
    while (plain := _unescaped(method)) != method:
        method = plain
    seen = (char for char in fold(method) if unicodedata.category(char)[0] not in "CZM")
    return re.sub("/+", "/", "".join(seen).translate(_SLASHES)).strip("/")


def _unescaped(method: str) -> str:
    return unicodedata.normalize("NFKC", _ESCAPE.sub(_character, unquote(method, errors="replace")))


def _character(match: re.Match[str]) -> str:
    four, two, entity, decimal = match.groups()
    point = int(decimal) if decimal else int(four or two or entity, 16)
    return chr(point) if point <= 0x10FFFF else ""
