"""Is a regular expression one that OPA can use? Asks RE2, and refuses what Go's regexp refuses besides.

Python's `re` has another syntax and must not judge patterns; here it only finds the tokens of one that RE2 took.
OPA treats a pattern it cannot compile as undefined, so a denial would never fire; where Go's own limit is
intricate, a stricter one stands here. Measured with Go 1.26.
"""

import re
from collections.abc import Iterator

import re2  # type: ignore[import-untyped]

MAX_CHARS = 10_000
"""Longer ones can pass Go's bounds on size, which RE2 does not share."""
MAX_INSTRUCTIONS = 2_000_000
"""For all patterns of a policy: a few characters can ask for hundreds of thousands, and so for much time."""
_TOO_LARGE = 400_000
_MAX_COUNT = 1000
_MAX_HEIGHT = 1000
_GROUP_HEIGHT = 4
_MAX_CHAIN = 150
_CHAR = r"(?:\\.|[^\]\\])"
_UNICODE = r"\\[pP](?:\{[^}]*\}|.)"
_TOKEN = re.compile(
    r"(?P<literal>\\Q.*?(?:\\E|\Z))"
    rf"|(?P<unicode>{_UNICODE})"
    rf"|(?P<escape>\\.)"
    rf"|(?P<klass>\[\^?(?:\](?:-(?!\]){_CHAR})?)?"
    rf"(?:\[:\^?[a-z]+:\]|{_UNICODE}|\\[dDsSwW]|{_CHAR}(?:-(?!\]){_CHAR})?)*\])"
    rf"|(?P<open>\((?:\?P?<(?P<name>[^>]*)>)?)"
    rf"|(?P<repeat>\{{[0-9]+(?:,[0-9]*)?\}})"
    rf"|(?P<bar>\|)|(?P<close>\))",
    re.DOTALL,
)
_ESCAPE = re.compile(rf"{_UNICODE}|\\.", re.DOTALL)
_CLASS_NAME = re.compile(r"\\[pP](?:[A-Z]|\{\^?[A-Z][a-z]*\})")
_GROUP_NAME = re.compile(r"[A-Za-z0-9_]+")
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


class Patterns:
    """Judges the patterns of one policy, which share a budget."""

    def __init__(self) -> None:
        self._left = MAX_INSTRUCTIONS
        self._known: dict[str, str] = {}

    def fault(self, text: str) -> str:
        """Why the pattern is refused; empty when it is good. Source: policy-semantics, sections 5 and 15.10."""
        if len(text) > MAX_CHARS:
            return f"it has more than {MAX_CHARS} characters"
        if text not in self._known:
            if self._left < 0:
                return "the patterns of this policy are too large together"
            self._known[text] = self._judge(text)
        return self._known[text]

    def _judge(self, text: str) -> str:
        try:
            compiled = re2.compile(text, _OPTIONS)
        except re2.error as error:
            reason = bytes(error.args[0]).decode("utf-8", "replace")
            self._left -= _TOO_LARGE if "too large" in reason else len(text)
            return reason
        self._left -= compiled.programsize + len(text)
        return next(_refusals(text), "")


def _refusals(text: str) -> Iterator[str]:
    """What Go refuses in a pattern that RE2 took."""
    tokens = list(_TOKEN.finditer(text))
    names = [token["name"] for token in tokens if token["name"] is not None]
    if len(names) != len(set(names)):
        yield "a group name is repeated"
    for token in tokens:
        found = token.group()
        match token.lastgroup:
            case "unicode" | "escape":
                yield from _escape_refusals(found)
            case "klass":
                for escape in _ESCAPE.findall(found):
                    yield from _escape_refusals(escape)
            case "open" if token["name"] is not None and not _GROUP_NAME.fullmatch(token["name"]):
                yield f"Go takes only ASCII letters, digits and _ in a group name: {found}"
            case "repeat" if any(len(count) > 4 or int(count) > _MAX_COUNT for count in re.findall("[0-9]+", found)):
                yield f"more than {_MAX_COUNT} repetitions: {found}"
    if _height(tokens) > _MAX_HEIGHT:
        yield "groups and alternatives are nested too deeply"


def _escape_refusals(escape: str) -> Iterator[str]:
    if escape == r"\C":
        yield r"Go has no \C"
    if escape[1] in "pP" and not _CLASS_NAME.fullmatch(escape):
        yield f"Go does not know the class {escape}"


def _height(tokens: "list[re.Match[str]]") -> int:
    """At least the height of the tree that Go makes of the pattern.

    A group adds a capture, a repetition, an alternation and a concatenation; factoring out what k alternatives
    begin with adds up to 2k, but that takes k² / 2 characters.
    """
    bars, deepest = [0], [0]
    for token in tokens:
        match token.lastgroup:
            case "open":
                bars.append(0)
                deepest.append(0)
            case "bar":
                bars[-1] += 1
            case "close":
                inner = _GROUP_HEIGHT + 2 * min(bars.pop(), _MAX_CHAIN) + deepest.pop()
                deepest[-1] = max(deepest[-1], inner)
    return _GROUP_HEIGHT + 2 * min(bars[0], _MAX_CHAIN) + deepest[0]
