"""The root of a policy and its tools: tree → model. What a rule looks like inside is read elsewhere."""

from collections.abc import Mapping
from typing import Literal

from translator import dialect
from translator.items import items
from translator.limits import limits
from translator.members import Members, is_blank, members
from translator.model import Policy, Rules
from translator.pattern import Patterns
from translator.report import Report, quote
from translator.tree import Node

_ROOT = ("version", "default", "hide", "all_tools", "tools", "description", "$schema")
_RULES = ("require", "deny_if", "require_approval", "limits")
_SHORT_HINTS = dict.fromkeys(dialect.MEMBERS, "this short form stands inside a tool")
_OLD_HINTS = {"rules": "regate import reads the dialects with rules; here they are require, deny_if and limits"}
_FRAGMENT = "regate import makes a policy of a fragment"
_FRAGMENT_HINTS = {**dict.fromkeys(_RULES, "rules stand inside all_tools or a tool"), **_OLD_HINTS}


def policy(root: Node, report: Report) -> Policy | None:
    """The policy written in the document; None when the root is no object.

    What is faulty is reported and left out. Source: policy-semantics, section 1.
    """
    found = members(root, _ROOT, report, _FRAGMENT_HINTS)
    if found is None:
        return None
    _version(found, report)
    default = _default(found, report)
    found.text("description")
    found.text("$schema")
    hide = _hide(found, report)
    patterns = Patterns()
    tools: dict[str, Rules] = {}
    for name, node in _tools(found, report).items():
        rules, hidden = _tool(name, node, patterns, report)
        tools[name] = rules
        if hidden:
            hide[name] = None
    return Policy(default, tuple(hide), _all_tools(found, patterns, report), tools)


def _version(found: Members, report: Report) -> None:
    node = found.need("version", 'write "version": "1"' if "default" in found else _FRAGMENT)
    if node is not None and node.value != "1":
        report.add(node, 'must be the string "1"', 'write "version": "1"')


def _default(found: Members, report: Report) -> Literal["allow", "deny"]:
    node = found.need("default")
    if node is not None and node.value not in ("allow", "deny"):
        report.not_one_of(node, ("allow", "deny"))
    return "allow" if node is not None and node.value == "allow" else "deny"


def _hide(found: Members, report: Report) -> dict[str, None]:
    names: dict[str, None] = {}
    for node in found.array("hide"):
        name = node.value
        if not isinstance(name, str):
            report.wrong_type(node, "a tool name")
        elif is_blank(name):
            report.add(node, "must not be blank", 'write the name of a tool, or "*" for all')
        elif name in names:
            report.add(node, f"{quote(name)} is repeated", "remove one of them")
        else:
            names[name] = None
    return names


def _all_tools(found: Members, patterns: Patterns, report: Report) -> Rules:
    node = found.find("all_tools")
    inner = members(node, _RULES, report, _SHORT_HINTS) if node else None
    return _rules(inner, patterns, report) if inner else Rules()


def _tools(found: Members, report: Report) -> Mapping[str, Node]:
    node = found.find("tools")
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        report.wrong_type(node, "an object")
        return {}
    for name, tool in node.value.items():
        if name == "*":
            report.wrong_name(tool, 'a tool cannot be called "*"', "write all_tools")
        elif is_blank(name):
            report.wrong_name(tool, "the name of a tool must not be blank", "write all_tools for rules of every tool")
    return node.value


def _tool(name: str, node: Node, patterns: Patterns, report: Report) -> tuple[Rules, bool]:
    found = members(node, (*_RULES, *dialect.MEMBERS), report, _OLD_HINTS)
    if found is None:
        return Rules(), False
    short = dialect.short(name, found, report)
    rules = _rules(found, patterns, report)
    return (
        Rules(
            node,
            rules.require,
            short.deny_if + rules.deny_if,
            short.require_approval + rules.require_approval,
            rules.limits + short.limits,
        ),
        short.hide,
    )


def _rules(found: Members, patterns: Patterns, report: Report) -> Rules:
    return Rules(
        found.node,
        items(found, "require", patterns, report),
        items(found, "deny_if", patterns, report),
        items(found, "require_approval", patterns, report),
        limits(found, report),
    )
