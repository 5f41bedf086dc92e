"""The process tree of a child: finding and signalling every process it started. No pipes and no messages here.

A tree is the child's process group and, on Linux, every process that carries the child's mark in its environment:
browsers and daemons leave the group (setsid) but keep the environment.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

MARK = "REGATE_CHILD_"
"""What the names of marks begin with. Each is a variable of its own, so that a gateway behind a gateway adds one."""

_PR_SET_PDEATHSIG = 1
_PROC = Path("/proc")


def dies_with_parent() -> Callable[[], None] | None:
    """What a child runs before its program so that it is terminated when we are killed; None where not supported.

    Source: prctl(2), PR_SET_PDEATHSIG. SIGTERM, not SIGKILL: launchers (npx, uv, docker) pass it on.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.PyDLL(None).prctl
    parent = os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arm


class Tree:
    """The processes that descend from one child, which leads a process group of its own."""

    def __init__(self, leader: int, mark: str) -> None:
        self._leader = leader
        self._mark = f"{mark}=1".encode()

    def kill(self, number: signal.Signals) -> None:
        """Signals every process of the tree that still runs."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader, number)
        for pid in self._strays():
            with suppress(ProcessLookupError, PermissionError):
                self._signal_stray(pid, number)

    def is_alive(self) -> bool:
        """Whether any process of the tree still runs. Call it only once the leader has been reaped."""
        return self._group_is_alive() or any(True for _ in self._strays())

    def _group_is_alive(self) -> bool:
        self._reap_adopted()
        try:
            os.killpg(self._leader, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _reap_adopted(self) -> None:
        """Orphans come to us when we are process 1 of a container; unreaped they would look alive for ever."""
        with suppress(ChildProcessError):
            while os.waitpid(-self._leader, os.WNOHANG)[0]:
                pass

    def _strays(self) -> Iterator[int]:
        """The ids of processes that carry the mark, in the group or out of it."""
        if sys.platform == "linux":
            for entry in _PROC.iterdir():
                if entry.name.isdigit() and self._is_marked(entry.name):
                    yield int(entry.name)

    def _signal_stray(self, pid: int, number: signal.Signals) -> None:
        """The id may be another process's by now; a pidfd, where Python was built with it, is not."""
        if not hasattr(os, "pidfd_open"):
            os.kill(pid, number)
            return
        process = os.pidfd_open(pid)
        try:
            if self._is_marked(str(pid)):
                signal.pidfd_send_signal(process, number)
        finally:
            os.close(process)

    def _is_marked(self, pid: str) -> bool:
        try:
            return self._mark in (_PROC / pid / "environ").read_bytes().split(b"\0")
        except OSError:
            return False
