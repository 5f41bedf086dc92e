import json
from pathlib import Path

import pytest

from bench.size import Found, Size, markdown, measured, policy
from translator import parse


def test_policies_of_the_bench_are_policies_and_differ() -> None:
    one, other = (json.dumps(policy(3, number)).encode() for number in range(2))
    assert parse(one) != parse(other)
    section = parse(one).tools["tool_002"]
    assert sum(len(guard.conditions) for guard in section.guards) == 5


@pytest.mark.opa
async def test_every_size_is_built_loaded_and_asked(tmp_path: Path) -> None:
    sizes = (Size(1, 2), Size(3, 2))
    found = await measured(sizes, 1, tmp_path)
    assert [each.size for each in found] == list(sizes)
    for each in found:
        assert min(each.build_s, each.build_mb, each.bundle_kb, each.start_s, each.opa_mb, each.p50_us) > 0
    assert "3 × 2" in markdown(found)


@pytest.mark.parametrize(("p50_us", "word"), [(150.0, "met"), (151.0, "missed")])
def test_goal_is_that_decisions_stay_flat(p50_us: float, word: str) -> None:
    one = Found(Size(1, 20), 1, 1, 1, 1, 1, 100.0)
    many = Found(Size(200, 20), 1, 1, 1, 1, 1, p50_us)
    other = Found(Size(1, 382), 1, 1, 1, 1, 1, 900.0)
    assert markdown([one, many, other]).splitlines()[-1].split("|")[4].strip() == word
