"""Policy bytes → a tree with positions. Knows JSON and nothing of policies.

An own reader, because no JSON library keeps positions, number text and repeated member names. It does not
recurse, so depth cannot exhaust the stack, and it looks at every character a fixed number of times.
"""

import json
import re

from translator.number import OUT_OF_RANGE, number
from translator.program import Number
from translator.report import Report, quote
from translator.tree import FAULT, Node

MAX_DEPTH = 128
MAX_BYTES = 8 * 1024 * 1024
_SPACE = re.compile(r"[ \t\n\r]++")
_SPECIAL = re.compile(r'["\\\x00-\x1f]')
_ESCAPES = re.compile(r'(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+){1,256}')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![0-9A-Za-z.+-])")
_WORD = re.compile(r"[A-Za-z0-9_.+-]++")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ROOT = "a JSON object"
_UNCLOSED = "a string without its closing quote"
_WORDS = {"true": True, "false": False, "null": None}
_HINTS = {
    "'": "strings and names stand in double quotes",
    "/": "JSON has no comments",
    "#": "JSON has no comments",
    "NaN": "JSON has no NaN",
    "Infinity": "JSON has no Infinity",
    "-Infinity": "JSON has no Infinity",
    "True": "write true",
    "False": "write false",
    "None": "write null",
}


class _Unreadable(Exception):
    """Where and why the text is not JSON."""

    def __init__(self, at: int, message: str, hint: str = "") -> None:
        super().__init__(at, message, hint)
        self.at = at
        self.message = message
        self.hint = hint


def decode(document: bytes, report: Report) -> str:
    """The text of the document; what precedes a fault when it is not UTF-8, so that the fault has a position."""
    if len(document) > MAX_BYTES:
        report.unreadable(0, f"the document is larger than {MAX_BYTES} bytes", "split the policy")
        return ""
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        text = document[: error.start].decode("utf-8")
        report.unreadable(len(text), "the document is not UTF-8", "save the file as UTF-8")
        return text
    if text.startswith("\ufeff"):
        report.unreadable(0, "the document starts with a byte order mark", "save the file as UTF-8 without BOM")
    return text


def read(text: str, report: Report) -> Node | None:
    """The tree of the document, or None when it cannot be parsed; then `report` says why.

    A repeated member name, a number out of range and too deep a nesting are reported too, but reading goes on.
    Source: policy-semantics, sections 1, 4 and 15.1.
    """
    reader = _Reader(text, report)
    try:
        return reader.document()
    except _Unreadable as error:
        report.unreadable(error.at, error.message, error.hint)
        return None


