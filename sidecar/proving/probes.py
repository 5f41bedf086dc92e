"""The rules of one tool, each made a tool of its own, so that OPA says of each alone what it does with a call.

A call goes to the first rule that stops it; what the others say is asked here. Nothing is judged in Python.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sidecar.core.decision import Decision
from sidecar.core.decision import Limit as Obligation
from sidecar.core.messages import ToolCall
from sidecar.core.query import Asker
from sidecar.errors import CannotDecide
from sidecar.opa.client import OpaClient
from translator.program import Condition, Guard, Limit, Program, Section, Step

PROBES = "probes"
"""The id of the policy that holds them; no file name, so no policy of a person."""
MAX_RULES = 1000
MAX_ASKED_BYTES = 256 * 1024 * 1024
"""Each question brings the arguments along."""
_TOGETHER = 16

Truth: TypeAlias = Literal["true", "false", "undetermined", "mixed"]
"""`mixed`: true of some of the elements that `*` takes, not of all."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the tool and what it says of the call: does it stop it, and what of each of its conditions.

    `obligation` is what a limit asks of its counter, or None where its amount cannot be counted.
    """

    item: Guard | Limit
    stops: bool
    conditions: tuple[Truth, ...] = ()
    obligation: Obligation | None = None


def ordered(program: Program, tool: str) -> list[Guard | Limit]:
    """The rules that a call of the tool meets, in the order in which they are asked. Raises: CannotDecide."""
    sections = (program.tools.get(tool, Section()), program.all_tools)
    items: list[Guard | Limit] = []
    for section in sections:
        items += [*section.guards, *section.limits]
    if len(items) > MAX_RULES:
        raise CannotDecide(f"The tool has {len(items)} rules; at most {MAX_RULES} can be explained.")
    return sorted(items, key=lambda item: item.step)


def program(items: Sequence[Guard | Limit]) -> Program:
    """A policy with one tool per rule and, for each condition, one that denies and one that requires it."""
    return Program("allow", tools=dict(_tools(items)))


async def asked(items: Sequence[Guard | Limit], call: ToolCall, opa: OpaClient) -> list[Rule]:
    """What each rule says of the call, in their order. Raises: DecisionError, CannotDecide (too much to ask)."""
    names = [name for name, _ in _tools(items)]
    if len(names) * len(call.arguments_raw) > MAX_ASKED_BYTES:
        message = f"The arguments have {len(call.arguments_raw)} bytes; too many to ask {len(items)} rules about them."
        raise CannotDecide(message, hint="Explain a smaller call of the kind.")
    asker = Asker(policy=PROBES, server="", grant="")
    turn = asyncio.Semaphore(_TOGETHER)

    async def ask(name: str) -> Decision:
        async with turn:
            return await opa.decide(asker.call(name, call.arguments_raw, call.arguments_fault))

    answers = dict(zip(names, await asyncio.gather(*map(ask, names)), strict=True))
    return [_rule(index, item, answers) for index, item in enumerate(items)]


def _tools(items: Sequence[Guard | Limit]) -> Iterator[tuple[str, Section]]:
    for index, item in enumerate(items):
        if isinstance(item, Limit):
            yield f"{index}", Section(limits=(item,))
            continue
        yield f"{index}", Section(guards=(item,))
        for at, condition in enumerate(item.conditions):
            yield f"{index} {at} denied", Section(guards=(Guard(Step.TOOL_DENY, "denied", "denied", (condition,)),))
            yield (
                f"{index} {at} required",
                Section(guards=(Guard(Step.TOOL_REQUIRE, "required", "required", (condition,)),)),
            )


def _rule(index: int, item: Guard | Limit, answers: dict[str, Decision]) -> Rule:
    answer = answers[f"{index}"]
    stops = answer.outcome != "allow"
    if isinstance(item, Limit):
        return Rule(item, stops, obligation=None if stops else answer.limits[0])
    truths = tuple(_truth(f"{index} {at}", condition, answers) for at, condition in enumerate(item.conditions))
    return Rule(item, stops, truths)


def _truth(name: str, condition: Condition, answers: dict[str, Decision]) -> Truth:
    fires = answers[f"{name} denied"].outcome != "allow"
    holds = answers[f"{name} required"].outcome == "allow"
    if fires and not holds:
        return "mixed" if "*" in condition.path else "undetermined"
    return "true" if fires else "false"
