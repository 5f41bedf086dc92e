import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest

from examples import demo, gateway

ROOT = Path(demo.__file__).parents[1]
MARK = "REGATE_TEST_MARK"


def _marked(mark: str) -> list[str]:
    left = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                left.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return left


def _demo(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.opa
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_demo_passes_and_leaves_no_process_behind() -> None:
    mark = uuid.uuid4().hex
    done = _demo({MARK: mark})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Every answer was the one wanted.\n")
    assert done.stdout.count("stand-in under examples/seeds/") == len(demo.SEEDS)
    assert "git_log(repo_path, max_count)" in done.stdout
    assert _marked(mark) == []


def test_demo_whose_gateway_does_not_start_says_so_and_ends(tmp_path: Path) -> None:
    done = _demo({"REGATE_OPA": str(tmp_path / "nothing")})
    assert done.returncode == 1
    assert "REGATE_OPA names" in done.stderr
    assert "Traceback" not in done.stderr


def test_gateway_that_ends_at_once_is_not_ready_and_its_words_are_kept(tmp_path: Path) -> None:
    with (
        pytest.raises(gateway.NotReady, match=r"nothing\.json"),
        gateway.running(tmp_path / "nothing.json", [], tmp_path),
    ):
        pass
