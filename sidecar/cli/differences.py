"""A diff of two policies in words: lines for a terminal, Markdown for a pull request. Finds nothing out."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from sidecar.cli.terminal import printable

if TYPE_CHECKING:
    from sidecar.proving.budgets import Most
    from sidecar.proving.diff import Before, Diff, Shown, Standing, ToolDiff

_NAMES = 8
_WIDE = 300
_ROWS = 200
_STEPS = 3


def text(found: "Diff") -> Iterator[str]:
    """One tool after the other: the verdict, the call that shows it, what is open, and the most in a day."""
    for each in found.tools:
        if each.verdict == "equivalent" and not each.open:
            continue
        yield f"{_names(each, found)}: {_verdict(each)}"
        for shown in filter(None, (each.looser, each.stricter)):
            yield f"  {_cut(shown.arguments)}: {shown.old} -> {shown.new}{_told(_after(shown))}"
        for reason in each.undecided:
            yield f"  not decided ({_or(each.open)}): {reason}"
        yield from (f"  {line}" for line in _changes(each))
    alike = [each for each in found.tools if each.verdict == "equivalent" and not each.open]
    if alike:
        yield f"equivalent: {', '.join(_names(each, found) for each in alike)}"
    yield _summary(found)


def markdown(found: "Diff", old: str, new: str) -> Iterator[str]:
    """For a comment at a pull request: what becomes callable, what stops, each change by a call, the most in a day."""
    yield f"### Policy change: {_code(old)} → {_code(new)}"
    yield ""
    yield f"**{_summary(found)}**"
    opened = [each for each in found.tools if each.old.callable == "no" != each.new.callable]
    closed = [each for each in found.tools if each.new.callable == "no" != each.old.callable]
    for title, tools in (("Becomes callable", opened), ("Can no longer be called", closed)):
        if tools:
            yield from ("", f"**{title}**", "")
            for each in tools:
                able = each.new.callable if each in opened else each.old.callable
                yield f"- {_coded(each, found)}{' (with approval)' if able == 'with approval' else ''}"
    rows = [(each, shown) for each in found.tools for shown in (each.looser, each.stricter) if shown is not None]
    if rows:
        yield from ("", "**Calls whose outcome changes**", "")
        yield from _table(
            ("Tool", "Change", "A call that shows it", "Before", "After"),
            [
                (
                    _coded(each, found),
                    "looser" if shown is each.looser else "stricter",
                    _code(_cut(shown.arguments)) + _told(_after(shown), _code),
                    shown.old,
                    shown.new,
                )
                for each, shown in rows
            ],
        )
    undecided = [each for each in found.tools if each.open]
    if undecided:
        yield from ("", "**Not decided**", "")
        for each in undecided:
            yield f"- {_coded(each, found)}, whether {_or(each.open)}: {_code('; '.join(each.undecided))}"
    counted = [each for each in found.tools if each.new.callable != "no"]
    if counted:
        yield from ("", "**The most one grant can do in a day**", "")
        yield from _table(
            ("Tool", "Calls before", "Calls after", "Spend before", "Spend after"),
            [
                (
                    _coded(each, found),
                    *(_calls(side, _code) for side in sides),
                    *(_spends(side, _code) for side in sides),
                )
                for each in counted
                for sides in [(each.old, each.new)]
            ],
        )
        yield from ("", "By limits alone. Tools that name one counter share it.")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows[:_ROWS]:
        yield f"| {' | '.join(row)} |"
    if len(rows) > _ROWS:
        yield f"| … {len(rows) - _ROWS} more |{' |' * (len(heads) - 1)}"


def _summary(found: "Diff") -> str:
    counts = {verdict: 0 for verdict in ("looser", "stricter", "both", "equivalent")}
    for each in found.tools:
        counts[each.verdict] += sum(tool != found.stranger for tool in each.tools) or 1
    parts = [
        f"{count} {'looser and stricter' if verdict == 'both' else verdict}"
        for verdict, count in counts.items()
        if count
    ]
    is_open = any(each.open for each in found.tools)
    return f"Tools: {', '.join(parts)}{'; not everything could be decided' if is_open else ''}."


def _verdict(each: "ToolDiff") -> str:
    verdict = "looser and stricter" if each.verdict == "both" else each.verdict
    return f"{verdict}, as far as decided" if each.open else verdict


def _changes(each: "ToolDiff") -> Iterator[str]:
    if each.old.callable != each.new.callable:
        yield f"callable: {each.old.callable} -> {each.new.callable}"
    for what, before, after in (
        ("calls", _calls(each.old, str), _calls(each.new, str)),
        ("spend", _spends(each.old, str), _spends(each.new, str)),
    ):
        if before != after:
            yield f"most {what} per day and grant: {before} -> {after}"


def _calls(side: "Standing", of: "Callable[[str], str]") -> str:
    return "none" if side.callable == "no" else _most(side.calls, of) if side.calls.most else "no limit"


def _spends(side: "Standing", of: "Callable[[str], str]") -> str:
    if side.callable == "no":
        return "none"
    return ", ".join(_most(each, of) for each in side.spend) or "no limit"


def _most(each: "Most", of: "Callable[[str], str]") -> str:
    return f"{'no limit' if each.most is None else _cut(each.most)} ({of(each.of)})"


def _after(shown: "Shown") -> list[str]:
    """What was called before, in a few words each."""
    made = [_before(each) for each in shown.before[:_STEPS]]
    if len(shown.before) > _STEPS:
        made.append(f"and so on, {sum(each.times for each in shown.before)} calls in all")
    return [*made, *([f"then {shown.after_s} s after the first"] if shown.after_s else []), *_by(shown.who)]


def _before(each: "Before") -> str:
    times = "once" if each.times == 1 else f"{each.times} times"
    at = f" after {each.after_s} s" if each.after_s else ""
    return f"{times} {each.tool} {_cut(each.arguments)}{at}{''.join(f' {who}' for who in _by(each.who))}"


def _by(who: str) -> list[str]:
    return [f"by {who}"] if who else []


def _told(made: Sequence[str], shown: "Callable[[str], str]" = str) -> str:
    return f" after: {shown('; '.join(made))}" if made else ""


def _names(each: "ToolDiff", found: "Diff") -> str:
    named = [_name(tool, found) for tool in each.tools]
    more = f" and {len(named) - _NAMES} more" if len(named) > _NAMES else ""
    return ", ".join(named[:_NAMES]) + more


def _coded(each: "ToolDiff", found: "Diff") -> str:
    named = ["any other tool" if tool == found.stranger else _code(_cut(tool)) for tool in each.tools]
    more = f" and {len(named) - _NAMES} more" if len(named) > _NAMES else ""
    return ", ".join(named[:_NAMES]) + more


def _name(tool: str, found: "Diff") -> str:
    return "any other tool" if tool == found.stranger else _cut(tool)


def _or(directions: Sequence[str]) -> str:
    return " or ".join(directions)


def _cut(words: str) -> str:
    return words if len(words) <= _WIDE else f"{words[:_WIDE]}…"


def _code(words: str) -> str:
    """The words as a code span that stays one, also in a cell of a table: nothing in it is markup or a mention."""
    plain = printable(words).replace("|", "\\|")
    fence = "`"
    while fence in plain:
        fence += "`"
    pad = " " if plain.startswith("`") or plain.endswith("`") or not plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"
