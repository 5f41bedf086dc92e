"""Policy → Program: the order of evaluation and the messages are fixed here. Ids are made by `naming`; no Rego."""

from collections.abc import Callable, Collection

from translator import naming
from translator.model import Item, Limit, Policy, Rules, Window
from translator.program import Guard, Program, Section, Step
from translator.program import Limit as ProgramLimit

REQUIRES_APPROVAL = "Requires human approval."


def lower(policy: Policy, approval_map: Collection[str] = ()) -> Program:
    """What the policy means. A `deny_if` item without conditions whose text is in `approval_map` asks for an approval.

    Source: policy-semantics, sections 2, 3, 8 and 15.12.
    """
    mapped = frozenset(approval_map)
    return Program(
        fallback=policy.default,
        hide=policy.hide,
        tools={tool: _section(tool, rules, mapped) for tool, rules in policy.tools.items()},
        all_tools=_section(None, policy.all_tools, mapped),
    )


def _section(tool: str | None, rules: Rules, mapped: frozenset[str]) -> Section:
    where = naming.place(tool)
    own = tool is not None
    approval = Step.TOOL_APPROVAL if own else Step.ALL_APPROVAL
    denials = list(zip(naming.rule_ids(where, rules, "deny_if"), rules.deny_if, strict=True))
    asks = [(rule, item) for rule, item in denials if _is_mapped(item, mapped)]
    stops = [(rule, item) for rule, item in denials if not _is_mapped(item, mapped)]
    asks += zip(naming.rule_ids(where, rules, "require_approval"), rules.require_approval, strict=True)
    needs = zip(naming.rule_ids(where, rules, "require"), rules.require, strict=True)
    caps = zip(naming.rule_ids(where, rules, "limits"), rules.limits, strict=True)
    return Section(
        guards=(
            *(_guard(Step.TOOL_REQUIRE if own else Step.ALL_REQUIRE, *each, _denied) for each in needs),
            *(_guard(Step.TOOL_DENY if own else Step.ALL_DENY, *each, _denied) for each in stops),
            *(_guard(approval, *each, _asked) for each in asks),
        ),
        limits=tuple(_limit(Step.TOOL_LIMIT if own else Step.ALL_LIMIT, *each) for each in caps),
    )


def _is_mapped(item: Item, mapped: frozenset[str]) -> bool:
    return not item.conditions and item.text != "" and item.text in mapped


def _guard(step: Step, rule: str, item: Item, default: Callable[[str], str]) -> Guard:
    return Guard(step, rule, item.text or default(rule), item.conditions, item.name, item.ttl_s)


def _denied(rule: str) -> str:
    return f'Denied by rule "{rule}"'


def _asked(_rule: str) -> str:
    return REQUIRES_APPROVAL


def _limit(step: Step, rule: str, limit: Limit) -> ProgramLimit:
    what = "Rate limit" if limit.amount_path is None else "Limit"
    reached = f"{what} of {limit.max.text} per {_window(limit.window)} reached. Try again later."
    return ProgramLimit(
        step=step,
        rule=rule,
        message=limit.text or reached,
        counter=limit.counter,
        window=limit.window,
        max=limit.max,
        scope=limit.scope,
        increment=limit.increment,
        amount_path=limit.amount_path,
        as_number=limit.as_number,
        name=limit.name,
    )


def _window(window: Window) -> str:
    return f"{window} seconds" if isinstance(window, int) else window
