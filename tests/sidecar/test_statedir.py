import os
import stat
from pathlib import Path

import pytest

from sidecar import statedir
from sidecar.errors import StoreError
from sidecar.statedir import Gateway

NO_PROCESS = 2**22 + 1
"""More than any process id Linux gives out."""


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_write_private_makes_a_file_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "made" / "file"
    statedir.write_private(path, b"one")
    statedir.write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert _mode(path) == 0o600
    assert _mode(path.parent) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_write_private_where_it_cannot_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(StoreError, match="taken cannot be written"):
        statedir.write_private(tmp_path / "taken", b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_kept_token_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = statedir.kept_token(path)
    assert statedir.kept_token(path) == token
    assert len(token) >= 32
    assert _mode(path) == 0o600


def test_kept_token_differs_by_file(tmp_path: Path) -> None:
    tokens = {statedir.kept_token(statedir.run_token_file(tmp_path, name)) for name in ("a", "b")}
    assert len(tokens | {statedir.operator_token(tmp_path)}) == 3


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (b"0123456789abcdef0123456789abcdef0123", 0o644, "can be read by others"),
        (b"short", 0o600, "holds no token"),
        (b"", 0o600, "holds no token"),
        (b"0123456789abcdef 0123456789abcdef0123", 0o600, "holds no token"),
        ("ü".encode() * 40, 0o600, "it is not plain text"),
    ],
)
def test_kept_token_that_is_not_as_we_left_it_is_refused(
    content: bytes, mode: int, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(StoreError, match=message):
        statedir.kept_token(path)


def test_kept_token_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read: is a directory"):
        statedir.kept_token(tmp_path)


def test_announced_gateway_runs_until_the_block_ends(tmp_path: Path) -> None:
    here = Gateway("http://127.0.0.1:1", os.getpid())
    with statedir.announced(tmp_path, here):
        assert statedir.running(tmp_path) == [here]
    assert statedir.running(tmp_path) == []


def test_running_on_a_folder_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert statedir.running(tmp_path / "none") == []


@pytest.mark.parametrize(
    "note",
    [
        b'{"url": "http://x", "pid": %d}' % NO_PROCESS,
        b'{"url": "http://x", "pid": %d}' % 2**80,
        b'{"url": "http://x", "pid": -1}',
        b'{"url": 1, "pid": 1}',
        b'{"url": "http://x"}',
        b"[]",
        b"{",
        b"\xff",
    ],
)
def test_running_removes_a_note_of_what_does_not_run(note: bytes, tmp_path: Path) -> None:
    path = tmp_path / statedir.GATEWAYS / "1.json"
    statedir.write_private(path, note)
    assert statedir.running(tmp_path) == []
    assert not path.exists()


def test_running_keeps_a_gateway_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    with statedir.announced(tmp_path, Gateway("http://x", 1)):
        assert statedir.running(tmp_path) == [Gateway("http://x", 1)]
