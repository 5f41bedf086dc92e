import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar import checkup

ROOT = Path(__file__).parents[3]
Regate = Callable[..., Any]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[checkup.Wanted]:
    """What was asked; the answer is that all is well, unless it is asked at http://ill."""
    found: list[checkup.Wanted] = []

    def check(wanted: checkup.Wanted) -> tuple[bool, str]:
        found.append(wanted)
        return wanted.url != "http://ill", "a line\x1b[2J"

    monkeypatch.setattr(checkup, "check", check)
    return found


def test_health_says_a_line_and_has_an_exit_code(regate: Regate, asked: list[checkup.Wanted]) -> None:
    done = regate("health", "--url", "http://well", "--live")
    assert (done.code, done.out, done.err) == (0, "regate: a line\\u001b[2J\n", "")
    done = regate("health", "--url", "http://ill")
    assert (done.code, done.out, done.err) == (1, "", "regate: a line\\u001b[2J\n")
    assert asked == [checkup.Wanted("http://well", live=True), checkup.Wanted("http://ill")]


def test_health_without_a_url_asks_on_the_state_directory(
    regate: Regate, asked: list[checkup.Wanted], tmp_path: Path
) -> None:
    assert regate("health", "--state", "here").code == 0
    assert asked == [checkup.Wanted(state=tmp_path / "here")]


@pytest.mark.parametrize("url", ["h", "http://"])
def test_health_of_no_url_is_wrong_usage(url: str, regate: Regate) -> None:
    done = regate("health", "--url", url)
    assert done.code == 2
    assert "--url: must be an http:// or https:// URL" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--help"], 0, "Ask a gateway how it is"),
        (["--nonsense"], 2, "No such option"),
        (["--url", "nowhere"], 2, "--url: must be"),
        (["--state", "/nowhere/at/all"], 1, "no gateway runs on /nowhere/at/all"),
    ],
)
def test_health_as_a_process_says_the_same_by_both_ways(arguments: list[str], code: int, told: str) -> None:
    command = [sys.executable, "-m", "sidecar", "health", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert told in done.stdout + done.stderr


def test_health_of_a_gateway_that_is_gone_is_exit_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "sidecar", "health", "--url", url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"regate: {url} does not answer: connection refused\n",
    )
