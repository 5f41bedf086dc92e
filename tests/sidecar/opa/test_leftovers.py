import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from sidecar.opa import leftovers
from sidecar.opa.process import runtime_directory

NOW = 1_800_000_000.0


def left(folder: Path, name: str, *, age_s: float = leftovers.AGE_S + 1, more: str = "opa.sock") -> Path:
    made = folder / name
    (made / "policy").mkdir(parents=True)
    (made / "policy" / "bundle.tar.gz").write_bytes(b"x")
    (made / more).touch()
    os.utime(made, (NOW - age_s, NOW - age_s))
    return made


def test_old_folder_that_nobody_holds_is_removed(tmp_path: Path) -> None:
    gone = left(tmp_path, "regate-a")
    leftovers.remove(tmp_path, NOW)
    assert not gone.exists()


def test_folder_of_a_gateway_that_runs_stays(tmp_path: Path) -> None:
    held = left(tmp_path, "regate-a")
    claim = os.open(held, os.O_RDONLY)
    fcntl.flock(claim, fcntl.LOCK_SH)
    leftovers.remove(tmp_path, NOW)
    assert (held / "policy" / "bundle.tar.gz").exists()
    os.close(claim)
    leftovers.remove(tmp_path, NOW)
    assert not held.exists()


def test_young_and_foreign_folders_stay(tmp_path: Path) -> None:
    kept = [
        left(tmp_path, "regate-young", age_s=leftovers.AGE_S - 60),
        left(tmp_path, "regate-of-other-content", more="notes"),
        left(tmp_path, "other"),
    ]
    (tmp_path / "regate-empty").mkdir()
    os.utime(tmp_path / "regate-empty", (1, 1))
    (tmp_path / "regate-file").touch()
    (tmp_path / "regate-link").symlink_to(kept[2])
    leftovers.remove(tmp_path, NOW)
    assert all((path / "policy" / "bundle.tar.gz").exists() for path in kept)
    assert sorted(path.name for path in tmp_path.glob("regate-*"))[:2] == ["regate-empty", "regate-file"]


def test_new_runtime_directory_takes_old_ones_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("sidecar.opa.process._SOCKET_PATH_BYTES", 4096)
    old, young = left(tmp_path, "regate-a"), left(tmp_path, "regate-b")
    os.utime(young)
    os.utime(old, (1, 1))
    made = runtime_directory()
    assert made.parent == tmp_path
    assert (old.exists(), young.exists()) == (False, True)
