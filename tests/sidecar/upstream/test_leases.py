import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.errors import StoreError
from sidecar.upstream.leases import Lease, inherited, known

HOLD = """
import sys
from pathlib import Path
from sidecar.upstream.leases import Lease
lease = Lease(Path(sys.argv[1]))
print(lease.name, flush=True)
sys.stdin.read()
"""


def test_lease_of_a_living_process_is_not_inherited_and_of_a_killed_one_is(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        name = holder.stdout.readline().strip()
        (path,) = known(tmp_path)
        with inherited(path) as living:
            assert living is None
        holder.kill()
        holder.wait(20)
    with inherited(path) as dead:
        assert dead == name
        with inherited(path) as second:
            assert second is None
    assert known(tmp_path) == []


def test_lease_is_kept_for_another_try_when_what_was_left_could_not_be_removed(tmp_path: Path) -> None:
    Lease(tmp_path).release()
    (path,) = known(tmp_path)
    with pytest.raises(ZeroDivisionError), inherited(path):
        raise ZeroDivisionError
    assert known(tmp_path) == [path]


def test_lease_that_was_given_up_meanwhile_is_nobodys(tmp_path: Path) -> None:
    with inherited(tmp_path / "gone.lock") as dead:
        assert dead is None


def test_lease_in_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Lease(tmp_path / "state")
