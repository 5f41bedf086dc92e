import os
from pathlib import Path

import pytest

from sidecar.fetch import NotFetched
from sidecar.sources import archive
from sidecar.sources.file import FileSource
from sidecar.sources.source import Fetched, Unchanged


def aged(path: Path) -> None:
    """Makes a file look as if it had been written a while ago."""
    os.utime(path, ns=(path.stat().st_mtime_ns - 60_000_000_000,) * 2)


async def test_file_is_read_once_while_it_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    path.write_bytes(b"one")
    aged(path)
    source = FileSource(path, 1.0)
    found = await source.fetch("", wait=False)
    assert isinstance(found, Fetched)
    assert (found.data, found.waits) == (b"one", False)
    assert await source.fetch(found.mark, wait=True) == Unchanged()
    path.write_bytes(b"two")
    other = await source.fetch(found.mark, wait=False)
    assert isinstance(other, Fetched)
    assert other.data == b"two"
    await source.close()


async def test_file_written_just_now_is_read_again(tmp_path: Path) -> None:
    """A second write within one tick of the clock leaves the same time stamp."""
    path = tmp_path / "b.tar.gz"
    path.write_bytes(b"one")
    assert await FileSource(path, 1.0).fetch("", wait=False) == Fetched(b"one", "")


async def test_file_behind_the_links_of_a_configmap_is_followed(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "b.tar.gz").write_bytes(version.encode())
        aged(tmp_path / version / "b.tar.gz")
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "b.tar.gz").symlink_to("..data/b.tar.gz")
    source = FileSource(tmp_path / "b.tar.gz", 1.0)
    first = await source.fetch("", wait=False)
    assert isinstance(first, Fetched)
    assert await source.fetch(first.mark, wait=False) == Unchanged()
    (tmp_path / "..new").symlink_to("2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    second = await source.fetch(first.mark, wait=False)
    assert isinstance(second, Fetched)
    assert second.data == b"2"


async def test_file_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match=r"b\.tar\.gz cannot be read: no such file"):
        await FileSource(tmp_path / "b.tar.gz", 1.0).fetch("", wait=False)
    with pytest.raises(NotFetched, match="cannot be read: is a directory"):
        await FileSource(tmp_path, 1.0).fetch("", wait=False)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFetched, match="not a regular file"):
        await FileSource(tmp_path / "pipe", 1.0).fetch("", wait=False)


async def test_file_is_read_up_to_its_bound_only(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    with path.open("wb") as file:
        file.truncate(archive.PACKED_BYTES * 3)
    found = await FileSource(path, 1.0).fetch("", wait=False)
    assert isinstance(found, Fetched)
    assert len(found.data) == archive.PACKED_BYTES + 1
