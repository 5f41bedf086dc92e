"""Cases made at random: policies, and histories of calls to them, out of small pools so that they meet often.

What a case expects is the reference's opinion, so a line of these can stand in a case file as it is.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeAlias

from hypothesis import strategies as st

from tests.decisions.reference import Gateway, parsed

Draw: TypeAlias = Callable[[st.SearchStrategy[Any]], Any]


class Text(str):
    """JSON text that is written as it is: numbers, mostly."""


def dump(value: Any) -> str:
    if isinstance(value, Text):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {dump(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


TOOLS = ("t", "T", "a/b~c", "delete_*", "İx", 'q"\\\n${x}')
SMALL = ("0", "-0", "1", "1.0", "1e0", "2", "2.5", "10", "-1")
LARGE = (
    *("9007199254740992", "9007199254740993", "9223372036854775807", "9223372036854775808", "0.1", "0.10", "0.3"),
    *("1e400", "1.0E+400", "-1e400", "1e-400", "1e1000", "99999999999999.9999", "123456789012345678", "1e22"),
)
STRINGS = (
    *("", "a", "A", "ab", "b", "a\nb", "é", "e\u0301", "😀", "\u0000", "true", "null", "a.b", "${a}", '"'),
    *("1", "1.0", "1e0", "10", "2.5", "-0", "05", " 1", "1 ", "+1", ".5", "5.", "0x1", "1e400", "1e1001", "NaN", "١"),
)
SEGMENTS = ("a", "a", "a", "b", "b", "c", "*", "0", "1", "01", "-1", "é")
PATTERNS = (
    *("a", "^a", "b$", "", ".", "^.$", r"\d", r"^\d+$", "(?i)A", "a.b", "(?s)a.b", r"a\.b", "[éa]", r"\pL", r"^\s*$"),
    *(r"\ba\b", "a|b", "(ab?){1,3}", r"\x00", "(?m)^b", r"\w$", "^$", "[[:alpha:]]", r"\$\{"),
)
MESSAGES = ("", "no", "Ask.", 'Say "why"\n${x} `y`')
OPS = ("eq", "neq", "in", "not_in", "lt", "lte", "gt", "gte", "regex", "contains", "exists")
WINDOWS = (
    "day",
    "minute",
    "hour",
    "day",
    "minute",
    Text("60"),
    Text("60.0"),
    Text("90"),
    Text("3600"),
    Text("2678400"),
    Text("1"),
)
COUNTERS: dict[str, dict[str, Any]] = {
    "c": {},
    "c#2": {},
    "per minute/~": {"increment": Text("0.5")},
    "t_rate": {},
    "spend": {"increment_from": "args.a"},
    "spends": {"increment_from": "args.a.*.b", "as": "number"},
    "sum": {"increment_from": "args.b.*"},
    "first": {"increment_from": "args.b.0", "as": "number"},
}
"""What each counter counts, so that no two limits of one policy disagree about it."""

INVALID = (
    *("[1]", '"x"', "1", "", "{", '{"a": 1, "\\u0061": 2}', '{"a": [{"b": 1, "b": 1}]}', '{"a": 1e1001}', '{"a": NaN}'),
    *('{"a": "\\ud800"}', '{"\\udc00": 1}', '{"a": ' + "1" * 101 + "}", "{} {}", '{"a": 01}', '{"a": 1e-1001, "a": 2}'),
    *('{"a": ' + "[" * 127 + "]" * 127 + "}", '{"a": ' + "[" * 128 + "]" * 128 + "}", '{"a": 0e9999}', " null ", "nul"),
    *('{"a": 1e1000}', '{"a": 10e1000}', '{"a": 0.1e1001}', '{"a": "\\ud83d\\ude00"}', '{"a": "\\ude00\\ud83d"}'),
)
"""Arguments at the edge of what may be judged."""

EDGE = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)
LEAPS = (0, 0, 0, 0.999999, 1, -1, 2, 30, 59, 61, 90, 3600, -3600, 86400)


small = st.sampled_from(SMALL).map(Text)
numbers = st.one_of(st.sampled_from(SMALL), st.sampled_from(SMALL), st.sampled_from(LARGE)).map(Text)
scalars = st.one_of(numbers, numbers, st.sampled_from(STRINGS), st.booleans())
operands = st.one_of(
    scalars,
    scalars,
    st.lists(st.none() | scalars, max_size=2),
    st.dictionaries(st.sampled_from(("a", "b")), st.none() | scalars, max_size=2),
)


def values(depth: int) -> st.SearchStrategy[Any]:
    """A value in arguments."""
    if depth == 0:
        return st.one_of(scalars, scalars, scalars, st.none())
    inner = values(depth - 1)
    return st.one_of(
        scalars, st.none(), st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(SEGMENTS), inner, max_size=3)
    )


arguments = st.one_of(
    st.dictionaries(st.sampled_from(("a", "b", "c", "é")), values(3), max_size=4).map(dump),
    st.dictionaries(st.sampled_from(("a", "b")), values(2), min_size=1, max_size=2).map(dump),
    st.fixed_dictionaries({"a": scalars}).map(dump),
    st.fixed_dictionaries({"a": small, "b": scalars}).map(dump),
    st.fixed_dictionaries({"a": st.sampled_from(LARGE[:4]).map(Text)}).map(dump),
    st.fixed_dictionaries({"a": numbers, "b": st.lists(numbers | scalars, max_size=3)}).map(dump),
)
odd_paths = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3).map(lambda steps: ".".join(("args", *steps)))
paths = st.one_of(st.just("args.a"), odd_paths, odd_paths, st.sampled_from(("args.b.0", "args.b.00", "args.b.*")))


@st.composite
def conditions(draw: Draw) -> dict[str, Any]:
    op = draw(st.sampled_from(OPS))
    made = {"path": draw(paths), "op": op}
    numeric = op not in ("regex", "contains", "exists") and draw(st.integers(0, 3)) == 0
    if op == "exists":
        made["value"] = draw(st.booleans())
    elif op == "regex":
        made["value"] = draw(st.sampled_from(PATTERNS))
    elif op in ("in", "not_in"):
        listed = st.lists(numbers if numeric else operands, min_size=int(numeric), max_size=3)
        made["value"] = draw(listed if numeric else st.one_of(listed, listed, st.just([])))
    else:
        made["value"] = draw(small | numbers if numeric or op in ("lt", "lte", "gt", "gte") else operands)
    return {**made, "as": "number"} if numeric else made


@st.composite
def items(draw: Draw, kind: str) -> Any:
    """An item of `require`, `deny_if` or `require_approval`, at times in a short form."""
    text = "message" if kind == "require_approval" else "on_deny"
    more = {text: draw(st.sampled_from(MESSAGES))} if draw(st.booleans()) else {}
    if kind == "require_approval" and draw(st.booleans()):
        more["ttl_seconds"] = Text(draw(st.sampled_from(("1", "60.0", "1e3", "1e30"))))
    form = draw(st.integers(0, 5))
    if form == 0:
        return draw(conditions()) | more
    if form == 1 and kind == "require":
        return draw(paths)
    if form == 1 and kind == "deny_if":
        return {"conditions": [], "on_deny": "Ask."}
    listed = draw(st.lists(conditions(), min_size=int(kind == "require"), max_size=2))
    return more if kind == "require_approval" and not listed and draw(st.booleans()) else {"conditions": listed} | more


@st.composite
def limits(draw: Draw) -> dict[str, Any]:
    counter = draw(st.sampled_from(("c", "c", "c#2", *COUNTERS)))
    spends = "increment_from" in COUNTERS[counter]
    highest = ("0", "1", "2", "3.0", "2.5", "1e400", "0.3", "10.00") if spends else ("0", "1", "2", "3.0", "1e1", "5")
    made = {
        "counter": counter,
        "window": draw(st.sampled_from(WINDOWS)),
        "max": Text(draw(st.sampled_from(highest))),
        **COUNTERS[counter],
    }
    if draw(st.booleans()):
        made["scope"] = draw(st.sampled_from(("grant", "session", "server")))
    if draw(st.booleans()):
        made["on_deny"] = draw(st.sampled_from(MESSAGES))
    return made


@st.composite
def limit_lists(draw: Draw, least: int) -> list[dict[str, Any]]:
    """Limits, at times two of one counter that differ in their maximum only."""
    made = draw(st.lists(limits(), min_size=least, max_size=3))
    if made and draw(st.booleans()):
        made.append({**made[0], "max": Text(draw(st.sampled_from(("2", "3", "4"))))})
    return made


def sections(most: int) -> st.SearchStrategy[dict[str, Any]]:
    limited = st.fixed_dictionaries({"limits": limit_lists(1)})
    lists = {
        "require": st.lists(items("require"), max_size=1),
        "deny_if": st.lists(items("deny_if"), max_size=most),
        "require_approval": st.lists(items("require_approval"), max_size=most),
        "limits": limit_lists(0),
    }
    return st.one_of(st.fixed_dictionaries({}, optional=lists), st.fixed_dictionaries({}, optional=lists), limited)


@st.composite
def tools(draw: Draw) -> dict[str, Any]:
    """The rules of one tool, at times in the short form."""
    form = draw(st.integers(0, 9))
    reason = {"reason": draw(st.sampled_from(MESSAGES))} if draw(st.booleans()) else {}
    if form == 0:
        return {"action": draw(st.sampled_from(("deny", "hide"))), **reason}
    made = dict(draw(sections(2)))
    if form == 1:
        made |= {"action": "require_approval", **reason}
        made.pop("require_approval", None)
    if form == 2:
        made["action"] = "allow"
    if form in (2, 3):
        window = Text(draw(st.sampled_from(("60", "90", "3600", "86400.0"))))
        made["rate_limit"] = {"max": Text(draw(st.sampled_from(("0", "1", "2.0")))), "window": window}
    return made


@st.composite
def policies(draw: Draw) -> dict[str, Any]:
    made: dict[str, Any] = {"version": "1", "default": draw(st.sampled_from(("allow", "deny", "deny")))}
    if draw(st.integers(0, 3)) == 0:
        made["hide"] = draw(st.lists(st.sampled_from((*TOOLS, "*", "h")), max_size=2, unique=True))
    if draw(st.integers(0, 2)) == 0:
        made["all_tools"] = draw(sections(1))
    names = draw(st.lists(st.sampled_from(TOOLS), min_size=1, max_size=3, unique=True))
    made["tools"] = {name: draw(tools()) for name in names}
    return made


@st.composite
def calls(draw: Draw, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """A history: few grants and sessions, and a clock that mostly goes on, across the edges of windows."""
    now = EDGE
    made = []
    same, usual = draw(arguments), draw(st.sampled_from(names))
    for _ in range(draw(st.integers(6, 16))):
        now += timedelta(seconds=draw(st.sampled_from(LEAPS)))
        zone = timezone(timedelta(minutes=draw(st.sampled_from((0, 0, 330, -720)))))
        call = {
            "tool": draw(st.sampled_from((*names, *[usual] * 2 * len(names), "zz"))),
            "at": now.astimezone(zone).isoformat(),
            "grant": draw(st.sampled_from(("g1", "g1", "g2"))),
            "session": draw(st.sampled_from((None, "s1", "s2"))),
        }
        form = draw(st.integers(0, 11))
        if form == 0:
            call["arguments_raw"] = draw(st.sampled_from(INVALID))
        elif form == 1:
            call["arguments_raw"] = draw(arguments)
        elif form > 2:
            call["arguments"] = Text(same if form > 8 else draw(arguments))
        if draw(st.integers(0, 2)) == 0:
            call["upstream"] = draw(st.sampled_from(("error", "tool_error")))
        if draw(st.integers(0, 2)) == 0:
            call["approval"] = draw(st.sampled_from(("granted", "granted", "refused", "expired")))
        made.append(call)
    return made


@st.composite
def cases(draw: Draw) -> dict[str, Any]:
    """A case without its expectations."""
    policy = None if draw(st.integers(0, 60)) == 0 else draw(policies())
    made: dict[str, Any] = {"policy": policy}
    if draw(st.integers(0, 2)) == 0:
        made["options"] = {"approval_map": ["Ask.", ""]}
    names = tuple(policy["tools"]) if policy else TOOLS[:2]
    return made | {"calls": draw(calls((*names, draw(st.sampled_from(TOOLS)))))}


def line(case: dict[str, Any], id_: str) -> str:
    """The case as a line of a case file, with what the reference expects of it."""
    gateway = Gateway(parsed(dump(case["policy"])), case.get("options", {}).get("approval_map", ()))
    texts = [call.get("arguments_raw", call.get("arguments", "{}")) for call in case["calls"]]
    expect = [gateway.call({**call, "text": text}) for call, text in zip(case["calls"], texts, strict=True)]
    names = [*TOOLS, "zz", "h"]
    listing = {"upstream": names, "visible": gateway.visible(names)}
    return dump({"id": id_, **case, "expect": expect, "list": listing})
