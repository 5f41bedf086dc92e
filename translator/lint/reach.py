"""Lints about rules that decide nothing: never true, never satisfied, or decided already by the rules before them.

Only what is certain is told: see `values` for what is known of a condition.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from translator.lint.codes import ALWAYS_DENIES, NEQ_WITHOUT_REQUIRE, NEVER_FIRES, SHADOWED_RULE, TOO_MUCH
from translator.lint.subject import Rule, Section, Subject, tell
from translator.lint.values import ANYTHING, Values, open_of, true_of
from translator.paths import written
from translator.program import Condition, Op
from translator.report import Report, quote, shorten

Path: TypeAlias = tuple[str, ...]
MAX_STEPS = 200_000
"""Comparisons of rules, for one policy."""
_SHOWN = 3
_LISTED_PER_STEP = 50


@dataclass(slots=True)
class _Known:
    """What the earlier rules of a section say of a call that reaches this one.

    `facts` has for a path each rule that bounds it, with the bounds; under `*` every element is so. `together` are
    the denials of several conditions. `closed` is the rule after which nothing is reached, if there is one.
    """

    facts: dict[Path, list[tuple[Rule, Values]]] = field(default_factory=dict)
    together: list[Rule] = field(default_factory=list)
    closed: Rule | None = None
    bounds: dict[Path, Values] = field(default_factory=dict)

    def of(self, path: Path) -> Values:
        """What the argument may be."""
        return self.bounds.get(path, ANYTHING)

    def learn(self, path: Path, rule: Rule, values: Values) -> None:
        """A call that got past `rule` has such an argument."""
        self.facts.setdefault(path, []).append((rule, values))
        self.bounds[path] = self.of(path).meet(values)

    def why(self, path: Path, values: Values) -> list[Rule]:
        """The rules that together leave nothing of `values`: one if one does, else all about the path."""
        facts = self.facts[path]
        alone = next((rule for rule, bound in facts if bound.meet(values).is_empty), None)
        return [rule for rule, _ in facts] if alone is None else [alone]


def lint(subject: Subject, report: Report) -> set[str | None]:
    """The tools (None: all) of which every call is denied by their rules alone.

    Tells which rules decide nothing, and which `neq` and `not_in` an absent argument passes.
    """
    left = MAX_STEPS
    known: dict[str | None, _Known] = {}
    for section in subject.sections:
        left -= _cost(section)
        if left < 0:
            tell(report, TOO_MUCH, section.at, "there are too many rules here to compare them with each other")
            return set()
        known[section.tool] = _section(subject, section, report)
    everywhere = known.get(None, _Known())
    for section in subject.sections:
        _absent(section, (known[section.tool], everywhere), report)
    return {tool for tool, each in known.items() if each.closed is not None and not subject.asks(each.closed)}


def _cost(section: Section) -> int:
    conditions = [condition for rule in section.rules for condition in rule.item.conditions]
    listed = sum(len(condition.value) for condition in conditions if isinstance(condition.value, list))
    return len(section.rules) * (len(conditions) + listed // _LISTED_PER_STEP)


def _section(subject: Subject, section: Section, report: Report) -> _Known:
    known = _Known()
    ordered = [rule for rule in section.rules if not subject.asks(rule)]
    ordered += [rule for rule in section.rules if subject.asks(rule)]
    for rule in ordered:
        if known.closed is not None:
            _tell_shadowed(rule, [known.closed], report)
        elif rule.list == "require":
            _require(rule, known, report)
        else:
            _stop(rule, known, report, subject)
    for cap in section.caps if known.closed is not None and not subject.asks(known.closed) else ():
        assert known.closed is not None
        message = f"is never reached: {shorten(known.closed.id)} denies every call before it"
        tell(report, SHADOWED_RULE, cap.limit.at, message, "remove one of them")
    return known


def _by_path(conditions: Iterable[Condition]) -> dict[Path, list[Condition]]:
    found: dict[Path, list[Condition]] = {}
    for condition in conditions:
        found.setdefault(condition.path, []).append(condition)
    return found


def _require(rule: Rule, known: _Known, report: Report) -> None:
    """An item holds only if every condition is true, under `*` on every element."""
    conditions = _by_path(rule.item.conditions)
    wanted = {path: _meet(map(true_of, each)) for path, each in conditions.items()}
    for path, values in wanted.items():
        if values.is_empty or known.of(path).meet(values).is_empty:
            also = "" if values.is_empty else f" and {_ids(known.why(path, values))}"
            message = f"denies every call: no value of {_path(path)} satisfies it{also}"
            tell(report, ALWAYS_DENIES, rule.item.at, message)
            known.closed = rule
            return
    missing = {path: [true_of(each).complement() for each in found] for path, found in conditions.items()}
    gaps = [(path, gap) for path, found in missing.items() for gap in found]
    if all(known.of(path).meet(gap).is_empty for path, gap in gaps):
        _tell_shadowed(rule, [each for path, gap in gaps for each in known.why(path, gap)], report)
        return
    for path, values in wanted.items():
        known.learn(path, rule, values)


def _stop(rule: Rule, known: _Known, report: Report, subject: Subject) -> None:
    """An item of `deny_if` or `require_approval` fires if no condition is false, under `*` on some element."""
    if not rule.item.conditions:
        if subject.asks(rule) or not subject.may_ask(rule):
            known.closed = rule
        return
    for path, found in _together(rule):
        fires, true = _meet(map(open_of, found)), _meet(map(true_of, found))
        if fires.is_empty:
            tell(report, NEVER_FIRES, rule.item.at, f"can never fire: no value of {_path(path)} satisfies it")
            return
        if known.of(path).meet(fires).is_empty:
            _tell_shadowed(rule, known.why(path, fires), report)
            return
        if true.is_empty:
            message = f"can never be true: no value of {_path(path)} satisfies it"
            tell(report, NEVER_FIRES, rule.item.at, message, "it fires only on a value of a type it cannot judge")
            return
    for earlier in known.together:
        if all(_implied(condition, rule, known) for condition in earlier.item.conditions):
            _tell_shadowed(rule, [earlier], report)
            return
    if len(rule.item.conditions) == 1:
        (condition,) = rule.item.conditions
        known.learn(condition.path, rule, open_of(condition).complement())
    else:
        known.together.append(rule)


def _together(rule: Rule) -> list[tuple[Path, list[Condition]]]:
    """The conditions that are about one value: those of one path, but under `*` each for itself."""
    found: list[tuple[Path, list[Condition]]] = []
    for path, conditions in _by_path(rule.item.conditions).items():
        found += [(path, [each]) for each in conditions] if "*" in path else [(path, conditions)]
    return found


def _implied(condition: Condition, rule: Rule, known: _Known) -> bool:
    """Is the condition not false on every call on which `rule` fires?"""
    gap = open_of(condition).complement()
    return any(
        path == condition.path and known.of(path).meet(_meet(map(open_of, found))).meet(gap).is_empty
        for path, found in _together(rule)
    )


def _meet(several: Iterable[Values]) -> Values:
    met = ANYTHING
    for values in several:
        met = met.meet(values)
    return met


def _tell_shadowed(rule: Rule, blame: Sequence[Rule], report: Report) -> None:
    message = f"never decides a call: what it would stop was stopped before by {_ids(blame)}"
    tell(report, SHADOWED_RULE, rule.item.at, message, "remove one of them")


def _ids(rules: Sequence[Rule]) -> str:
    ids = list(dict.fromkeys(shorten(rule.id) for rule in rules))
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _path(path: Path) -> str:
    return quote(written(path))


def _absent(section: Section, known: tuple[_Known, ...], report: Report) -> None:
    """Source: policy-semantics, section 5, last paragraph of "Use"."""
    for rule in section.rules:
        present = {each.path for each in rule.item.conditions if each.op is Op.EXISTS and each.value}
        for condition, node in rule.conditions:
            path = condition.path
            if rule.list == "require" or condition.op not in (Op.NEQ, Op.NOT_IN) or path in present:
                continue
            if not any(_is_present(path, each) for each in known):
                message = f"{_path(path)} is not required, so a call that leaves it out gets past this rule"
                tell(report, NEQ_WITHOUT_REQUIRE, node, message, f"add {_path(path)} to require")


def _is_present(path: Path, known: _Known) -> bool:
    """Does every call that gets past the rules have the argument, or one inside it?"""
    return any(
        not values.absent and found[: len(path)] == path and (found == path or "*" not in found)
        for found, values in known.bounds.items()
    )
