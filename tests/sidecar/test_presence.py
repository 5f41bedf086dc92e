"""Whether an open file is still where its path leads."""

import os
from pathlib import Path

import pytest

from sidecar.errors import StoreError
from sidecar.presence import Presence

LONG_AGO = 1_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"s.sqlite{suffix}").write_bytes(b"1234")
    os.utime(tmp_path, (LONG_AGO, LONG_AGO))
    return tmp_path / "s.sqlite"


def test_check_untouched_passes_twice(path: Path) -> None:
    presence = Presence(path)
    presence.check()
    presence.check()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("settled", [False, True])
def test_check_removed_store_error(path: Path, suffix: str, settled: bool) -> None:
    presence = Presence(path)
    if settled:
        presence.check()
    Path(f"{path}{suffix}").unlink()
    with pytest.raises(StoreError, match="removed or replaced"):
        presence.check()


def test_check_replaced_store_error(path: Path) -> None:
    presence = Presence(path)
    presence.check()
    other = path.with_name("other")
    other.write_bytes(b"1234")
    other.replace(path)
    with pytest.raises(StoreError):
        presence.check()


def test_check_put_back_passes(path: Path, tmp_path: Path) -> None:
    presence = Presence(path)
    away = tmp_path / "away"
    path.rename(away)
    with pytest.raises(StoreError):
        presence.check()
    away.rename(path)
    presence.check()


def test_check_folder_gone_store_error(path: Path, tmp_path: Path) -> None:
    presence = Presence(path)
    away = tmp_path.with_name(f"{tmp_path.name}-away")
    tmp_path.rename(away)
    with pytest.raises(StoreError):
        presence.check()
    away.rename(tmp_path)
    presence.check()


def test_check_young_folder_looks_at_every_file(path: Path, tmp_path: Path) -> None:
    presence = Presence(path)
    os.utime(tmp_path)
    stood = tmp_path.stat()
    presence.check()
    path.unlink()
    os.utime(tmp_path, ns=(stood.st_atime_ns, stood.st_mtime_ns))
    with pytest.raises(StoreError):
        presence.check()


def test_presence_of_missing_file_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Presence(tmp_path / "never.sqlite")


def test_log_bytes_counts_the_log(path: Path) -> None:
    presence = Presence(path)
    assert presence.log_bytes() == 4
    Path(f"{path}-wal").unlink()
    assert presence.log_bytes() == 0
