"""The verdicts of a diff against trying every call of a small domain, and short sequences of calls, one by one.

`--pairs=500` asks for more generated pairs of policies than the few of every run, and for new ones each
time; it needs a longer `--timeout`, and `--log-cli-level=info` tells the verdicts.
"""

import itertools
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sidecar.core.decision import Decision, Limit
from sidecar.core.limits import claims
from sidecar.core.query import Asker
from sidecar.counters.sqlite import SqliteCounters
from sidecar.database import open_database
from sidecar.opa.client import OpaClient
from sidecar.ports import Refused
from sidecar.proving.diff import ToolDiff, compare
from sidecar.proving.oracle import judging
from translator import Program, parse
from translator.bundle import build

FEW_PAIRS = 12
LOG = logging.getLogger(__name__)
ABSENT = object()
ORDER = ("deny", "approval_required", "allow")
ARRAYS = [[], ["x"], ["y"], [1], [1, "x"]]
SCALARS = [ABSENT, None, -1, 0, 1, 1.5, 2, 3, "x", "y", "xy", "", "0", "1", "2", "3", True, False, *ARRAYS, {}]
ELEMENTS = [None, -1, 0, 1, 1.5, 2, 3, "x", "y", "xy", True, False, "0", "1", "2", "3", *ARRAYS]
POSITIONS = [None, 0, 1, 2, 7, "x", "y", True]
DOMAIN: dict[str, list[Any]] = {
    "m": [
        *(ABSENT, 0, 1, 2, 7, "x", "y", "xy", True, {}),
        *(list(each) for size in range(3) for each in itertools.product(POSITIONS, repeat=size)),
        *(list(each) for each in itertools.product([None, 0, 1, 2, "x"], repeat=3)),
        *({"0": one, "*": other} for one in POSITIONS for other in POSITIONS),
    ],
    "a": [
        *SCALARS,
        *({"k": each} for each in (0, 1, 1.5, 2, 3, "x", "y", "xy", "0", "1", "2", "3", True, False, *ARRAYS)),
    ],
    "b": SCALARS,
    "l": [
        *(ABSENT, "x", [], {"*": 1}, {"*": 3}, {"*": "x"}, {"*": "y"}, {}),
        *([each] for each in ELEMENTS),
        *(list(each) for each in itertools.combinations(ELEMENTS, 2)),
        *([1, 3, "y"], [2, "x", None], [1, "x", 3]),
    ],
}
"""Every value that a condition of the pool below can tell from another, and more."""

Draw: TypeAlias = Any
Document: TypeAlias = dict[str, Any]
Directions: TypeAlias = frozenset[str]


@st.composite
def conditions(draw: Draw, members: Sequence[str]) -> Document:
    if members == ("m",):
        op, value = draw(
            st.sampled_from([("eq", 1), ("neq", "x"), ("contains", 1), ("contains", "x"), ("exists", True)])
        )
        places = ["args.m"] if op == "contains" else ["args.m", "args.m.0", "args.m.*"]
        return {"path": draw(st.sampled_from(places)), "op": op, "value": value}
    path = f"args.{draw(st.sampled_from([{'a': 'a', 'b': 'b', 'l': 'l.*'}[each] for each in members]))}"
    if path == "args.a" and draw(st.integers(0, 4)) == 0:
        path = "args.a.k"
    op = draw(
        st.sampled_from(["gt", "gt", "gte", "lt", "lte", "eq", "neq", "in", "not_in", "regex", "contains", "exists"])
    )
    value: Any = draw(st.sampled_from([1, 2]))
    if op == "exists":
        value = draw(st.booleans())
    elif op == "regex":
        value = draw(st.sampled_from(["x", "^x$", "^[xy]$"]))
    elif op in ("in", "not_in"):
        value = draw(st.sampled_from([[1], ["x"], [1, "x"], []]))
    elif op in ("eq", "neq"):
        value = draw(st.sampled_from([1, 2, "x", True]))
    elif op == "contains":
        value = draw(st.sampled_from([1, "x"]))
    as_number = op in ("gt", "gte", "lt", "lte") and draw(st.integers(0, 5)) == 0
    return {"path": path, "op": op, "value": value, **({"as": "number"} if as_number else {})}


