import os
from pathlib import Path

import pytest

from sidecar.cli import files


def test_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert files.read(tmp_path / "a") == b"x"
    (tmp_path / "folder").mkdir()
    with pytest.raises(files.FileFailed, match=r"folder cannot be read: is a directory$"):
        files.read(tmp_path / "folder")


def test_file_without_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    with pytest.raises(files.FileFailed, match=r"/dev/zero cannot be read: it is larger than 1000 bytes"):
        files.read(Path("/dev/zero"))


def test_file_that_is_new_gets_the_usual_mode(tmp_path: Path) -> None:
    files.write(tmp_path / "new", b"x")
    (tmp_path / "usual").write_bytes(b"")
    assert (tmp_path / "new").read_bytes() == b"x"
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_file_that_is_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.write(pipe, b"x")
        assert os.read(reader, 9) == b"x"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_file_that_cannot_be_written_is_told_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(files.FileFailed, match=r"folder cannot be written: "):
        files.write(tmp_path / "folder", b"x")
    with pytest.raises(files.FileFailed, match="cannot be written: no such file or directory"):
        files.write(tmp_path / "none" / "a", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_file_is_made_only_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert files.create(tmp_path / "new", b"x")
    assert not files.create(tmp_path / "new", b"y")
    assert not files.create(tmp_path / "link", b"y")
    assert (tmp_path / "new").read_bytes() == b"x"
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "new", "usual"]
    with pytest.raises(files.FileFailed, match="cannot be written: no such file or directory"):
        files.create(tmp_path / "none" / "a", b"x")