class _Reader:
    def __init__(self, text: str, report: Report) -> None:
        self._text = text
        self._report = report
        self._at = 0
        self._depth = 0
        self._numbers: dict[str, Number | None] = {}

    def document(self) -> Node:
        """Reads the whole text."""
        if not self._peek():
            raise _Unreadable(0, "the document is empty", 'the smallest policy is {"version": "1", "default": "deny"}')
        root = Node(FAULT, self._at)
        box = self._value(root)
        while box is not None:
            box = self._step(box)
        if self._peek():
            raise _Unreadable(self._at, "text after the end of the document", "a policy is one JSON object")
        return root

    def _step(self, box: Node) -> Node | None:
        """Reads one member or element of the open container, or its end; the container to go on with."""
        held = box.value
        closing = "}" if isinstance(held, dict) else "]"
        if self._peek() == closing:
            self._at += 1
            if self._depth > MAX_DEPTH:
                box.value = FAULT
            self._depth -= 1
            return box.parent
        if held:
            self._comma(closing)
        child = self._member(box, held) if isinstance(held, dict) else self._element(box)
        return self._value(child) or box

    def _element(self, box: Node) -> Node:
        held = box.value
        assert isinstance(held, list)
        self._peek()
        child = Node(FAULT, self._at, len(held), self._at, box)
        held.append(child)
        return child

    def _member(self, box: Node, held: "dict[str, Node]") -> Node:
        if self._peek() != '"':
            raise self._unexpected("a member name in double quotes")
        name_at = self._at
        name = self._string()
        if self._peek() != ":":
            raise self._unexpected('":" after the member name')
        self._at += 1
        self._peek()
        child = Node(FAULT, self._at, name, name_at, box)
        if name in held:
            message = f"the member name {quote(name)} is repeated"
            self._report.unreadable(name_at, message, "keep one of them; two readers could see two policies")
        else:
            held[name] = child
        return child

    def _comma(self, closing: str) -> None:
        if self._peek() != ",":
            raise self._unexpected(f'"," or "{closing}"')
        comma_at = self._at
        self._at += 1
        if self._peek() in ("}", "]"):
            raise _Unreadable(comma_at, "a comma after the last entry", "remove the comma")

    def _value(self, node: Node) -> Node | None:
        """Reads the value of `node`; the node itself when that opens a container."""
        node.start = self._at
        first = self._text[self._at : self._at + 1]
        if first == '"':
            node.value = self._string()
        elif first in ("{", "["):
            return self._open(node, first)
        elif match := _NUMBER.match(self._text, self._at):
            self._at = match.end()
            self._number(node, match.group())
        elif (word := self._word()) in _WORDS:
            self._at += len(word)
            node.value = _WORDS[word]
        else:
            raise self._unexpected("a value" if node.parent else _ROOT)
        return None

    def _open(self, node: Node, bracket: str) -> Node:
        self._at += 1
        self._depth += 1
        if self._depth == MAX_DEPTH + 1:
            self._report.fault(node, f"nested deeper than {MAX_DEPTH} levels")
        node.value = {} if bracket == "{" else []
        return node

    def _number(self, node: Node, text: str) -> None:
        if text not in self._numbers:
            self._numbers[text] = number(text)
        value = self._numbers[text]
        if value is not None:
            node.value = value
        elif self._depth <= MAX_DEPTH:
            self._report.fault(node, *OUT_OF_RANGE)

    def _string(self) -> str:
        start, end = self._at, self._at + 1
        while (special := _SPECIAL.search(self._text, end)) and special.group() != '"':
            escapes = _ESCAPES.match(self._text, special.start())
            if escapes is None:
                raise _bad_string(start, special)
            end = escapes.end()
        if special is None:
            raise _Unreadable(start, _UNCLOSED)
        self._at = special.end()
        token = self._text[start : self._at]
        if "\\" not in token:
            return token[1:-1]
        value: str = json.loads(token)
        if _SURROGATE.search(value):
            raise _Unreadable(start, "an unpaired surrogate in a string", "write the character itself")
        return value

    def _peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        if match := _SPACE.match(self._text, self._at):
            self._at = match.end()
        return self._text[self._at : self._at + 1]

    def _word(self) -> str:
        match = _WORD.match(self._text, self._at)
        return match.group() if match else ""

    def _unexpected(self, wanted: str) -> _Unreadable:
        char = self._peek()
        if not char:
            return _Unreadable(self._at, f"the document ends where {wanted} should stand", "was it cut off?")
        word = self._word() or char
        hint = _HINTS.get(word, "")
        if not hint and wanted == _ROOT:
            hint = "a policy is one JSON object; regate import reads YAML"
        return _Unreadable(self._at, f"expected {wanted}, found {quote(word)}", hint)


def _bad_string(start: int, special: "re.Match[str]") -> _Unreadable:
    at, char = special.start(), special.group()
    if char == "\\":
        return _Unreadable(at, "an unknown escape in a string", 'a backslash itself is written "\\\\"')
    if char in "\r\n":
        return _Unreadable(start, _UNCLOSED)
    return _Unreadable(at, f"the control character U+{ord(char):04X} in a string", "write it as an escape")
