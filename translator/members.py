"""The members of one object, read by type. Knows JSON types, not what a policy means by them."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from translator.report import Report, quote
from translator.tree import Node

Word = TypeVar("Word", bound=StrEnum)

# Unicode's White_Space property (PropList.txt); `str.isspace` also takes U+001C to U+001F.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def is_blank(text: str) -> bool:
    """Is it empty, or Unicode white space only? Source: policy-semantics, section 15.2."""
    return not text.strip(_WHITE_SPACE)


class Members:
    """Typed access to the members of an object. Every fault goes to the report, once."""

    def __init__(self, node: Node, held: Mapping[str, Node], report: Report) -> None:
        self.node = node
        self._held = held
        self._report = report

    def __contains__(self, name: str) -> bool:
        return name in self._held

    def find(self, name: str) -> Node | None:
        """The member, or None when it is absent."""
        return self._held.get(name)

    def need(self, name: str, hint: str = "") -> Node | None:
        """The member; its absence is a fault of the object."""
        node = self._held.get(name)
        if node is None:
            self._report.add(self.node, f"lacks the member {quote(name)}", hint)
        return node

    def text(self, name: str) -> str:
        """The string member; empty when absent."""
        node = self._held.get(name)
        if node is None:
            return ""
        if isinstance(node.value, str):
            return node.value
        self._report.wrong_type(node, "a string")
        return ""

    def array(self, name: str) -> list[Node]:
        """The elements of the array member; none when absent."""
        node = self._held.get(name)
        return [] if node is None else array(node, self._report)


def members(
    node: Node,
    known: Collection[str],
    report: Report,
    hints: Mapping[str, str] = MappingProxyType({}),
    wanted: str = "an object",
) -> Members | None:
    """The members of the object at `node`; None, and a fault, for any other value.

    `known` are the names the object may have; `hints` say where some others belong;
    `wanted` is what a message calls the right type.
    """
    if not isinstance(node.value, dict):
        report.wrong_type(node, wanted)
        return None
    for name, member in node.value.items():
        if name not in known:
            report.unknown(member, known, hints.get(name, ""))
    return Members(node, node.value, report)


def array(node: Node, report: Report) -> list[Node]:
    """The elements of the array at `node`; none, and a fault, for any other value."""
    if isinstance(node.value, list):
        return node.value
    report.wrong_type(node, "an array")
    return []


def word(node: Node, words: type[Word], report: Report) -> Word | None:
    """The word at `node`; None, and a fault, when it is not one of `words`."""
    if isinstance(node.value, str) and node.value in list(words):
        return words(node.value)
    report.not_one_of(node, list(words))
    return None
