"""What a policy means, as data: no JSON positions, no Rego. Whatever emits starts from here.

Nothing here may import from the rest of the translator. Order is meaning: items stand in the order in
which they are evaluated, and `rule` is the id that people and the audit log see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was written (`text`) and what it is worth (`value`, exact)."""

    text: str
    value: Decimal


Json: TypeAlias = "bool | str | Number | list[Json] | dict[str, Json] | None"


class Op(StrEnum):
    """The operators of a condition (policy-semantics, section 5)."""

    EQ = "eq"
    NEQ = "neq"
    IN = "in"
    NOT_IN = "not_in"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    REGEX = "regex"
    CONTAINS = "contains"
    EXISTS = "exists"


class Step(IntEnum):
    """Where an item stands in the order of evaluation; the lowest step that stops a call is reported."""

    TOOL_REQUIRE = 5
    TOOL_DENY = 6
    ALL_REQUIRE = 7
    ALL_DENY = 8
    TOOL_APPROVAL = 9
    ALL_APPROVAL = 10
    TOOL_LIMIT = 11
    ALL_LIMIT = 12


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. `path` is split and without the leading `args`; `*` walks an array."""

    path: tuple[str, ...]
    op: Op
    value: Json
    as_number: bool = False


@dataclass(frozen=True, slots=True)
class Guard:
    """An item of `require`, `deny_if` or `require_approval`; its `step` says which.

    `message` is final: defaults are already filled in.
    """

    step: Step
    rule: str
    message: str
    conditions: tuple[Condition, ...]
    name: str = ""
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """What one call asks of one counter.

    `amount_path` None means that a call counts `increment`; else the values found there are summed.
    `window` is as the decision document prints it: `minute`, `hour`, `day` or a count of seconds.
    """

    step: Step
    rule: str
    message: str
    counter: str
    window: Literal["minute", "hour", "day"] | int
    max: Number
    scope: Literal["grant", "session", "server"]
    increment: Number
    amount_path: tuple[str, ...] | None = None
    as_number: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The rules of one tool, or of `all_tools`. `guards` holds requires, denials and approvals in order."""

    guards: tuple[Guard, ...] = ()
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """A whole policy, lowered. `tools` keeps the document's order; its keys are the listed tools."""

    fallback: Literal["allow", "deny"]
    hide: tuple[str, ...] = ()
    tools: Mapping[str, Section] = field(default_factory=dict)
    all_tools: Section = Section()
