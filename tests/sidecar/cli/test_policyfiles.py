import os
from pathlib import Path

import pytest

from sidecar.cli.policyfiles import by_id
from sidecar.cli.terminal import Usage


def test_policy_has_the_name_of_its_file_as_its_id() -> None:
    assert by_id([Path("a/one.json"), Path("a/one.json"), Path("two")]) == {
        "one": Path("a/one.json"),
        "two": Path("two"),
    }


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a/one.json", "b/one.json"], "a/one.json and b/one.json would have the same id, one; rename one"),
        ([os.fsdecode(b"\xff.json")], "must be UTF-8; rename it"),
    ],
)
def test_name_that_is_no_id_of_its_own_is_refused(paths: list[str], message: str) -> None:
    with pytest.raises(Usage, match=message):
        by_id([Path(path) for path in paths])
