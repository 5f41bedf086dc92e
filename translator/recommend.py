"""The recommended rules for one tool, by its category. No guessing of categories here, and no whole policies.

    recommended(Category.EXECUTE, "placeOrder")
    → Recommended(hide=False, rules={"limits": [{"counter": "placeorder_rate", "window": "minute", "max": 10, …}]})

`hide` says that the name belongs in the policy's `hide` (then there are no rules); otherwise `rules` is the object
that stands under the tool's name in `tools`, as plain JSON for `canonical.text`. Source: policy-semantics, section 11.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal, TypeAlias

from translator.limits import MAX_COUNTER_CHARS
from translator.lower import REQUIRES_APPROVAL
from translator.program import Json, Number

BLOCKED = "Blocked by default. Requires approval."
_DIGEST_CHARS = 12


class Category(StrEnum):
    """What a tool does, at its worst. The order is that of severity."""

    READ = "read"
    WRITE = "write"
    EXECUTE = "execute"
    DESTRUCTIVE = "destructive"
    FINANCIAL = "financial"


Severity: TypeAlias = Literal["low", "medium", "high", "critical"]
SEVERITY: Mapping[Category, Severity] = {
    Category.READ: "low",
    Category.WRITE: "medium",
    Category.EXECUTE: "high",
    Category.DESTRUCTIVE: "critical",
    Category.FINANCIAL: "critical",
}


@dataclass(frozen=True, slots=True)
class Recommended:
    """What is recommended for one tool."""

    hide: bool = False
    rules: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Limit:
    most: int
    window: Literal["minute", "hour"]
    suffix: str


@dataclass(frozen=True, slots=True)
class _Denial:
    text: str


_Rule: TypeAlias = _Limit | _Denial | Literal["hide"] | None
_RECOMMENDED: Mapping[Category, _Rule] = {
    Category.READ: None,
    Category.WRITE: _Limit(30, "minute", "_rate"),
    Category.EXECUTE: _Limit(10, "minute", "_rate"),
    Category.DESTRUCTIVE: "hide",
    Category.FINANCIAL: _Denial(REQUIRES_APPROVAL),
}
_INDEX_PAGE: Mapping[Category, _Rule] = {
    Category.READ: _Limit(60, "minute", "_per_minute"),
    Category.WRITE: _Limit(30, "hour", "_per_hour"),
    Category.DESTRUCTIVE: _Denial(BLOCKED),
    Category.FINANCIAL: _Denial(REQUIRES_APPROVAL),
}


def recommended(category: Category, tool: str) -> Recommended:
    """The rules that a tool's own page recommends."""
    return _made(_RECOMMENDED[category], tool)


def index_page(category: Category, tool: str) -> Recommended | None:
    """The rules that an index page shows instead; None for a category it says nothing about."""
    return _made(_INDEX_PAGE[category], tool) if category in _INDEX_PAGE else None


def _made(rule: _Rule, tool: str) -> Recommended:
    match rule:
        case _Limit():
            return Recommended(rules={"limits": [_limit(rule, tool)]})
        case _Denial():
            return Recommended(rules={"deny_if": [{"conditions": [], "on_deny": rule.text}]})
        case _:
            return Recommended(hide=rule is not None)


def _limit(limit: _Limit, tool: str) -> Json:
    most = Number(str(limit.most), Decimal(limit.most))
    return {"counter": _counter(tool, limit.suffix), "window": limit.window, "max": most, "scope": "grant"}


def _counter(tool: str, suffix: str) -> str:
    """The lower-cased name and the suffix; of a name too long for a counter, its beginning and a digest."""
    name = tool.lower()
    if len(name) + len(suffix) <= MAX_COUNTER_CHARS:
        return name + suffix
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARS]
    return f"{name[: MAX_COUNTER_CHARS - len(suffix) - _DIGEST_CHARS - 1]}~{digest}{suffix}"
