from pathlib import Path

import pytest

from sidecar.cli import files
from sidecar.cli.inventories import inventory
from sidecar.cli.terminal import Usage


def test_inventory_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "tools.json").write_text('{"tools": [{"name": "a"}]}', encoding="utf-8")
    assert list(inventory(tmp_path / "tools.json").tools) == ["a"]


def test_inventory_that_is_none_is_wrong_usage_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tools.json").write_text("{}", encoding="utf-8")
    with pytest.raises(Usage, match="is no list of tools"):
        inventory(tmp_path / "tools.json")
    assert 'tools.json:1:1: lacks the member "tools"' in capsys.readouterr().err
    (tmp_path / "tools.json").write_text("\n", encoding="utf-8")
    with pytest.raises(Usage, match="is no list of tools"):
        inventory(tmp_path / "tools.json")
    assert "tools.json:1:1: the list of tools is empty\n  hint: save the whole result" in capsys.readouterr().err
    with pytest.raises(files.FileFailed):
        inventory(tmp_path / "none.json")