@st.composite
def sections(draw: Draw, members: Sequence[str], counted: bool) -> Document:
    made: Document = {}
    for kind, most in (("require", 1), ("deny_if", 2), ("require_approval", 1)):
        count = draw(st.integers(0, most))
        if count:
            made[kind] = [
                {"conditions": draw(st.lists(conditions(members), min_size=1, max_size=2))} for _ in range(count)
            ]
    if counted:
        made["limits"] = draw(st.lists(limits(), max_size=2, unique_by=lambda limit: limit["counter"]))
    return made


@st.composite
def limits(draw: Draw) -> Document:
    counter = draw(st.sampled_from(["c", "d", "spend"]))
    scope = draw(st.sampled_from(["grant", "grant", "session", "server"]))
    window = draw(st.sampled_from(["minute", "minute", "hour"]))
    more = {"increment_from": "args.b"} if counter == "spend" else {}
    return {"counter": counter, "window": window, "max": draw(st.integers(0, 2)), "scope": scope, **more}


@st.composite
def documents(draw: Draw, members: Sequence[str], counted: bool) -> Document:
    tools = {name: draw(sections(members, counted)) for name in draw(st.sampled_from([["t"], ["t", "u"]]))}
    made: Document = {"version": "1", "default": draw(st.sampled_from(["deny", "allow"])), "tools": tools}
    if draw(st.integers(0, 3)) == 0:
        made["all_tools"] = draw(sections(members, counted and draw(st.booleans())))
    if draw(st.integers(0, 5)) == 0:
        made["hide"] = [draw(st.sampled_from(["t", "u", "*"]))]
    return made


@st.composite
def pairs(draw: Draw) -> tuple[Document, Document, tuple[str, ...]]:
    """Two policies, mostly alike, and the arguments that they look at."""
    members = draw(st.sampled_from([("a",), ("b",), ("l",), ("m",), ("a", "b")]))
    counted = members not in (("l",), ("m",)) and draw(st.booleans())
    old = draw(documents(members, counted))
    other = draw(documents(members, counted))
    new = json.loads(json.dumps(old))
    part = draw(st.sampled_from(["all", "tools", "rules", "rules", "number", "number", "nothing"]))
    if part == "all":
        new = other
    elif part == "tools":
        new["tools"] = other["tools"]
    elif part == "rules":
        name = draw(st.sampled_from(sorted({kind for tool in other["tools"].values() for kind in tool} | {"deny_if"})))
        new["tools"]["t"].pop(name, None)
        new["tools"]["t"] |= {name: other["tools"]["t"][name]} if name in other["tools"]["t"] else {}
    elif part == "number":
        changed(new, draw(st.integers(0, 5)), draw(st.integers(0, 2)))
    return old, new, (*members, *({"b"} - set(members) if counted else ()))


def changed(document: Any, at: int, number: int) -> None:
    """Sets one of the numbers in the rules."""
    places = [
        (node, name)
        for node in nodes(document)
        for name in ("value", "max")
        if isinstance(node.get(name), int) and not isinstance(node[name], bool)
    ]
    if places:
        node, name = places[at % len(places)]
        node[name] = number


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(each)


