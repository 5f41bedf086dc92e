import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar.errors import StoreError
from sidecar.sources.kept import FOLDER, Kept

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
URL = "https://h/b.tar.gz?signature=secret"


def kept(state: Path) -> Kept:
    """One that has kept a bundle of serial 7."""
    made = Kept(state, URL)
    assert made.load() is None
    made.raise_to(7)
    made.keep(b"seven", '"7"', NOON)
    return made


def note(state: Path) -> Path:
    (path,) = (state / FOLDER).glob("*.json")
    return path


def test_kept_bundle_survives_with_its_serial(tmp_path: Path) -> None:
    kept(tmp_path)
    again = Kept(tmp_path, URL)
    assert again.load() == b"seven"
    assert (again.serial, again.mark, again.checked_at) == (7, '"7"', NOON)


def test_kept_files_are_private_and_hold_no_secret(tmp_path: Path) -> None:
    kept(tmp_path)
    files = list((tmp_path / FOLDER).iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert not any("secret" in file.name or b"secret" in file.read_bytes() for file in files)


def test_kept_sources_have_nothing_in_common(tmp_path: Path) -> None:
    kept(tmp_path)
    other = Kept(tmp_path, "https://h/other.tar.gz")
    assert other.load() is None
    assert other.serial is None


def test_kept_serial_never_falls(tmp_path: Path) -> None:
    made = kept(tmp_path)
    made.raise_to(6)
    made.raise_to(None)
    assert made.serial == 7


def test_kept_serial_of_another_gateway_on_the_same_state_counts(tmp_path: Path) -> None:
    made, other = kept(tmp_path), Kept(tmp_path, URL)
    other.load()
    other.raise_to(9)
    other.keep(b"nine", '"9"', NOON)
    made.checked('"7"', NOON)
    assert made.serial == 9
    again = Kept(tmp_path, URL)
    assert (again.load(), again.serial) == (b"nine", 9)
    assert again.mark == "", "the mark is of another bundle than the one that lies there"


def test_kept_check_is_noted_without_the_bundle(tmp_path: Path) -> None:
    made = kept(tmp_path)
    made.checked('"7b"', datetime(2026, 11, 21, 13, tzinfo=UTC))
    again = Kept(tmp_path, URL)
    assert again.load() == b"seven"
    assert (again.mark, again.checked_at) == ('"7b"', datetime(2026, 11, 21, 13, tzinfo=UTC))


def test_kept_serial_stays_when_the_bundle_is_gone(tmp_path: Path) -> None:
    kept(tmp_path)
    next((tmp_path / FOLDER).glob("*.tar.gz")).unlink()
    again = Kept(tmp_path, URL)
    assert again.load() is None
    assert (again.serial, again.mark) == (7, "")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"serial": 1}', '{"serial": "1"}', "\xff", "[" * 10_000])
def test_kept_damaged_note_is_an_error_and_not_forgotten(tmp_path: Path, text: str) -> None:
    kept(tmp_path)
    note(tmp_path).write_text(text)
    with pytest.raises(StoreError, match="is damaged: which serial was in force before is not known") as error:
        Kept(tmp_path, URL).load()
    assert "delete the file" in error.value.hint


def test_kept_note_of_an_impossible_time_is_damaged(tmp_path: Path) -> None:
    kept(tmp_path)
    found = json.loads(note(tmp_path).read_text())
    note(tmp_path).write_text(json.dumps(found | {"checked_at": 1e300}))
    with pytest.raises(StoreError, match="damaged"):
        Kept(tmp_path, URL).load()


def test_kept_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    kept(tmp_path)
    bundle = next((tmp_path / FOLDER).glob("*.tar.gz"))
    bundle.unlink()
    bundle.mkdir()
    with pytest.raises(StoreError, match="cannot be read: is a directory"):
        Kept(tmp_path, URL).load()
    path = note(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be read: is a directory"):
        Kept(tmp_path, URL).load()


def test_keep_where_nothing_can_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("")
    with pytest.raises(StoreError, match="cannot be"):
        Kept(tmp_path, URL).keep(b"x", "", NOON)
