from pathlib import Path

import pytest

from sidecar.cli import files


def test_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert files.read(tmp_path / "a") == b"x"
    (tmp_path / "folder").mkdir()
    with pytest.raises(files.FileFailed, match=r"folder cannot be read: is a directory$"):
        files.read(tmp_path / "folder")
