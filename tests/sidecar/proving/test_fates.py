import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import CannotDecide
from sidecar.proving.fates import Court, Fate, Reached, added, confirmed, reach, written
from sidecar.proving.oracle import judging
from sidecar.proving.parts import parts, section, side
from translator import Program, parse
from translator.boundary import ABSENT
from translator.bundle import build


def program(**tool: Any) -> Program:
    return parse(json.dumps({"version": "1", "default": "deny", "tools": {"t": tool}}).encode())


def when(op: str, value: Any, path: str = "args.a") -> dict[str, Any]:
    return {"conditions": [{"path": path, "op": op, "value": value}]}


@pytest.mark.parametrize(
    ("fate", "rank"),
    [
        (Fate(), 3),
        (Fate(asked=True), 2),
        (Fate(asked=True, uncounted=True), 1),
        (Fate(uncounted=True), 0),
        (Fate(denied=True), 0),
    ],
)
def test_rank_of_a_fate(fate: Fate, rank: int) -> None:
    assert fate.rank == rank


def test_fates_add_up_and_a_denial_covers_all() -> None:
    assert Fate(asked=True) | Fate(uncounted=True) == Fate(False, True, True)
    assert Fate(asked=True) | Fate(denied=True) == Fate(denied=True)


def test_parts_add_up_to_every_pair_of_fates_with_one_call_each() -> None:
    no, yes = Fate(denied=True), Fate()
    one = Reached({(yes, yes): {"a": True}, (no, yes): {"a": False}})
    other = Reached({(yes, yes): {}}, unseen={(yes, no): {}})
    assert added((yes, yes), [one, other]) == {(yes, yes): {"a": True}, (no, yes): {"a": False}}
    assert set(added((yes, yes), [one, other], unseen=True)) == {(yes, yes), (no, yes), (yes, no), (no, no)}
    assert set(added((no, yes), [one])) == {(no, yes)}


def test_absent_arguments_are_not_written() -> None:
    assert written({"a": ABSENT, "b": True}) == '{"b": true}'


async def reached(old: Program, new: Program, opa: Path) -> Reached:
    part = parts(side(old, "t"), side(new, "t"))[0]
    probes = {"old parts": part.old, "new parts": part.new}
    made = {name: Program("allow", (), {"0": section(items)}) for name, items in probes.items()}
    from sidecar.proving.fates import atom_names

    atoms = {name: section([item]) for name, item in atom_names(0, part).items()}
    async with judging(build({**made, "atoms": Program("allow", (), atoms)}), opa) as client:
        return await reach(Court(client), 0, part)


async def test_reach_finds_each_fate_of_a_part(opa_path: Path) -> None:
    limit = {"counter": "c", "window": "day", "max": 5, "increment_from": "args.a"}
    found = await reached(
        program(require_approval=[when("gt", 3)], limits=[limit]), program(deny_if=[when("gte", 9)]), opa_path
    )
    asked, both = Fate(asked=True), Fate(asked=True, uncounted=True)
    assert set(found.fates) == {
        (Fate(), Fate()),
        (asked, Fate()),
        (both, Fate()),
        (both, Fate(denied=True)),
        (Fate(uncounted=True), Fate()),
    }
    assert found.gap == ""
    assert len(found.passing) > 3


async def test_reach_says_what_it_could_not_try(opa_path: Path) -> None:
    found = await reached(program(require=[when("regex", r"\p{Greek}")]), program(), opa_path)
    assert "Greek" in found.gap
    assert set(found.unseen) == {(Fate(), Fate())}


async def test_reach_cuts_what_is_too_much(opa_path: Path) -> None:
    many = {"conditions": [{"path": f"args.m{n}", "op": "gt", "value": 1} for n in range(13)]}
    found = await reached(program(deny_if=[many]), program(), opa_path)
    assert "combinations" in found.gap


async def test_a_whole_that_is_not_the_sum_of_its_parts_is_an_error(opa_path: Path) -> None:
    async with judging(build({"old": program(), "new": program(require=["args.a"])}), opa_path) as client:
        await confirmed(Court(client), "t", (Fate(), Fate(denied=True)), {})
        with pytest.raises(CannotDecide):
            await confirmed(Court(client), "t", (Fate(), Fate()), {})
