import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from sidecar.upstream.tree import MARK, Tree, dies_with_parent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marks are looked up in /proc")


def start(mark: str, script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", "-c", script],
        env={**os.environ, mark: "1"},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


@pytest.mark.parametrize("with_pidfd", [True, False])
def test_tree_kills_members_that_left_the_group(
    is_running: Callable[[int], bool], monkeypatch: pytest.MonkeyPatch, with_pidfd: bool
) -> None:
    if not with_pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    mark = f"{MARK}tree_test"
    with start(mark, "setsid sleep 1000 & echo $!; exec sleep 1000") as leader:
        assert leader.stdout is not None
        stray = int(leader.stdout.readline())
        tree = Tree(leader.pid, mark)
        tree.kill(signal.SIGKILL)
        leader.wait()
    while tree.is_alive():
        pass
    assert not is_running(stray)


def test_tree_alive_as_long_as_one_member_is() -> None:
    mark = f"{MARK}alive_test"
    with start(mark, "sleep 1000 & echo $!") as leader:
        assert leader.stdout is not None
        member = int(leader.stdout.readline())
        leader.wait()
        tree = Tree(leader.pid, mark)
        assert tree.is_alive()
        os.kill(member, signal.SIGKILL)
        while tree.is_alive():
            pass


def test_tree_leaves_other_marks_alone() -> None:
    with start(f"{MARK}mine", "exec sleep 1000") as leader:
        Tree(leader.pid + 1_000_000_000, f"{MARK}min").kill(signal.SIGKILL)
        assert leader.poll() is None
        leader.kill()


_PARENT = """
import os, subprocess, sys
from sidecar.upstream.tree import dies_with_parent
print(subprocess.Popen(["sleep", "1000"], start_new_session=True, preexec_fn=dies_with_parent()).pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_child_dies_when_its_parent_is_killed(is_running: Callable[[int], bool]) -> None:
    parent = subprocess.run([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, check=False, timeout=60)
    child = int(parent.stdout)
    while is_running(child):
        pass
    assert parent.returncode == -signal.SIGKILL


def test_dies_with_parent_elsewhere_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert dies_with_parent() is None