def drawn(count: int, *, again: bool) -> list[tuple[Document, Document, tuple[str, ...]]]:
    found = []

    @settings(
        max_examples=6 * count,
        derandomize=again,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(pairs())
    def take(pair: tuple[Document, Document, tuple[str, ...]]) -> None:
        found.append(pair)

    take()
    alike = [pair for pair in found if program(pair[0]) == program(pair[1])]
    differing = [pair for pair in found if program(pair[0]) != program(pair[1])]
    return [*alike[: count // 10], *differing[::-1]][:count]


def program(document: Document) -> Program:
    return parse(json.dumps(document).encode())


# Every call, and every short sequence of calls.


def calls(members: Sequence[str]) -> list[bytes]:
    return [
        json.dumps({name: value for name, value in zip(members, values, strict=True) if value is not ABSENT}).encode()
        for values in itertools.product(*(DOMAIN[member] for member in members))
    ]


async def answers(
    client: OpaClient, policy: str, tool: str, asked: Sequence[bytes], approved: bool | None
) -> list[Decision]:
    asker = Asker(policy=policy, server="s", grant="g")
    queries = [asker.call(tool, each, approved=approved) for each in asked]
    found: list[Decision] = []
    for start in range(0, len(queries), 300):
        for each in await client.decide_together(queries[start : start + 300]):
            assert isinstance(each, Decision)
            found.append(each)
    return found


def outcome(decision: Decision) -> str:
    """What becomes of the call when nothing was counted before it."""
    fits = all(sum(limit.amounts) <= limit.max for limit in decision.limits)
    return decision.outcome if fits or decision.outcome != "allow" else "deny"


async def by_calls(
    client: OpaClient, names: tuple[str, str], tool: str, asked: Sequence[bytes], asks: bool
) -> Directions:
    found = set()
    for approved in (None, True, False) if asks else (None,):
        both = [await answers(client, name, tool, asked, approved) for name in names]
        for old, new in zip(*both, strict=True):
            change = ORDER.index(outcome(new)) - ORDER.index(outcome(old))
            found |= {"looser"} if change > 0 else {"stricter"} if change < 0 else set()
    return frozenset(found)


@asynccontextmanager
async def counters(folder: Path) -> AsyncIterator[SqliteCounters]:
    database = open_database(folder, "state")
    try:
        yield SqliteCounters(database)
    finally:
        await database.close()


class Sequences:
    """Every sequence of at most two calls before one that shows a difference, through the counters themselves.

    Two are enough: no maximum is above 2, and no call that counts adds less than 1 where it could add that."""

    def __init__(
        self, old: SqliteCounters, new: SqliteCounters, moves: Sequence[tuple[str, Sequence[Limit], Sequence[Limit]]]
    ) -> None:
        self.stores = (old, new)
        scopes = {limit.scope for _, *both in moves for side in both for limit in side}
        people = [
            (grant, session)
            for grant in ("g", "h")[: 1 + ("server" in scopes)]
            for session in ("s", "z")[: 1 + ("session" in scopes)]
        ]
        self.steps = [(at, who, move) for at in (0, 60) for who in people for move in moves]
        self.found: dict[str, set[str]] = {}

    async def look(self, first: int = 0, depth: int = 2) -> None:
        for at in range(len(self.steps)):
            second, (grant, session), (tool, *both) = self.steps[at]
            if self.steps[first][0] > second:
                continue
            now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
            taken = [
                await store.reserve(claims(list(side), "s", grant, session, now))
                for store, side in zip(self.stores, both, strict=True)
            ]
            passed = [not isinstance(each, Refused) for each in taken]
            if passed[0] != passed[1]:
                self.found.setdefault(tool, set()).add("stricter" if passed[0] else "looser")
            elif all(passed) and depth and at >= first:
                await self.look(at, depth - 1)
            for store, each in zip(self.stores, taken, strict=True):
                if not isinstance(each, Refused):
                    await store.rollback(each, now)


async def by_sequences(
    client: OpaClient, names: tuple[str, str], tools: Sequence[str], asked: Sequence[bytes], folder: Path
) -> dict[str, set[str]]:
    moves: dict[object, tuple[str, Sequence[Limit], Sequence[Limit]]] = {}
    for tool in tools:
        both = [await answers(client, name, tool, asked, True) for name in names]
        for old, new in zip(*both, strict=True):
            if old.outcome == new.outcome == "allow" and (old.limits or new.limits):
                amounts = [[str(limit.amounts) for limit in side.limits] for side in (old, new)]
                moves.setdefault((tool, str(amounts)), (tool, old.limits, new.limits))
    async with counters(folder / "old") as old, counters(folder / "new") as new:
        sequences = Sequences(old, new, list(moves.values()))
        if sequences.steps:
            await sequences.look()
        return sequences.found


def verdict(found: ToolDiff) -> Directions:
    return frozenset(
        {"equivalent": (), "looser": ("looser",), "stricter": ("stricter",), "both": ("looser", "stricter")}[
            found.verdict
        ]
    )


async def test_verdict_is_that_of_trying_every_call(
    opa_path: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    count = pytestconfig.getoption("pairs") or 0
    drawn_pairs = drawn(count or FEW_PAIRS, again=not count)
    programs = [(program(old), program(new)) for old, new, _ in drawn_pairs]
    named = {
        f"{side} {at}": each
        for at, pair in enumerate(programs)
        for side, each in zip(("old", "new"), pair, strict=True)
    }
    tally: Counter[str] = Counter()
    async with judging(build(named), opa_path) as client:
        for at, (old, new) in enumerate(programs):
            diff = await compare(old, new, ["listed"], opa_path)
            by_tool = {each.tools[-1]: each for each in diff.tools}
            asks = "require_approval" in json.dumps(drawn_pairs[at][:2])
            asked = calls(drawn_pairs[at][2])
            names = (f"old {at}", f"new {at}")
            counted = await by_sequences(client, names, list(by_tool), asked, tmp_path / str(at))
            for tool, each in by_tool.items():
                wanted = await by_calls(client, names, tool, asked, asks) | counted.get(tool, set())
                tally[each.verdict] += 1
                tally["undecided"] += bool(each.open)
                told = f"{tool}: {each}\n{json.dumps(drawn_pairs[at][0])}\n{json.dumps(drawn_pairs[at][1])}"
                assert verdict(each) <= wanted <= verdict(each) | set(each.open), told
    LOG.info("%s pairs: %s", len(programs), tally)
    assert tally["undecided"] * 4 < tally.total()


# Single verdicts.


def one(**tool: Any) -> Document:
    return {"version": "1", "default": "deny", "tools": {"t": tool}}


def when(op: str, value: Any, path: str = "args.a", **more: Any) -> Document:
    return {"conditions": [{"path": path, "op": op, "value": value, **more}]}


def limit(most: float, window: Any = "minute", counter: str = "c", **more: Any) -> Document:
    return {"counter": counter, "window": window, "max": most, **more}


SPEND = {"increment_from": "args.a"}


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (one(deny_if=[when("gt", 500)]), one(deny_if=[when("gt", 600)]), "looser"),
        (one(deny_if=[when("gt", 500)]), one(deny_if=[{**when("gt", 500.0), "name": "n"}]), "equivalent"),
        (one(deny_if=[when("gt", 5)]), one(require=[when("lte", 5)]), "stricter"),
        (one(require=[when("lte", 5)]), one(require=[when("lte", 5), when("exists", True)]), "equivalent"),
        (one(deny_if=[when("gt", 9007199254740992)]), one(deny_if=[when("gt", 9007199254740993)]), "looser"),
        (one(deny_if=[when("in", ["x"])]), one(deny_if=[when("eq", "x")]), "equivalent"),
        (one(deny_if=[when("eq", 1)]), one(deny_if=[when("eq", 2)]), "both"),
        (one(deny_if=[when("gt", 5, **{"as": "number"})]), one(deny_if=[when("gt", 5)]), "stricter"),
        (one(deny_if=[{"conditions": []}]), one(require_approval=[{}]), "looser"),
        (one(require_approval=[{}]), one(), "looser"),
        (one(), {"version": "1", "default": "deny"}, "stricter"),
        (one(), {**one(), "hide": ["t"]}, "stricter"),
        (one(limits=[limit(10)]), one(limits=[limit(10), limit(600, "hour", "d")]), "equivalent"),
        (one(limits=[limit(10)]), one(limits=[limit(10), limit(599, "hour", "d")]), "stricter"),
        (one(limits=[limit(10)]), one(limits=[limit(10, 60)]), "equivalent"),
        (one(limits=[limit(10)]), one(limits=[limit(10, scope="session")]), "looser"),
        (one(limits=[limit(5, increment=2)]), one(limits=[limit(4, increment=2)]), "equivalent"),
        (one(limits=[limit(10, **SPEND)]), one(limits=[limit(10.5, **SPEND)]), "looser"),
        (one(limits=[limit(10, **SPEND)]), one(), "looser"),
        (one(deny_if=[{"conditions": []}], limits=[limit(1)]), one(deny_if=[{"conditions": []}]), "equivalent"),
        (one(limits=[limit(10, **SPEND)], require_approval=[{}]), one(require_approval=[{}]), "looser"),
        (one(limits=[limit(10, **SPEND)]), one(limits=[limit(10, **SPEND)], deny_if=[when("gt", 20)]), "equivalent"),
        (one(limits=[limit(10, **SPEND)]), one(limits=[limit(10, **SPEND)], deny_if=[when("gt", 9)]), "stricter"),
        (one(limits=[limit(0)]), one(deny_if=[{"conditions": []}]), "equivalent"),
        (one(limits=[limit(0)], deny_if=[when("gt", 5)]), one(limits=[limit(0)]), "equivalent"),
        (one(limits=[limit(5, increment=6)]), {"version": "1", "default": "deny"}, "equivalent"),
    ],
)
async def test_verdict_of_a_single_change(old: Document, new: Document, wanted: str, opa_path: Path) -> None:
    found = (await compare(program(old), program(new), opa=opa_path)).tools[0]
    assert (found.verdict, found.open) == (wanted, ())


async def test_a_tool_left_alone_changes_when_another_no_longer_shares_its_counter(opa_path: Path) -> None:
    def shared(counter: str) -> Program:
        return program({**one(), "tools": {"t": {"limits": [limit(5)]}, "u": {"limits": [limit(5, counter=counter)]}}})

    found = {each.tools: each for each in (await compare(shared("c"), shared("d"), opa=opa_path)).tools}
    assert found[("t",)].verdict == "looser"
    looser = found[("t",)].looser
    assert looser is not None
    assert (looser.before[0].tool, looser.before[0].times) == ("u", 5)


async def test_a_pattern_that_could_not_be_tried_leaves_the_verdict_open(opa_path: Path) -> None:
    old, new = (one(require=[when("regex", pattern)]) for pattern in (r"^\p{Greek}$", r"^\p{Cyrillic}$"))
    found = (await compare(program(old), program(new), opa=opa_path)).tools[0]
    assert (found.verdict, found.open) == ("equivalent", ("looser", "stricter"))
    assert found.undecided == (r'regex "^\\p{Greek}$" and "^\\p{Cyrillic}$": not every text could be tried',)


async def test_a_pattern_that_stays_leaves_nothing_open(opa_path: Path) -> None:
    pattern = when("regex", "^[a-z]+$", "args.b")
    old, new = (one(require=[pattern], deny_if=[when("gt", most)]) for most in (5, 6))
    found = (await compare(program(old), program(new), opa=opa_path)).tools[0]
    assert (found.verdict, found.open) == ("looser", ())


async def test_windows_that_do_not_nest_leave_limits_open(opa_path: Path) -> None:
    old, new = one(limits=[limit(10, 90)]), one(limits=[limit(10, 90), limit(1000, 400, "d")])
    found = (await compare(program(old), program(new), opa=opa_path)).tools[0]
    assert (found.verdict, found.open) == ("equivalent", ("stricter",))
    assert "sequence of calls" in found.undecided[0]


async def test_policies_that_say_the_same_are_compared_without_opa() -> None:
    found = await compare(program(one()), program({**one(), "description": "x"}), ["other"], Path("no opa"))
    assert [(each.tools, each.verdict) for each in found.tools] == [
        (("t",), "equivalent"),
        (("other", found.stranger), "equivalent"),
    ]
    assert found.asked == 0


async def test_the_stranger_is_a_tool_that_nobody_names(opa_path: Path) -> None:
    plain = (await compare(program(one()), program(one()))).stranger
    again = await compare(program(one()), program({"version": "1", "default": "allow", "hide": [plain]}), opa=opa_path)
    assert again.stranger != plain
    assert {each.verdict for each in again.tools if again.stranger in each.tools} == {"looser"}
