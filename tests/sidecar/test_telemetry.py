import io
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from sidecar import telemetry


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_log_to_a_pipe_is_json_lines() -> None:
    out = io.StringIO()
    telemetry.configure("info", out)
    log = structlog.get_logger("x")
    log.debug("not this")
    log.warning("this", server="git")
    (line,) = out.getvalue().splitlines()
    entry = json.loads(line)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": "this", "level": "warning", "server": "git"}


def test_log_to_a_terminal_is_text() -> None:
    out = Terminal()
    telemetry.configure("debug", out)
    structlog.get_logger().debug("hello", server="git")
    assert "hello" in out.getvalue()
    assert not out.getvalue().startswith("{")


@pytest.mark.parametrize("given", [True, "the error"])
def test_log_of_an_exception_names_its_kind_and_nothing_of_its_text(given: object) -> None:
    out = io.StringIO()
    telemetry.configure("info", out)
    try:
        raise ValueError("s3cret")
    except ValueError as error:
        structlog.get_logger().error("failed", exc_info=error if given == "the error" else given)
    assert json.loads(out.getvalue())["error"] == "ValueError"
    assert "s3cret" not in out.getvalue()


def test_log_whose_reader_left_raises_nothing() -> None:
    telemetry.configure("info", Gone())
    structlog.get_logger().error("nobody reads this")


def test_configure_in_a_fresh_process_loads_no_rich() -> None:
    program = "import sys; from sidecar import telemetry; telemetry.configure(); sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_log_is_of_the_form_that_is_asked_for_wherever_it_goes() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    telemetry.configure("info", terminal, form="json")
    telemetry.log().info("hello", server="git")
    assert json.loads(terminal.getvalue())["event"] == "hello"
    structlog.reset_defaults()
    telemetry.configure("info", pipe, form="text")
    telemetry.log().info("hello", server="git")
    assert "hello" in pipe.getvalue()
    assert not pipe.getvalue().startswith("{")
    assert "\x1b" not in pipe.getvalue()


def test_log_line_says_what_it_is_about_and_its_own_words_count() -> None:
    out = io.StringIO()
    telemetry.configure("info", out, about=lambda: {"server": "git", "grant": "alice"})
    telemetry.log().info("hello", server="web")
    entry = json.loads(out.getvalue())
    assert (entry["server"], entry["grant"]) == ("web", "alice")
