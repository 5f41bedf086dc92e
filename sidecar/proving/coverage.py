"""Which rules of a policy calls have reached, by rule id. Runs no case.

A rule is hit by a call that it decided: it denied it, held it for approval, or refused to count it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import msgspec

from sidecar.core.decision import DEFAULT_DENY, HIDDEN, INVALID_ARGUMENTS
from sidecar.proving.cases import Case
from sidecar.proving.trial import Reading, Result, reading
from translator.program import Program, Section, Step

DEFAULT_ALLOW = "(default allow)"
"""No rule that a denial could name; it is hit by a call to a tool that is not listed, and gets past that."""

Kind: TypeAlias = Literal["require", "deny_if", "require_approval", "limits", "hide", "default"]

_KINDS: dict[Step, Kind] = {
    Step.TOOL_REQUIRE: "require",
    Step.ALL_REQUIRE: "require",
    Step.TOOL_DENY: "deny_if",
    Step.ALL_DENY: "deny_if",
    Step.TOOL_APPROVAL: "require_approval",
    Step.ALL_APPROVAL: "require_approval",
}


class Reach(msgspec.Struct, frozen=True):
    """How often calls reached one rule. `tool` is the name that an entry of `hide` hides, else empty.

    `taken` counts the calls that a limit counted without refusing them; no other rule has any.
    """

    rule: str
    kind: Kind
    tool: str = ""
    hits: int = 0
    taken: int = 0


def of_policy(cases: Sequence[Case], program: Program, text: bytes, approval_map: tuple[str, ...]) -> Iterator[Case]:
    """The cases that are of this policy: theirs means the same, or they bring none and are lent this one's text."""
    read: dict[tuple[object, ...], Reading] = {}
    for case in cases:
        if case.invalid_at is not None:
            continue
        if case.lent:
            yield replace(case, policy=text, approval_map=case.approval_map or approval_map)
            continue
        key = (case.policy, case.dialect, case.approval_map)
        if key not in read:
            read[key] = reading(case)
        if read[key] == program:
            yield case


def unreached(program: Program) -> Iterator[Reach]:
    """Every rule of the policy, hide entry by hide entry, in the order of evaluation of each part."""
    for name in program.hide:
        yield Reach(HIDDEN, "hide", name)
    yield Reach(DEFAULT_DENY if program.fallback == "deny" else DEFAULT_ALLOW, "default")
    for section in (*program.tools.values(), program.all_tools):
        yield from _of_section(section)


def reached(program: Program, results: Sequence[Result], fired: Counter[str]) -> list[Reach]:
    """Every rule with what the calls of these results, which are of this policy, made of it.

    `fired` adds hits from elsewhere, by rule id.
    """
    hits: Counter[tuple[str, str]] = Counter({(rule, ""): count for rule, count in fired.items()})
    taken: Counter[str] = Counter()
    for result in results:
        for call, answer in zip(result.case.calls, result.answers, strict=False):
            taken.update(answer.taken)
            if answer.rule == HIDDEN:
                hits.update((HIDDEN, name) for name in program.hide if name in (call.tool, "*"))
            else:
                hits.update((rule, "") for rule in answer.decided)
            unlisted = call.tool not in program.tools and answer.rule not in (HIDDEN, DEFAULT_DENY, INVALID_ARGUMENTS)
            hits[DEFAULT_ALLOW, ""] += unlisted
    return [
        Reach(each.rule, each.kind, each.tool, hits[each.rule, each.tool], taken[each.rule])
        for each in unreached(program)
    ]


def percent(reaches: Sequence[Reach]) -> float:
    """How many of the rules were hit, in percent; all of none are."""
    return 100 * sum(reach.hits > 0 for reach in reaches) / len(reaches) if reaches else 100.0


def _of_section(section: Section) -> Iterator[Reach]:
    for guard in section.guards:
        yield Reach(guard.rule, _KINDS[guard.step])
    for limit in section.limits:
        yield Reach(limit.rule, "limits")
