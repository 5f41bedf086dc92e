"""A valid policy as written: shorthands and the FAQ dialect resolved, positions kept. No reading and no rule ids.

Plain dataclasses instead of pydantic: the readers (`document`, `items`, `limits`, `dialect`) walk the positioned tree
and report every fault with its pointer, line and column, which pydantic's errors do not carry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from translator.program import Condition, Number
from translator.tree import Node

Window: TypeAlias = Literal["minute", "hour", "day"] | int
Scope: TypeAlias = Literal["grant", "session", "server"]
ListName: TypeAlias = Literal["require", "deny_if", "require_approval", "limits"]

WINDOW_SECONDS: Mapping[str, int] = {"minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class Item:
    """An element of `require`, `deny_if` or `require_approval`.

    `text` is its `on_deny` or `message`, empty when absent.
    """

    at: Node
    conditions: tuple[Condition, ...]
    text: str = ""
    name: str = ""
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """An element of `limits`, or a `rate_limit`. `amount_path` is None when calls are counted."""

    at: Node
    counter: str
    window: Window
    max: Number
    scope: Scope
    increment: Number
    amount_path: tuple[str, ...] | None = None
    as_number: bool = False
    text: str = ""
    name: str = ""

    @property
    def window_s(self) -> int:
        """The length of the window in seconds."""
        return self.window if isinstance(self.window, int) else WINDOW_SECONDS[self.window]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is written for one tool, or for all of them. `at` is the object, None when there is none."""

    at: Node | None = None
    require: tuple[Item, ...] = ()
    deny_if: tuple[Item, ...] = ()
    require_approval: tuple[Item, ...] = ()
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole document. `tools` keeps the document's order."""

    default: Literal["allow", "deny"]
    hide: tuple[str, ...]
    all_tools: Rules
    tools: Mapping[str, Rules]
