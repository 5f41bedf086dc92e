from pathlib import Path

import typer
from typer.testing import CliRunner

from sidecar.cli.flags import of_single
from sidecar.cli.single import ListOf, Single


def test_command_of_a_single_takes_its_flags_beside_its_own(tmp_path: Path) -> None:
    (tmp_path / "p.json").touch()
    made: list[tuple[Single, int]] = []

    def count(single: Single, times: int = 1) -> None:
        """Counts."""
        made.append((single, times))

    app = typer.Typer()
    app.command("count", context_settings={"allow_interspersed_args": False})(of_single(count))
    options = ["--policy", str(tmp_path / "p.json"), "--state", str(tmp_path), "--list", "callable", "--env", "A=b"]
    told = CliRunner().invoke(app, [*options, "--times", "3", "--", "server", "-v"])
    assert told.exit_code == 0, told.output
    ((single, times),) = made
    assert (times, single.policy, single.state) == (3, tmp_path / "p.json", tmp_path)
    assert (single.command, single.env, single.list_of) == (["server", "-v"], ["A=b"], ListOf.callable)
    assert "Counts." in CliRunner().invoke(app, ["--help"]).output
    assert CliRunner().invoke(app, ["--policy", str(tmp_path / "no")]).exit_code == 2
