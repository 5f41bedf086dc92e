import io
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from sidecar import telemetry
from sidecar.core.record import AuditRecord
from sidecar.telemetry import Tally, kind


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


def _record(outcome: str, rule: str = "", result: str = "") -> AuditRecord:
    return AuditRecord("", "s", "g", "tools/call", "t", (), "p", "r", outcome, rule, "", result)


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


@pytest.mark.parametrize(
    ("outcome", "rule", "expected"),
    [
        ("deny", "(hidden)", "hidden"),
        ("deny", "(default deny)", "default deny"),
        ("deny", "(unavailable)", "unavailable"),
        ("deny", "/tools/pay/deny_if/args.amount-gt", "deny_if"),
        ("deny", "/tools/a~1b/require/args.x-exists", "require"),
        ("deny", "/all_tools/limits/calls-per-minute", "limits"),
        ("approval_required", "/tools/pay/require_approval/always", "approval required"),
        ("deny", "/tools/pay", "unavailable"),
        ("deny", "", "unavailable"),
    ],
)
def test_kind_of_a_denial_comes_from_its_rule(outcome: str, rule: str, expected: str) -> None:
    assert kind(outcome, rule) == expected


def test_tally_counts_by_outcome_and_kind() -> None:
    tally = Tally()
    for record in (
        _record("allow", result="result"),
        _record("allow", result="unreachable"),
        _record("deny", "(hidden)"),
        _record("deny", "/tools/a/limits/x"),
        _record("deny", "/all_tools/limits/y"),
        _record("refused"),
    ):
        tally.count(record)
    tally.took(0.001)
    tally.took(0.003)
    assert tally.document() == {
        "allowed": 2,
        "denied": 3,
        "denied_by": {"hidden": 1, "limits": 2},
        "refused": 1,
        "upstream_failures": 1,
        "decisions": 2,
        "decision_ms": {"mean": 2.0, "max": 3.0},
    }


def test_tally_of_nothing_is_zeros() -> None:
    assert Tally().document()["decision_ms"] == {"mean": 0.0, "max": 0.0}
