"""A policy to start from: alone, or from a server's tools and what the server says of them. Judges no policy.

Annotations are the server's own word, which nobody checked: what they leave open, and what contradicts itself, is
denied until a person has looked at it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from translator import canonical
from translator.inventory import Inventory, Tool
from translator.members import is_blank
from translator.program import Json, Number
from translator.recommend import Category, recommended

Fate: TypeAlias = Literal["allowed", "limited", "hidden", "denied"]
NOT_REVIEWED = "Not reviewed yet."
_CALLS = 60
_ALONE = (
    "A policy to start from. Every tool is denied until tools names it: {} allows it, rules bound it. "
    "hide takes tools out of the list. Each grant may make 60 calls a minute in all."
)
_FROM_TOOLS = (
    "A policy to start from, made from what the server says of its tools. Nobody has checked that: look at every line. "
    'A tool with "action": "deny" is not reviewed yet.'
)


@dataclass(frozen=True, slots=True)
class Suggested:
    """The text of a policy, and for each tool of the server what it does with it and why."""

    text: str
    fates: Mapping[str, tuple[Fate, str]]


def suggest(inventory: Inventory | None = None, default: Literal["allow", "deny"] = "deny") -> Suggested:
    """The policy. With `default` allow it still denies every tool that is known and not reviewed.

    Source: policy-semantics, section 11, for what is recommended.
    """
    if inventory is None:
        limit: Json = {"counter": "calls", "window": "minute", "max": Number(str(_CALLS), Decimal(_CALLS))}
        return Suggested(_text(_ALONE, default, {"hide": [], "all_tools": {"limits": [limit]}, "tools": {}}), {})
    hide: list[Json] = []
    tools: dict[str, Json] = {}
    fates: dict[str, tuple[Fate, str]] = {}
    for name, tool in inventory.tools.items():
        if name == "*" or is_blank(name):
            continue
        category, why = _category(tool)
        made = recommended(category, name) if category is not None else None
        if made is None:
            tools[name] = {"action": "deny", "reason": NOT_REVIEWED}
            fates[name] = "denied", why
        elif made.hide:
            hide.append(name)
            fates[name] = "hidden", why
        else:
            if made.rules or default == "deny":
                tools[name] = dict(made.rules)
            fates[name] = "limited" if made.rules else "allowed", why
    return Suggested(_text(_FROM_TOOLS, default, {"hide": hide, "tools": tools}), fates)


def _category(tool: Tool) -> tuple[Category | None, str]:
    """The category that the hints leave no doubt about, and what they say. Source: MCP, ToolAnnotations."""
    match tool.read_only, tool.destructive:
        case True, None | False:
            return Category.READ, "the server calls it read-only"
        case None | False, True:
            return Category.DESTRUCTIVE, "the server calls it destructive"
        case False, False:
            return Category.WRITE, "the server says that it writes and destroys nothing"
        case True, True:
            return None, "the server calls it read-only and destructive at once"
        case _:
            return None, "the server does not say what it does"


def _text(description: str, default: str, members: Mapping[str, Json]) -> str:
    return canonical.text({"version": "1", "description": description, "default": default, **members})
