"""YAML text → a tree with positions, as `source` makes it of JSON. Knows nothing of policies.

It goes by PyYAML's events, not by its documents, so that neither depth nor aliases can exhaust anything.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from translator import yamlscalar
from translator.report import Report, quote
from translator.source import MAX_DEPTH
from translator.tree import FAULT, Node

MAX_COPIED = 100_000
"""Values that the aliases of a document may stand for: a few lines of them could stand for billions."""
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NO_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_COLLECTIONS = (None, "!", f"{yamlscalar.CORE}map", f"{yamlscalar.CORE}seq")
_MERGE = "<<"


class _Unreadable(Exception):
    """Where and why the text is not YAML that is read here. Without a message, that was reported already."""

    def __init__(self, at: int = 0, message: str = "", hint: str = "") -> None:
        super().__init__(at, message, hint)
        self.at = at
        self.message = message
        self.hint = hint


def read(text: str, report: Report, remarks: Report) -> Node | None:
    """The tree of the document, or None when it cannot be parsed; then `report` says why.

    A repeated name, a name that is no string, a tag and a value that JSON lacks are reported too, but reading goes on.
    What other readers of YAML read otherwise goes to `remarks`.
    Source: YAML 1.1; policy-semantics, section 10.
    """
    odd = _NO_TEXT.search(text)
    if odd:
        message = f"the character U+{ord(odd[0]):04X} cannot stand in YAML"
        report.unreadable(odd.start(), message, "write it as an escape in double quotes")
        return None
    try:
        return _Reader(text, report, remarks).document()
    except _Unreadable as error:
        if error.message:
            report.unreadable(error.at, error.message, error.hint)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        report.unreadable(mark.index if mark else 0, f"not valid YAML: {getattr(error, 'problem', '')}")
    except (ValueError, OverflowError):
        report.unreadable(0, "not valid YAML: an impossible escape or directive")
    return None


class _Reader:
    def __init__(self, text: str, report: Report, remarks: Report) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._report = report
        self._remarks = remarks
        self._anchors: dict[str, Node] = {}
        self._depth = 0
        self._copied = 0
        self._refused: set[Node] = set()

    def document(self) -> Node:
        """Reads the whole text."""
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _Unreadable(0, "the document is empty")
        event = next(self._events)
        root = Node(FAULT, event.start_mark.index, key_start=-1)
        box = self._value(root, event)
        while box is not None:
            box = self._step(box)
        next(self._events)
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _Unreadable(event.start_mark.index, "a second document", "a policy is one document")
        return root

    def _step(self, box: Node) -> Node | None:
        """Reads one member or element of the open container, or its end; the container to go on with."""
        event = next(self._events)
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._depth -= 1
            if box in self._refused:
                box.value = FAULT
            return box.parent
        at = event.start_mark.index
        held = box.value
        if isinstance(held, list):
            # One before its text, so that an element is told before its first member, which begins at the same place.
            child = Node(FAULT, at, len(held), at - 1, box)
            held.append(child)
            return self._value(child, event) or box
        name = self._name(box, event)
        event = next(self._events)
        child = Node(FAULT, event.start_mark.index, name or "", at, box)
        if isinstance(held, dict) and name is not None:
            if name in held:
                message = f"the name {quote(name)} is repeated"
                self._report.unreadable(at, message, "keep one of them; two readers could see two policies")
            else:
                held[name] = child
        return self._value(child, event) or box

    def _name(self, box: Node, event: Any) -> str | None:
        """The name of a member; None, and a fault of the mapping, when it is no string."""
        name: yamlscalar.Scalar = None
        at = Node(None, event.start_mark.index, box.key, box.key_start, box.parent)
        if not isinstance(event, yaml.ScalarEvent):
            self._report.fault(at, "a name that is no plain text", "write the name itself")
            self._skip(at, event)
            return None
        try:
            name = self._scalar(event).value
        except yamlscalar.Unreadable as error:
            self._report.fault(at, f"the name {quote(event.value)} {error.message}", error.hint)
            return None
        if not isinstance(name, str):
            self._report.fault(at, f"the name {quote(event.value)} is not a string", "put it in quotes")
        elif name == _MERGE and event.implicit[0]:
            self._report.fault(at, f"members are not merged with {quote(_MERGE)} here", "write them out")
        else:
            return name
        return None

    def _skip(self, at: Node, event: Any) -> None:
        """Passes over what stands where a name should."""
        nested = int(isinstance(event, yaml.CollectionStartEvent))
        while nested:
            self._check_depth(at, self._depth + nested)
            event = next(self._events)
            nested += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)

    def _value(self, node: Node, event: Any) -> Node | None:
        """Reads the value of `node`; the node itself when that opens a container."""
        if isinstance(event, yaml.AliasEvent):
            self._alias(node, str(event.anchor))
            return None
        if event.anchor:
            self._anchors[event.anchor] = node
        if isinstance(event, yaml.ScalarEvent):
            try:
                read = self._scalar(event)
            except yamlscalar.Unreadable as error:
                self._report.fault(node, f"{quote(event.value)} {error.message}", error.hint)
                return None
            node.value = read.value
            if read.surprise:
                self._remarks.add(node, f"{quote(event.value)} {read.surprise}", "in quotes it is text")
            return None
        if event.tag not in _COLLECTIONS:
            self._report.fault(node, f"has the tag {quote(event.tag)}, which is not read here", "remove the tag")
            self._refused.add(node)
        self._depth += 1
        self._check_depth(node, self._depth)
        node.value = {} if isinstance(event, yaml.MappingStartEvent) else []
        return node

    def _scalar(self, event: Any) -> yamlscalar.Read:
        """Raises: yamlscalar.Unreadable."""
        text: str = event.value
        if _SURROGATE.search(text):
            raise _Unreadable(event.start_mark.index, "an unpaired surrogate in a string", "write the character itself")
        if event.tag not in (None, "!"):
            return yamlscalar.Read(yamlscalar.tagged(text, event.tag))
        return yamlscalar.plain(text) if event.implicit[0] and event.tag is None else yamlscalar.Read(text)

    def _alias(self, node: Node, anchor: str) -> None:
        """Gives `node` what the anchor stands for, as nodes of its own, so that they know their pointers."""
        source = self._anchors.get(anchor)
        if source is None:
            raise _Unreadable(node.start, f"the alias {quote(anchor)} stands for nothing")
        around: Node | None = node
        while around is not None:
            if around is source:
                raise _Unreadable(node.start, f"the alias {quote(anchor)} stands for what it is part of")
            around = around.parent
        waiting = [(source, node, self._depth + 1)]
        while waiting:
            source, copy, depth = waiting.pop()
            self._copied += 1
            if self._copied > MAX_COPIED:
                raise _Unreadable(node.start, f"aliases stand for more than {MAX_COPIED} values", "write them out")
            copy.value = source.value
            if isinstance(source.value, dict | list):
                self._check_depth(copy, depth)
                held = type(source.value)()
                copy.value = held
                waiting.extend((child, _added(copy, held, child), depth + 1) for child in _children(source.value))

    def _check_depth(self, node: Node, depth: int) -> None:
        if depth > MAX_DEPTH:
            self._report.fault(node, f"nested deeper than {MAX_DEPTH} levels")
            raise _Unreadable


def _children(held: "list[Node] | dict[str, Node]") -> Iterable[Node]:
    return held if isinstance(held, list) else held.values()


def _added(box: Node, held: "list[Node] | dict[str, Node]", like: Node) -> Node:
    child = Node(FAULT, like.start, like.key, like.key_start, box)
    if isinstance(held, list):
        held.append(child)
    else:
        held[str(like.key)] = child
    return child
