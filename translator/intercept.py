"""Rules of Intercept's YAML → items and limits of version "1". Nothing of the document around them.

Source: policy-semantics, sections 10 and 15.14.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import localcontext
from enum import StrEnum

from translator.members import Members, array, is_blank, members, word
from translator.number import OUT_OF_RANGE, is_whole, number
from translator.program import Number
from translator.report import quote
from translator.rewrite import Draft, given, once, per_window, standing
from translator.tree import Node

_RULE = ("name", "action", "on_deny", "reason", "conditions", "state", "rate_limit")
_CONDITION = ("path", "op", "value")
_STATE = ("counter", "window", "increment", "increment_from")
_STATE_PATH = "state."
_DIGITS = 2_500
"""Enough to take 1 exactly from any number that a policy may hold."""


class Action(StrEnum):
    """What `action` may say; without it, a rule is evaluated."""

    EVALUATE = "evaluate"
    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"


@dataclass(frozen=True, slots=True)
class _State:
    """A rule's own counter, and the path by which its conditions name it: empty when it is faulty."""

    held: Members
    counter: str
    path: str


def rules(nodes: Sequence[Node], draft: Draft) -> None:
    """Puts the rules of one tool into its draft. Of faulty ones the report tells."""
    tool = _Tool(draft)
    for node in nodes:
        tool.add(node)


