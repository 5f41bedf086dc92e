"""Elements of `limits`: tree → model. What two limits do to each other is `check`'s business."""

from decimal import Decimal

from translator import paths
from translator.items import as_number
from translator.members import Members, is_blank, members
from translator.model import WINDOW_SECONDS, Limit, Scope, Window
from translator.number import is_whole
from translator.program import Number
from translator.report import Report, quote
from translator.tree import Node

MAX_COUNTER_CHARS = 128
MAX_WINDOW_S = 2_678_400
ONE = Number("1", Decimal(1))
_MEMBERS = ("counter", "window", "max", "scope", "increment_from", "increment", "as", "on_deny", "name")
_HINTS = {"message": "the text is called on_deny here", "rate_limit": "rate_limit stands in the tool, beside limits"}


def limits(owner: Members, report: Report) -> tuple[Limit, ...]:
    """The limits of a tool or of all_tools; faulty ones are left out. Source: policy-semantics, section 7."""
    return tuple(limit for node in owner.array("limits") if (limit := _limit(node, report)))


def window_s(node: Node, report: Report) -> int | None:
    """The whole number of seconds at `node`; None, and a fault, when it is none or out of range."""
    value = node.value
    if not isinstance(value, Number):
        report.wrong_type(node, "a whole number of seconds")
    elif not is_whole(value) or not 1 <= value.value <= MAX_WINDOW_S:
        report.add(node, f"must be a whole number of seconds from 1 to {MAX_WINDOW_S}")
    else:
        return int(value.value)
    return None


def maximum(node: Node, whole: bool, report: Report) -> Number | None:
    """The number at `node`; None, and a fault, when it is none, negative, or not whole though calls are counted."""
    value = node.value
    if not isinstance(value, Number):
        report.wrong_type(node, "a number")
    elif value.value < 0:
        report.add(node, "must not be negative", "0 denies every call")
    elif whole and not is_whole(value):
        report.add(node, "must be whole, because calls are counted", "only with increment_from it may have a fraction")
    else:
        return value
    return None


def _limit(node: Node, report: Report) -> Limit | None:
    found = members(node, _MEMBERS, report, _HINTS)
    if found is None:
        return None
    counter = _counter(found.need("counter"), report)
    window = _window(found.need("window"), report)
    max_node = found.need("max")
    most = maximum(max_node, "increment_from" not in found, report) if max_node else None
    scope = _scope(found.find("scope"), report)
    amount_path = _amount_path(found, report)
    increment = _increment(found, report)
    numeric = _as_number(found, report)
    text, name = found.text("on_deny"), found.text("name")
    if not counter or window is None or most is None or scope is None or increment is None:
        return None
    return Limit(node, counter, window, most, scope, increment, amount_path, numeric, text, name)


def _counter(node: Node | None, report: Report) -> str:
    if node is None:
        return ""
    if not isinstance(node.value, str):
        report.wrong_type(node, "a string")
    elif is_blank(node.value):
        report.add(node, "must not be blank")
    elif len(node.value) > MAX_COUNTER_CHARS:
        report.add(node, f"must have at most {MAX_COUNTER_CHARS} characters, not {len(node.value)}")
    else:
        return node.value
    return ""


def _window(node: Node | None, report: Report) -> Window | None:
    if node is None:
        return None
    match node.value:
        case "minute" | "hour" | "day" as named:
            return named
        case Number():
            return window_s(node, report)
        case _:
            report.not_one_of(node, tuple(WINDOW_SECONDS), "minute, hour, day, or a whole number of seconds")
    return None


def _scope(node: Node | None, report: Report) -> Scope | None:
    if node is None:
        return "grant"
    match node.value:
        case "grant" | "session" | "server" as named:
            return named
        case _:
            report.not_one_of(node, ("grant", "session", "server"))
    return None


def _amount_path(found: Members, report: Report) -> tuple[str, ...] | None:
    node = found.find("increment_from")
    return None if node is None else paths.path(node, report)


def _increment(found: Members, report: Report) -> Number | None:
    node = found.find("increment")
    if node is None:
        return ONE
    value = node.value
    if "increment_from" in found:
        report.add(node, 'excludes "increment_from"', "keep one of them")
    elif not isinstance(value, Number):
        report.wrong_type(node, "a number")
    elif value.value <= 0:
        report.add(node, "must be above 0")
    else:
        return value
    return None


def _as_number(found: Members, report: Report) -> bool:
    numeric = as_number(found, report)
    node = found.find("as")
    if node is not None and numeric and "increment_from" not in found:
        report.add(node, f"has no meaning without {quote('increment_from')}", "calls are counted by 1 or by increment")
    return numeric
