import pytest

import sidecar.cli
from sidecar.__main__ import main


def test_interrupt_before_a_command_began_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.argv", ["regate", "status"])
    monkeypatch.setattr(sidecar.cli, "main", interrupted)
    assert main() == 130
    assert capfd.readouterr() == ("", "")
