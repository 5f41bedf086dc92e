"""Rules of the older pages' YAML → items and limits of version "1". Nothing of the document around them.

Source: policy-semantics, sections 9 and 10.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from translator import dialect
from translator.inventory import Tool
from translator.limits import maximum
from translator.members import Members, members, word
from translator.paths import ROOT
from translator.report import quote
from translator.rewrite import ALL_TOOLS, Draft, Rules, given, once, per_window, standing
from translator.tree import Node, Value

_RULE = ("name", "action", "reason", "rate_limit", "validate")
_NEEDS_SCHEMA = "give the server's tools with --tools"


class Action(StrEnum):
    """What `action` may say."""

    ALLOW = "allow"
    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"


def rules(tools: Mapping[str, Tool] | None) -> Rules:
    """What puts the rules of one tool into its draft. `tools` are those of the server, when they are at hand."""

    def add(nodes: Sequence[Node], draft: Draft) -> None:
        tool = _Tool(draft, tools)
        for node in nodes:
            tool.add(node)

    return add


@dataclass(slots=True)
class _Tool:
    draft: Draft
    tools: Mapping[str, Tool] | None
    counters: dict[object, Node] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        """Takes up one rule."""
        report = self.draft.report
        found = members(node, _RULE, report)
        action_node = found.find("action") if found else None
        action = word(action_node, Action, report) if action_node else Action.ALLOW
        if found is None or action is None:
            return
        for name in ("name", "reason"):
            found.text(name)
        self._refuse(found, action)
        named = {"name": found.find("name")}
        if action is Action.DENY:
            item = {**named, "conditions": standing(node, []), "on_deny": found.find("reason")}
            self.draft.deny_if.append(given(node, item))
        elif action is Action.REQUIRE_APPROVAL:
            self.draft.require_approval.append(given(node, {**named, "message": found.find("reason")}))
        rate_limit, validate = found.find("rate_limit"), found.find("validate")
        if rate_limit is not None:
            self._rate_limit(rate_limit, found)
        if validate is not None:
            self._validate(validate, found)

    def _refuse(self, found: Members, action: Action) -> None:
        """Reports what must not stand together."""
        node = found.find("action")
        beside = [quote(name) for name in ("rate_limit", "validate") if name in found]
        if node is not None and action is Action.DENY and beside:
            self.draft.report.add(node, f'"deny" excludes {", ".join(beside)}', "keep the action or the rules")
        reason = found.find("reason")
        if reason is not None and action is Action.ALLOW:
            self.draft.report.add(reason, "has no meaning without an action that stops calls", "add action: deny")

    def _rate_limit(self, node: Node, found: Members) -> None:
        limit = self._rate(node) if isinstance(node.value, dict) else per_window(node, self.draft)
        if limit is not None:
            counter = str(limit["counter"].value)
            once(self.counters, (counter, limit["window"].value), counter, found.node, self.draft)
            self.draft.limits.append(given(node, {"name": found.find("name"), **limit}))

    def _rate(self, node: Node) -> dict[str, Node] | None:
        report = self.draft.report
        held = members(node, ("max", "window"), report)
        max_node, window_node = (held.need("max"), held.need("window")) if held else (None, None)
        most = maximum(max_node, True, report) if max_node else None
        window = dialect.window(window_node, report) if window_node else None
        if max_node is None or window_node is None or most is None or window is None:
            return None
        return {
            "counter": standing(node, f"{self.draft.scope.lower()}_rate"),
            "window": standing(window_node, window) if isinstance(window, str) else window_node,
            "max": max_node,
            "scope": standing(node, "session"),
        }

    def _validate(self, node: Node, found: Members) -> None:
        held = members(node, ("required_args",), self.draft.report)
        wanted = held.find("required_args") if held else None
        if wanted is None or wanted.value is False:
            return
        if wanted.value is not True:
            self.draft.report.wrong_type(wanted, "true or false")
            return
        names = self._required(wanted)
        for name in names:
            path = f"{ROOT}.{name}"
            if "." in name or not name:
                self._drop(wanted, f"the argument {quote(name)} cannot be required, because no path names it", "")
                continue
            values: dict[str, Value] = {"path": path, "op": "exists", "value": True}
            condition = standing(wanted, {each: standing(wanted, value) for each, value in values.items()})
            item = {"name": found.find("name"), "conditions": standing(wanted, [condition])}
            self.draft.require.append(given(wanted, item))

    def _required(self, node: Node) -> list[str]:
        """The arguments that the tool's input schema requires; none, and a warning, when that is not known."""
        if self.draft.tool == ALL_TOOLS:
            self._drop(node, "is left out: the tools have no input schema in common", "write it under each tool")
            return []
        if self.tools is None:
            self._drop(node, "is left out: the input schema of the tool is not at hand", _NEEDS_SCHEMA)
            return []
        tool = self.tools.get(self.draft.tool)
        schema = tool.schema.value if tool is not None and tool.schema is not None else None
        if not isinstance(schema, dict):
            self._drop(node, "is left out: the server's tools have no input schema for this one", "")
            return []
        required = schema["required"].value if "required" in schema else []
        names = [each.value for each in required] if isinstance(required, list) else [None]
        if not all(isinstance(name, str) for name in names):
            self._drop(node, "is left out: the tool's input schema does not list what it requires", "")
            return []
        return list(dict.fromkeys(map(str, names)))

    def _drop(self, node: Node, message: str, hint: str) -> None:
        self.draft.remarks.add(node, message, hint)
