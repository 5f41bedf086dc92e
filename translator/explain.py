"""Program → one plain line on a tool, for people. Decides nothing: decisions are OPA's."""

from collections.abc import Iterator

from translator import literal
from translator.emit import path_text
from translator.program import Condition, Guard, Limit, Number, Op, Program, Section, Step

_WORDS = {
    Op.EQ: "is",
    Op.NEQ: "is not",
    Op.IN: "in",
    Op.NOT_IN: "not in",
    Op.LT: "<",
    Op.LTE: "<=",
    Op.GT: ">",
    Op.GTE: ">=",
    Op.REGEX: "matches",
    Op.CONTAINS: "contains",
}
_ARTICLE = {"minute": "a", "hour": "an", "day": "a"}
_MAX_VALUE = 80


def explain(program: Program, tool: str) -> str:
    """What the policy does with one tool, as one line.

    Shape: `hidden`, `denied: not listed in the policy`, `always denied: "No."`, or
    `allowed if args.to is "me"; denied if args.amount > 500; at most 10 a minute per grant`.
    """
    if "*" in program.hide or tool in program.hide:
        return "hidden"
    if program.fallback == "deny" and tool not in program.tools:
        return "denied: not listed in the policy"
    sections = (program.tools.get(tool, Section()), program.all_tools)
    guards = sorted((guard for section in sections for guard in section.guards), key=lambda guard: guard.step)
    always = _first_always(guards, Step.TOOL_DENY, Step.ALL_DENY)
    if always is not None:
        return f"always denied{_said(always)}"
    limits = [_limit(limit) for section in sections for limit in section.limits]
    return "; ".join([_fate(guards), *_ifs(guards), *limits])


def _first_always(guards: list[Guard], *steps: Step) -> Guard | None:
    return next((guard for guard in guards if guard.step in steps and not guard.conditions), None)


def _said(guard: Guard) -> str:
    """The author's words, if there are any."""
    return "" if guard.message == f'Denied by rule "{guard.rule}"' else f": {literal.string(guard.message)}"


def _fate(guards: list[Guard]) -> str:
    """What happens to a call that nothing denies."""
    asks = _first_always(guards, Step.TOOL_APPROVAL, Step.ALL_APPROVAL)
    fate = "allowed" if asks is None else f"asks a human{_said(asks)}"
    required = [guard for guard in guards if guard.step in (Step.TOOL_REQUIRE, Step.ALL_REQUIRE)]
    return f"{fate} if {' and '.join(map(_all_of, required))}" if required else fate


def _ifs(guards: list[Guard]) -> Iterator[str]:
    for guard in guards:
        if guard.conditions and guard.step in (Step.TOOL_DENY, Step.ALL_DENY):
            yield f"denied if {_all_of(guard)}"
    if _first_always(guards, Step.TOOL_APPROVAL, Step.ALL_APPROVAL) is None:
        for guard in guards:
            if guard.step in (Step.TOOL_APPROVAL, Step.ALL_APPROVAL):
                yield f"asks a human if {_all_of(guard)}"


def _all_of(guard: Guard) -> str:
    return " and ".join(map(condition, guard.conditions))


def condition(condition: Condition) -> str:
    """A condition as a person would write it: `args.amount > 500`."""
    path = _visible(path_text(condition.path))
    if condition.op is Op.EXISTS:
        return f"{path} is {'given' if condition.value else 'absent'}"
    value = literal.value(condition.value)
    shown = value if len(value) <= _MAX_VALUE else f"{value[:_MAX_VALUE]}…"
    return f"{path} {_WORDS[condition.op]} {shown}"


def _limit(limit: Limit) -> str:
    span = f"in {limit.window} seconds" if isinstance(limit.window, int) else f"{_ARTICLE[limit.window]} {limit.window}"
    who = "for all grants together" if limit.scope == "server" else f"per {limit.scope}"
    most = f"at most {_amount(limit.max)} {span} {who}"
    if limit.amount_path is not None:
        return f"{_visible(path_text(limit.amount_path))} adds up to {most}"
    return most if limit.increment.value == 1 else f"{most}, each call counts {_amount(limit.increment)}"


def _amount(number: Number) -> str:
    return literal.number(number.value)


def _visible(path: str) -> str:
    """The path without the quotes where it is plain, so that no name can steer a terminal."""
    quoted = literal.string(path)
    return path if quoted == f'"{path}"' else quoted
