"""A JSON document as a tree that knows where each part stands. No reading of text and no judging here."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from translator.program import Json, Number


class Fault(Enum):
    """Stands for a value that was already reported, so that nobody reports it twice."""

    FAULT = "fault"


FAULT = Fault.FAULT

Value: TypeAlias = "bool | str | Number | list[Node] | dict[str, Node] | Fault | None"


@dataclass(slots=True, eq=False)
class Node:
    """One value of the document. `key` is its member name or index in `parent`.

    Units: `key_start` and `start` are offsets in code points; in an array both are the same.
    """

    value: Value
    start: int
    key: str | int = ""
    key_start: int = 0
    parent: "Node | None" = None

    def pointer(self) -> str:
        """The JSON pointer of this place (RFC 6901)."""
        parts: list[str] = []
        node = self
        while node.parent is not None:
            parts.append("/" + escape(str(node.key)))
            node = node.parent
        return "".join(reversed(parts))


def escape(part: str) -> str:
    """One reference token of a JSON pointer. Source: RFC 6901, section 3."""
    return part.replace("~", "~0").replace("/", "~1")


def plain(node: Node) -> Json:
    """The value without positions. A fault reads as null: its document never becomes a program."""
    value = node.value
    if isinstance(value, list):
        return [plain(child) for child in value]
    if isinstance(value, dict):
        return {name: plain(child) for name, child in value.items()}
    return None if isinstance(value, Fault) else value


def kind(node: Node) -> str:
    """The JSON type of the value, as a message names it."""
    value = node.value
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "a string", Number: "a number", list: "an array", dict: "an object"}
    return names[type(value)]
