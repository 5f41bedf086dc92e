import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench import report, stage

ROOT = Path(bench.__file__).parents[1]


@pytest.mark.opa
@pytest.mark.slow
def test_bench_in_its_short_form_prints_every_row(tmp_path: Path) -> None:
    short = ["--only", "calls", "--seconds", "0.1", "--rounds", "1"]
    command = [sys.executable, "-m", "bench", *short, "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line for line in done.stdout.splitlines() if line.startswith("| tools/")]
    assert len(rows) == 4 * len(report.TARGETS) + 1
    assert "nan" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_load_that_gets_a_wrong_answer_ends_the_bench(tmp_path: Path) -> None:
    with stage._service("upstream", str(stage.CATALOGUE), folder=tmp_path) as (_, port):
        direct = stage.Target("direct", f"http://127.0.0.1:{port}/mcp")
        assert stage.send(direct, stage.CALL, 2, 0.05, tmp_path).wrong == 0
        strange = stage.Work("tools/call", stage.CALL.body, "an answer nobody gives")
        with pytest.raises(RuntimeError, match="answers were wrong"):
            stage.send(direct, strange, 2, 0.05, tmp_path)
