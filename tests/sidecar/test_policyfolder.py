from pathlib import Path

import pytest

from sidecar import policyfolder
from sidecar.errors import SettingsError


def test_files_are_the_json_ones_by_their_names(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", ".hidden.json", "a.json~", "notes.md", "x.y.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "c.json").write_text("{}")
    found = policyfolder.files(tmp_path)
    assert found == {"a": tmp_path / "a.json", "b": tmp_path / "b.json", "x.y": tmp_path / "x.y.json"}


def test_files_of_a_configmap_are_those_of_one_copy(tmp_path: Path) -> None:
    for version in ("..2026_1", "..2026_2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.json").write_text(version)
    (tmp_path / "..2026_2" / "b.json").write_text("new")
    (tmp_path / "a.json").symlink_to("..data/a.json")
    (tmp_path / "..data").symlink_to("..2026_1")
    before = policyfolder.files(tmp_path)
    assert {id_: path.read_text() for id_, path in before.items()} == {"a": "..2026_1"}
    (tmp_path / "..data_tmp").symlink_to("..2026_2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert {id_: path.read_text() for id_, path in policyfolder.files(tmp_path).items()} == {
        "a": "..2026_2",
        "b": "new",
    }
    assert before["a"].read_text() == "..2026_1", "what was listed before is read from the copy of before"


def test_files_of_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gone cannot be read: no such file"):
        policyfolder.files(tmp_path / "gone")


@pytest.mark.parametrize("name", ["a b.json", "é.json", f"{'x' * 129}.json"])
def test_files_name_that_cannot_be_an_id_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(SettingsError, match="cannot be a policy's id"):
        policyfolder.files(tmp_path)


def test_files_too_many_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policyfolder, "_FILES", 1)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(SettingsError, match="more than 1 policies"):
        policyfolder.files(tmp_path)
