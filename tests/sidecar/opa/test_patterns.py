import stat
from pathlib import Path

import pytest

from sidecar.errors import CannotDecide
from sidecar.opa.patterns import refused


def test_pattern_that_go_cannot_compile_is_refused(opa_path: Path) -> None:
    """Look-ahead, a back-reference, an open group, too large a count; `\\C` is what RE2 takes and Go does not."""
    bad = ["(?=a)", r"(a)\1", "(", r"\C", "a{1001}"]
    good = ["a", "", "^é$", r"\pL", '"', "\n", "\x00", "`${x}`"]
    assert refused(opa_path, [*good, *bad]) == bad
    assert refused(opa_path, good) == []


def test_without_patterns_nobody_is_asked() -> None:
    assert refused(Path("absent"), []) == []


@pytest.mark.parametrize("script", ["exit 1", "echo no", "echo '{}'"])
def test_opa_that_does_not_answer_cannot_decide(tmp_path: Path, script: str) -> None:
    fake = tmp_path / "opa"
    fake.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n", encoding="utf-8")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(CannotDecide, match="does not say whether"):
        refused(fake, ["a"])
    with pytest.raises(CannotDecide, match="does not say whether"):
        refused(tmp_path / "absent", ["a"])