@dataclass(slots=True)
class _Tool:
    draft: Draft
    counters: dict[object, Node] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        """Takes up one rule."""
        report = self.draft.report
        found = members(node, _RULE, report)
        action_node = found.find("action") if found else None
        action = word(action_node, Action, report) if action_node else Action.EVALUATE
        if found is None or action is None:
            return
        for name in ("name", "on_deny", "reason"):
            found.text(name)
        self._refuse(found, action)
        state = self._state(found)
        if action is Action.DENY:
            item = {"conditions": standing(node, []), "on_deny": found.find("on_deny")}
            self.draft.deny_if.append(_named(node, found, item))
        elif action is Action.REQUIRE_APPROVAL:
            text = found.find("on_deny") or found.find("reason")
            self.draft.require_approval.append(_named(node, found, {"message": text}))
        rate_limit = found.find("rate_limit")
        if rate_limit is not None:
            if not self._excluded(found, action):
                self._rate_limit(rate_limit, found)
        elif action is Action.EVALUATE and self._evaluate(found, state):
            return
        if state is not None:
            message = "counts nothing, because no condition of its rule compares its counter with lte or lt"
            self.draft.remarks.add(state.held.node, message, "the rule is taken without it, as Intercept does")

    def _refuse(self, found: Members, action: Action) -> None:
        """Reports what must not stand together."""
        report = self.draft.report
        if action is not Action.EVALUATE and "conditions" in found:
            report.add(found.node, f'action {quote(action)} excludes "conditions"', "it always applies")
        excluded = ", ".join(self._excluded(found, action))
        if "rate_limit" in found and excluded:
            report.add(found.node, f'"rate_limit" excludes {excluded}', "make it a rule of its own")
        reason = found.find("reason")
        if reason is not None and action is not Action.REQUIRE_APPROVAL:
            report.add(reason, "stands only with action require_approval", "the text is called on_deny here")
        elif reason is not None and "on_deny" in found:
            report.add(reason, 'stands beside "on_deny"', "keep one of them")

    def _excluded(self, found: Members, action: Action) -> list[str]:
        """What of the rule must not stand beside a rate_limit."""
        beside = [quote(name) for name in ("conditions", "state") if name in found]
        return [*beside, *(['action "deny"'] if action is Action.DENY else [])]

    def _state(self, found: Members) -> _State | None:
        node = found.find("state")
        held = members(node, _STATE, self.draft.report) if node else None
        counter = held.need("counter") if held else None
        if held is None or counter is None:
            return None
        if not isinstance(counter.value, str):
            self.draft.report.wrong_type(counter, "a string")
            return None
        if is_blank(counter.value):
            self.draft.report.add(counter, "must not be blank")
            return None
        once(self.counters, counter.value, counter.value, found.node, self.draft)
        return _State(held, counter.value, f"{_STATE_PATH}{self.draft.scope}.{counter.value}")

    def _rate_limit(self, node: Node, found: Members) -> None:
        limit = per_window(node, self.draft)
        if limit is not None:
            name = str(limit["counter"].value)
            once(self.counters, name.removeprefix(f"{self.draft.scope}."), name, found.node, self.draft)
            self.draft.limits.append(_named(node, found, {**limit, "on_deny": found.find("on_deny")}))

    def _evaluate(self, found: Members, state: _State | None) -> bool:
        """Takes up the conditions. Does one of them limit the rule's own counter?"""
        node = found.need("conditions")
        if node is None:
            return True
        if node.value == []:
            self.draft.report.add(node, "must not be empty", "without conditions the rule would never deny")
        conditions = []
        on_state = False
        for condition in array(node, self.draft.report):
            held = members(condition, _CONDITION, self.draft.report)
            path = held.find("path") if held else None
            if held is None:
                continue
            if path is not None and isinstance(path.value, str) and path.value.startswith(_STATE_PATH):
                on_state = True
                self._limit(held, path.value, found, state)
            else:
                self._warn_of_arrays(path)
                conditions.append(given(condition, {name: held.find(name) for name in _CONDITION}))
        if conditions:
            if self.draft.deny_if:
                message = "is tested before the denial above; if both stop a call, the text of this one is told"
                self.draft.remarks.add(found.node, message)
            item = {"conditions": standing(node, conditions), "on_deny": found.find("on_deny")}
            self.draft.require.append(_named(found.node, found, item))
        return on_state

    def _limit(self, condition: Members, path: str, found: Members, state: _State | None) -> None:
        report = self.draft.report
        op = condition.find("op")
        if state is None and "state" in found:
            return
        if state is None or path != state.path:
            message = f"{quote(path)} is not the counter of this rule's own state, and cannot be imported"
            report.add(condition.node, message, f"its own is {quote(state.path)}" if state else "it has no state")
            return
        if op is None or op.value not in ("lte", "lt"):
            report.add(
                condition.node, "a counter can only be compared with lte or lt", "other limits cannot be imported"
            )
            return
        value = condition.need("value")
        most = self._less_one(value, state.held) if value is not None and op.value == "lt" else value
        if most is None:
            return
        counter = state.held.find("counter")
        assert counter is not None
        limit = {
            "counter": standing(counter, f"{self.draft.scope}.{state.counter}"),
            "window": state.held.find("window"),
            "max": most,
            "scope": standing(counter, "grant"),
            "increment": state.held.find("increment"),
            "increment_from": state.held.find("increment_from"),
            "on_deny": found.find("on_deny"),
        }
        self._warn_of_arrays(state.held.find("increment_from"))
        self.draft.limits.append(_named(state.held.node, found, limit))

    def _less_one(self, node: Node, state: Members) -> Node | None:
        """The greatest whole number below the one at `node`; None, and a fault, when nothing is left."""
        value = node.value
        if not isinstance(value, Number):
            return node
        with localcontext() as context:
            context.prec = _DIGITS
            less = number(format(value.value - 1, "f"))
        if less is None:
            self.draft.report.fault(node, *OUT_OF_RANGE)
            return None
        if less.value < 0:
            self.draft.report.add(
                node, "leaves nothing below it that a limit could allow", "to allow none, deny the tool"
            )
            return None
        step = state.find("increment")
        fractions = step is not None and isinstance(step.value, Number) and not is_whole(step.value)
        if "increment_from" in state or fractions:
            message = f"lt {value.text} becomes a limit of {less.text}, which is stricter for amounts with a fraction"
            self.draft.remarks.add(node, message)
        return standing(node, less)

    def _warn_of_arrays(self, path: Node | None) -> None:
        text = path.value if path is not None else None
        if path is not None and isinstance(text, str):
            segments = text.split(".")[1:]
            if any(segment == "*" or segment.isdecimal() for segment in segments):
                message = f"{quote(text)} goes into arrays here; Intercept does not"
                self.draft.remarks.add(path, message)


def _named(at: Node, found: Members, held: "dict[str, Node | None]") -> Node:
    """An object of these members under the rule's name."""
    return given(at, {"name": found.find("name"), **held})
