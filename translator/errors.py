"""The translator's error tree: what is wrong with a policy, and where. Imports nothing of ours.

No reading and no judging happens here.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
"""An error keeps a policy from being loaded; a warning likely means something else than was meant; a note informs."""

INVALID = "invalid_policy"
"""The code of every error."""
NOT_EXAMINED = "not_examined"
"""The code of what says that something was left out because there is too much of it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of one policy, or what a lint has to say about one that has none; `code` tells which.

    `pointer` is a JSON pointer into the document as written (for clashing counters: the rule id of the later limit).
    Units: `line` and `column` count from 1; a column is a code point.
    """

    policy: str
    pointer: str
    line: int
    column: int
    message: str
    hint: str = ""
    code: str = INVALID
    severity: Severity = "error"

    def __str__(self) -> str:
        where = ":".join([*filter(None, [self.policy]), str(self.line), str(self.column)])
        place = f" {self.pointer}" if self.pointer else ""
        hint = f" ({self.hint})" if self.hint else ""
        return _printable(f"{where}{place}: {self.message}{hint}")


class TranslatorError(Exception):
    """Root of everything the translator raises. `code` is for programs, `hint` for people."""

    code: ClassVar[str] = "translator"
    hint: ClassVar[str] = ""


class _Rejected(TranslatorError):
    """`problems` is never empty and in document order. `str()` is one line per problem."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class PolicyRejected(_Rejected):
    """The policy is not valid, so nothing was made of it."""

    code = "policy_rejected"
    hint = "Correct every place named and try again; the policy now in force stays in force."


class InventoryRejected(_Rejected):
    """The document is no list of tools. Its problems have an empty `policy`."""

    code = "inventory_rejected"
    hint = "Save the answer of the server to tools/list."


def _printable(text: str) -> str:
    """The text on one line, without characters that could steer a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
