"""Every lint: its code, which stays the same for ever, its severity, and what it means in a line. Finds nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from translator.errors import INVALID, NOT_EXAMINED, Severity


@dataclass(frozen=True, slots=True)
class Lint:
    """One kind of finding."""

    code: str
    severity: Severity
    meaning: str


ERROR = Lint(INVALID, "error", "The policy is not valid. A gateway does not load it.")

UNKNOWN_TOOL = Lint("unknown_tool", "warning", "The server has no tool of this name.")
GLOB_NAME = Lint("glob_name", "warning", "A name with * is taken literally; it matches no other name.")
REDUNDANT_HIDE = Lint("redundant_hide", "note", 'The entry has no effect beside "*".')
HIDDEN_TOOL = Lint("hidden_tool", "warning", "A hidden tool has rules or limits; they are never reached.")
EMPTY_UNDER_ALLOW = Lint("empty_tool_under_allow", "warning", "Listing a tool without rules changes nothing here.")
PERMITS_NOTHING = Lint("permits_nothing", "warning", "The policy denies every call of every tool of the server.")

UNKNOWN_PATH = Lint("unknown_path", "warning", "The tool's input schema has no such argument.")
TYPE_MISMATCH = Lint("type_mismatch", "warning", "By the input schema the argument never has a type to compare with.")
VALUE_NOT_ALLOWED = Lint("value_not_allowed", "warning", "By the input schema the argument never has this value.")

NEVER_FIRES = Lint("never_fires", "warning", "The rule can never be true, or the limit never reached.")
ALWAYS_DENIES = Lint("always_denies", "warning", "The rule can never be satisfied, so every call is denied.")
SHADOWED_RULE = Lint("shadowed_rule", "warning", "Earlier rules decide every call that this one would stop.")
NEQ_WITHOUT_REQUIRE = Lint("neq_without_require", "warning", "A call that leaves the argument out passes.")

SHARED_COUNTER = Lint("shared_counter", "warning", "Tools share a counter in a way that looks like a mistake.")
COMMON_COUNTER = Lint("common_counter", "note", "Tools share a counter: the limit holds for all of them together.")
SESSION_LIMIT = Lint("session_limit", "warning", "A new session starts a new count.")

TOO_MUCH = Lint(NOT_EXAMINED, "note", "There is too much here to compare; some lints were left out.")

LINTS: Mapping[str, Lint] = {
    each.code: each
    for each in (
        ERROR,
        UNKNOWN_TOOL,
        GLOB_NAME,
        REDUNDANT_HIDE,
        HIDDEN_TOOL,
        EMPTY_UNDER_ALLOW,
        PERMITS_NOTHING,
        UNKNOWN_PATH,
        TYPE_MISMATCH,
        VALUE_NOT_ALLOWED,
        NEVER_FIRES,
        ALWAYS_DENIES,
        SHADOWED_RULE,
        NEQ_WITHOUT_REQUIRE,
        SHARED_COUNTER,
        COMMON_COUNTER,
        SESSION_LIMIT,
        TOO_MUCH,
    )
}
