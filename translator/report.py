"""The problems of one document, gathered in any order and told in the document's order.

What is a problem is decided elsewhere.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from translator.errors import INVALID, NOT_EXAMINED, Problem, Severity
from translator.tree import FAULT, Node, kind

MAX_PROBLEMS = 10_000
"""More than a person reads; keeps a hostile document from costing minutes of hints."""
MAX_POINTER_CHARS = 16_000_000
"""The same for pointers: a long tool name with many faults under it."""
_SHOWN = 80
_LIKE_NAMES = 0.6
_LIKE_WORDS = 0.85
"""A value has few alternatives, which are better listed than guessed."""
_SEPARATORS = dict.fromkeys(map(ord, "_- "))
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class _Finding:
    order: int
    at: int
    place: Node | str
    message: str
    hint: str
    written: str = ""
    known: Collection[str] = ()
    likeness: float = _LIKE_NAMES
    code: str = INVALID
    severity: Severity = "error"


class Report:
    """Collects what is wrong with one document."""

    def __init__(self) -> None:
        self._findings: list[_Finding] = []

    def __bool__(self) -> bool:
        return bool(self._findings)

    def unreadable(self, at: int, message: str, hint: str = "") -> None:
        """The document as a whole is not usable; the pointer is the root's, the position is where it shows."""
        self._findings.append(_Finding(-1, at, "", message, hint))

    def add(self, node: Node, message: str, hint: str = "", *, rule: str | None = None) -> None:
        """The value at `node` is wrong. `rule` replaces the pointer by a rule id."""
        if node.value is not FAULT:
            place = node if rule is None else rule
            self._findings.append(_Finding(node.key_start, node.start, place, message, hint))

    def fault(self, node: Node, message: str, hint: str = "") -> None:
        """The text at `node` cannot be read as a value; its value stays `FAULT`."""
        self._findings.append(_Finding(node.key_start, node.start, node, message, hint))

    def wrong_type(self, node: Node, wanted: str, hint: str = "") -> None:
        """The value at `node` is of another type than `wanted` says."""
        if node.value is not FAULT:
            self.add(node, f"must be {wanted}, not {kind(node)}", hint)

    def wrong_name(self, node: Node, message: str, hint: str = "") -> None:
        """The name of the member `node` is wrong."""
        self._findings.append(_Finding(node.key_start, node.key_start, node, message, hint))

    def unknown(self, node: Node, known: Collection[str], hint: str = "") -> None:
        """The member `node` has a name that its object does not know."""
        written = str(node.key)
        message = f"unknown member {quote(written)}"
        self._findings.append(_Finding(node.key_start, node.key_start, node, message, hint, written, known))

    def not_one_of(self, node: Node, known: Collection[str], hint: str = "") -> None:
        """The string at `node` is none of the known words."""
        if not isinstance(node.value, str):
            self.wrong_type(node, f"one of {_listed(known)}", hint)
            return
        message = f"unknown value {quote(node.value)}"
        self._findings.append(_Finding(node.key_start, node.start, node, message, hint, node.value, known, _LIKE_WORDS))

    def advise(
        self, node: Node, code: str, severity: Severity, message: str, hint: str = "", *, name: bool = False
    ) -> None:
        """A lint has something to say about the value at `node`, or about the name of that member."""
        at = node.key_start if name else node.start
        self._findings.append(_Finding(node.key_start, at, node, message, hint, code=code, severity=severity))

    def offsets(self) -> list[int]:
        """Where the findings are, in order; -1 stands for one about the document as a whole."""
        return sorted(finding.order for finding in self._findings)

    def problems(self, text: str, policy_id: str) -> tuple[Problem, ...]:
        """All problems, in document order; an object comes before its members."""
        starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
        told: list[Problem] = []
        pointer_chars = 0
        ordered = sorted(self._findings, key=lambda each: each.order)
        for finding in ordered:
            place = finding.place
            pointer = place.pointer() if isinstance(place, Node) else place
            pointer_chars += len(pointer)
            line = bisect_right(starts, finding.at)
            hint = finding.hint or _nearest(finding)
            column = finding.at - starts[line - 1] + 1
            told.append(
                Problem(policy_id, pointer, line, column, finding.message, hint, finding.code, finding.severity)
            )
            if len(told) >= MAX_PROBLEMS or pointer_chars >= MAX_POINTER_CHARS:
                told += _cut(told[-1], ordered[len(told) :])
                break
        return tuple(told)


def quote(text: str) -> str:
    """The text in quotes for a message, shortened when long."""
    return json.dumps(shorten(text), ensure_ascii=False)


def shorten(text: str) -> str:
    """The text, or its beginning when it is long."""
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _cut(last: Problem, left: Sequence[_Finding]) -> Iterator[Problem]:
    """What stands for the findings that are left out: it is as bad as the worst of them."""
    if left:
        worst = min((finding.severity for finding in left), key=("error", "warning", "note").index)
        code = INVALID if worst == "error" else NOT_EXAMINED
        message = f"{len(left)} more problems follow"
        yield replace(last, message=message, hint="", code=code, severity=worst)


def _nearest(finding: _Finding) -> str:
    known = finding.known
    if not known:
        return ""
    folded = {_fold(name): name for name in known}
    near = get_close_matches(_fold(finding.written[:_SHOWN]), folded, n=1, cutoff=finding.likeness)
    return f"did you mean {quote(folded[near[0]])}?" if near else f"expected one of {_listed(known)}"


def _fold(name: str) -> str:
    return name.casefold().translate(_SEPARATORS)


def _listed(known: Collection[str]) -> str:
    return ", ".join(map(quote, known))
