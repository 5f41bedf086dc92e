"""Starts and stops `regate run` as a person would: a child process, a ready file, an interrupt.

For the demo and the bench. Knows nothing of what is asked of the gateway.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_S = 60
_STOP_S = 20


class NotReady(Exception):
    """The gateway ended, or did not get ready in time; the message holds what it printed."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway: where to call, with which token, and where its state is kept."""

    url: str
    token: str
    state: Path
    pid: int

    def regate(self, *arguments: str) -> str:
        """What one `regate` command about this gateway's state prints."""
        command = [*_REGATE, *arguments, "--state", str(self.state)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


_REGATE = (sys.executable, "-m", "sidecar")


@contextmanager
def running(policy: Path, upstream: Sequence[str], folder: Path) -> Iterator[Gateway]:
    """A gateway under `policy`, with fresh state in `folder`; interrupted at the end.

    `upstream` ends the command line: `--`, a command and its arguments; or `--upstream` and a URL.

    Raises: NotReady.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ready, log, state = folder / "ready.json", folder / "gateway.log", folder / "state"
    options = ["--policy", str(policy), "--state", str(state), "--ready-file", str(ready), "--listen", "127.0.0.1:0"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_REGATE, "run", *options, *upstream],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _gateway(process, ready, log, state)
    finally:
        _stop(process)


def _gateway(process: subprocess.Popen[bytes], ready: Path, log: Path, state: Path) -> Gateway:
    deadline = time.monotonic() + _START_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotReady(log.read_text(encoding="utf-8", errors="replace").strip() or "it printed nothing")
        time.sleep(0.05)
    document = json.loads(ready.read_text(encoding="utf-8"))
    return Gateway(document["url"], document["token"], state, document["pid"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
