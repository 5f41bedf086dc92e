"""Lints about limits: counters that tools share, counts that a new session ends, limits that are never reached."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from translator.lint.codes import (
    ALWAYS_DENIES,
    COMMON_COUNTER,
    NEVER_FIRES,
    SESSION_LIMIT,
    SHADOWED_RULE,
    SHARED_COUNTER,
)
from translator.lint.subject import Cap, Section, Subject, tell
from translator.report import Report, quote, shorten

_Counter: TypeAlias = tuple[str, str, int]
_SHOWN = 3
_MIN_NAME_CHARS = 3
_MAX_CAPS = 200


def lint(subject: Subject, report: Report) -> None:
    """Tells which limits count something else than they seem to."""
    for section in subject.sections:
        _session(section, report)
        _steps(section, report)
        _repeated(section, report)
    if subject.whole:
        uses = _uses(subject)
        _shared(subject, uses, report)
        for section in subject.sections:
            _within(section, uses, report)


def _counter(cap: Cap) -> _Counter:
    """Source: policy-semantics, sections 7 (Identity) and 15.11."""
    return cap.limit.scope, cap.limit.counter, cap.limit.window_s


def _uses(subject: Subject) -> dict[_Counter, list[Cap]]:
    uses: dict[_Counter, list[Cap]] = {}
    for section in subject.sections:
        for cap in section.caps:
            uses.setdefault(_counter(cap), []).append(cap)
    return uses


def _session(section: Section, report: Report) -> None:
    for cap in section.caps:
        if cap.limit.scope == "session":
            message = "counts per session: a client that opens a new session starts a new count"
            hint = '"scope": "grant" counts all sessions of a token together'
            if cap.limit.at.key == "rate_limit":
                hint = "write it in limits; there the scope is the grant"
            tell(report, SESSION_LIMIT, cap.limit.at, message, hint)


def _steps(section: Section, report: Report) -> None:
    """A call that counts more than the limit allows at all."""
    for cap in section.caps:
        limit = cap.limit
        if limit.amount_path is None and limit.increment.value > limit.max.value > 0:
            message = (
                f"denies every call: one call counts {limit.increment.text}, more than the max of {limit.max.text}"
            )
            tell(report, ALWAYS_DENIES, limit.at, message)


def _repeated(section: Section, report: Report) -> None:
    """Of two limits on one counter, the later is reported only if its max is the lower."""
    lowest: dict[_Counter, Cap] = {}
    for cap in section.caps:
        earlier = lowest.setdefault(_counter(cap), cap)
        if earlier is cap:
            continue
        if earlier.limit.max.value <= cap.limit.max.value:
            message = f"never decides a call: {shorten(earlier.id)} has the same counter and a max that is not higher"
            tell(report, SHADOWED_RULE, cap.limit.at, message, "remove one of them, or give it a counter of its own")
        else:
            lowest[_counter(cap)] = cap


def _within(section: Section, uses: Mapping[_Counter, list[Cap]], report: Report) -> None:
    """A limit on a short window is never reached if one on a longer window allows no more."""
    for cap in section.caps if len(section.caps) <= _MAX_CAPS else ():
        limit = cap.limit
        if len(uses[_counter(cap)]) > 1:
            continue
        for other in section.caps:
            longer = other.limit
            if (
                longer.window_s > limit.window_s
                and longer.window_s % limit.window_s == 0
                and longer.scope == limit.scope
                and _increment(other) == _increment(cap)
                and longer.max.value <= limit.max.value
            ):
                message = f"is never reached: {shorten(other.id)} allows no more in a longer time"
                tell(report, NEVER_FIRES, limit.at, message, "remove it, or lower its max")
                break


def _increment(cap: Cap) -> object:
    limit = cap.limit
    return limit.amount_path, limit.increment.value if limit.amount_path is None else limit.as_number


def _shared(subject: Subject, uses: Mapping[_Counter, list[Cap]], report: Report) -> None:
    names = {name.lower(): name for name in subject.policy.tools}
    for caps in uses.values():
        tools = {cap.tool for cap in caps}
        if len(tools) > 1:
            _tell_shared(caps, report)
        for cap in caps:
            _tell_foreign(cap, names, report)


def _tell_shared(caps: list[Cap], report: Report) -> None:
    first, *later = sorted(caps, key=lambda cap: cap.limit.at.start)
    everywhere = next((cap for cap in caps if cap.tool is None), None)
    named = quote(first.limit.counter)
    if everywhere is not None:
        for cap in caps:
            if cap.tool is not None:
                message = f"counts every tool's calls, because {shorten(everywhere.id)} has the same counter {named}"
                tell(report, SHARED_COUNTER, cap.limit.at, message, "give it a counter of its own")
        return
    for cap in later:
        if cap.limit.max.value != first.limit.max.value and cap.tool != first.tool:
            message = f"shares the counter {named} with {shorten(first.id)}, which has another max"
            hint = "give each tool a counter of its own, or all the same max"
            tell(report, SHARED_COUNTER, cap.limit.at, message, hint)
            return
    others = _listed(cap.tool or "" for cap in caps)
    message = f"the counter {named} is shared: its max holds for {others} together"
    tell(report, COMMON_COUNTER, later[0].limit.at, message, "give each tool a counter of its own if that is not meant")


def _tell_foreign(cap: Cap, names: Mapping[str, str], report: Report) -> None:
    """A counter named for a tool that does not count on it, as a copied limit has."""
    counter = cap.limit.counter.lower()
    owner = _owner(counter, names)
    if owner is None or cap.tool is None or owner == cap.tool or _owner(counter, {cap.tool.lower(): cap.tool}):
        return
    message = f"is a limit of {quote(cap.tool)}, but its counter {quote(cap.limit.counter)} is named for {quote(owner)}"
    tell(report, SHARED_COUNTER, cap.limit.at, message, "name the counter for the tool that counts on it")


def _owner(counter: str, names: Mapping[str, str]) -> str | None:
    """The tool with the longest name that the counter's name begins with."""
    for end in range(len(counter), _MIN_NAME_CHARS - 1, -1):
        if counter[:end] in names and (end == len(counter) or not counter[end].isalnum()):
            return names[counter[:end]]
    return None


def _listed(names: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(names))
    more = f" and {len(distinct) - _SHOWN} more" if len(distinct) > _SHOWN else ""
    return ", ".join(map(quote, distinct[:_SHOWN])) + more
