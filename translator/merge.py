"""Several policies → one that says what all of them say. Source: policy-semantics, section 11.

The documents are merged as written: no rule is rewritten, so each keeps its meaning. Files are not read here.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from translator import canonical, check, document
from translator.compile import Checked, checked
from translator.errors import PolicyRejected, Problem
from translator.report import Report, quote
from translator.source import MAX_BYTES
from translator.tree import Node, plain

_ALL = "*"
_SEPARATOR = " \n"
"""Between two texts, so that the last line of the first stays a line of its own."""
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Merged:
    """The policy as canonical text, and what its author should know. A warning is a problem that stops nothing."""

    text: str
    warnings: tuple[Problem, ...] = ()


def merge(policies: Sequence[tuple[str, bytes]]) -> Merged:
    """The policy that all of these make together. `hide`, `tools` and the lists of `all_tools` are joined in order.

    Shape: each policy is its name, which labels its problems, and its JSON text.
    Raises: PolicyRejected with every problem of every policy; when there are none, with those between them.
    """
    return _Merger(_all_checked(policies), [name for name, _ in policies]).merged()


def _all_checked(policies: Sequence[tuple[str, bytes]]) -> list[Checked]:
    good: list[Checked] = []
    problems: list[Problem] = []
    for name, text in policies:
        try:
            good.append(checked(text, name))
        except PolicyRejected as rejected:
            problems.extend(rejected.problems)
    if problems:
        raise PolicyRejected(tuple(problems))
    return good


class _Merger:
    """The trees in one tree, their positions shifted as if the texts stood one after the other.

    The merged tree is made of new nodes, so that those of the documents still know their own pointers.
    """

    def __init__(self, policies: Sequence[Checked], names: Sequence[str]) -> None:
        self._names = names
        self._text = _SEPARATOR.join(policy.text for policy in policies)
        self._lines = [0, *(match.end() for match in _LINE_END.finditer(self._text))]
        self._roots = [policy.root for policy in policies]
        base = 0
        self._bases: list[int] = []
        for policy in policies:
            _shift(policy.root, base)
            self._bases.append(base)
            base += len(policy.text) + len(_SEPARATOR)
        self._errors = Report()
        self._warnings = Report()

    def merged(self) -> Merged:
        """Raises: PolicyRejected."""
        root = Node({}, 0)
        for name in ("version", "default"):
            self._same(root, name)
        for name in ("$schema", "description"):
            self._first(root, name)
        self._hide(root)
        self._all_tools(root)
        self._tools(root)
        self._hidden()
        if not self._errors:
            policy = document.policy(root, self._errors)
            assert policy is not None
            check.check(policy, self._errors)
        if self._errors:
            raise PolicyRejected(self._told(self._errors))
        text = canonical.text(root)
        if len(text.encode()) > MAX_BYTES:
            raise PolicyRejected((Problem("", "", 1, 1, f"the merged policy is larger than {MAX_BYTES} bytes"),))
        warnings = self._told(self._warnings)
        return Merged(text, tuple(replace(each, code="merge", severity="warning") for each in warnings))

    def _same(self, root: Node, name: str) -> None:
        first, *others = self._members(name)
        for other in others:
            if other.value != first.value:
                message = f"is {quote(str(other.value))}, but {quote(str(first.value))} in {self._place(first)}"
                self._errors.add(other, message, f"policies merge only with the same {name}")
        _put(root, name, first)

    def _first(self, root: Node, name: str) -> None:
        found = self._members(name)
        for other in found[1:]:
            if other.value != found[0].value:
                self._warnings.add(other, f"is left out; that of {self._place(found[0])} is kept")
        if found:
            _put(root, name, found[0])

    def _hide(self, root: Node) -> None:
        lists = self._members("hide")
        names: dict[str, Node] = {}
        for entry in _all_elements(lists):
            names.setdefault(str(entry.value), entry)
        if lists:
            _put(root, "hide", lists[0], list(names.values()))

    def _all_tools(self, root: Node) -> None:
        found = self._members("all_tools")
        if not found:
            return
        joined = _put(root, "all_tools", found[0], {})
        for name in ("require", "deny_if", "require_approval", "limits"):
            lists = [held for node in found if (held := _held(node).get(name))]
            entries = _all_elements(lists)
            self._repeated(entries)
            if lists:
                _put(joined, name, lists[0], entries)

    def _repeated(self, entries: Sequence[Node]) -> None:
        seen: dict[str, Node] = {}
        for entry in entries:
            first = seen.setdefault(canonical.text(entry), entry)
            if self._file(first) != self._file(entry):
                self._warnings.add(entry, f"is also in {self._place(first)}; both are kept", "remove one of them")

    def _tools(self, root: Node) -> None:
        found = self._members("tools")
        if not found:
            return
        joined = _put(root, "tools", found[0], {})
        first: dict[str, Node] = {}
        for tool in [tool for node in found for tool in _held(node).values()]:
            name = str(tool.key)
            if name not in first:
                first[name] = tool
                _put(joined, name, tool)
            elif plain(first[name]) != plain(tool):
                message = f"the tool {quote(name)} has other rules in {self._place(first[name])}"
                self._errors.wrong_name(tool, message, "make both the same, or remove one")

    def _hidden(self) -> None:
        hide = {str(entry.value): entry for entry in reversed(_all_elements(self._members("hide")))}
        tools = [tool for node in self._members("tools") for tool in _held(node).values()]
        everything = hide.get(_ALL)
        if everything is not None and tools:
            self._warnings.add(everything, "hides the tools of all these policies", "name the tools to hide")
        for tool in tools:
            entry = hide.get(str(tool.key))
            if entry is not None:
                message = f"is hidden by {self._place(entry)}, so its rules have no effect"
                self._warnings.wrong_name(tool, message, "remove one of the two")

    def _members(self, name: str) -> list[Node]:
        return [found for root in self._roots if (found := _held(root).get(name)) is not None]

    def _file(self, node: Node) -> int:
        return bisect_right(self._bases, node.key_start) - 1

    def _place(self, node: Node) -> str:
        index = self._file(node)
        return f"{self._names[index]}:{self._line(node.key_start) - self._line(self._bases[index]) + 1}"

    def _line(self, at: int) -> int:
        return bisect_right(self._lines, at)

    def _told(self, report: Report) -> tuple[Problem, ...]:
        """The problems by the file and the line where each stands."""
        first_lines = [self._line(base) for base in self._bases]
        told = []
        for problem in report.problems(self._text, ""):
            index = bisect_right(first_lines, problem.line) - 1
            told.append(replace(problem, policy=self._names[index], line=problem.line - first_lines[index] + 1))
        return tuple(told)


def _shift(root: Node, base: int) -> None:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        node.start += base
        node.key_start += base
        if isinstance(node.value, dict):
            waiting.extend(node.value.values())
        elif isinstance(node.value, list):
            waiting.extend(node.value)


def _held(node: Node) -> dict[str, Node]:
    assert isinstance(node.value, dict)
    return node.value


def _all_elements(lists: Sequence[Node]) -> list[Node]:
    return [entry for node in lists if isinstance(node.value, list) for entry in node.value]


def _put(parent: Node, name: str, at: Node, value: "dict[str, Node] | list[Node] | None" = None) -> Node:
    """Gives `parent` a member that stands where `at` stands, with its value or another."""
    made = Node(at.value if value is None else value, at.start, name, at.key_start, parent)
    _held(parent)[name] = made
    return made
