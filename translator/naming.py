"""Rule ids: the only place where they are made. Knows lists of names, not what the rules do."""

from collections.abc import Sequence

from translator import paths
from translator.model import Item, Limit, ListName, Rules
from translator.tree import escape

ALL_TOOLS = "/all_tools"


def place(tool: str | None) -> str:
    """The pointer of a tool's rules, or of those for all tools (None)."""
    return ALL_TOOLS if tool is None else f"/tools/{escape(tool)}"


def rule_ids(where: str, rules: Rules, name: ListName) -> list[str]:
    """The rule ids of one list, in its order. Source: policy-semantics, sections 3 and 15.6."""
    listed: Sequence[Item] | Sequence[Limit] = getattr(rules, name)
    names = [each.counter if isinstance(each, Limit) else _item_name(each) for each in listed]
    return [f"{where}/{name}/{escape(unique)}" for unique in _distinct(names)]


def _item_name(item: Item) -> str:
    return "+".join(f"{paths.written(each.path)}-{each.op}" for each in item.conditions) or "always"


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, a repeated one with the next free `#2`, `#3`, …"""
    taken = set(names)
    following: dict[str, int] = {}
    distinct = []
    for name in names:
        number = following.get(name, 1)
        unique = name
        while number > 1 and unique in taken:
            unique = f"{name}#{number}"
            number += 1
        taken.add(unique)
        following[name] = max(number, 2)
        distinct.append(unique)
    return distinct
