"""Runs tests/servers/chatty.py for tests, by each transport, and reads what it noted. Knows no gateway."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOOLS = ["echo", "pay", "steps", "talk", "sample", "ask", "roots", "ping", "wait", "hang_up"]
"""All but the one named `secret`."""

_SERVER = Path(__file__).parents[1] / "servers" / "chatty.py"


@contextmanager
def serving(log: Path, kind: str) -> Iterator[list[str]]:
    """How a command line names the server: a command, or the URL of one that runs."""
    if kind == "stdio":
        yield ["--", sys.executable, str(_SERVER), str(log)]
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(_SERVER), str(log), str(port), *(["sse"] if kind == "sse" else [])])
    try:
        _until_open(port, process)
        yield ["--upstream", f"http://127.0.0.1:{port}/{'sse' if kind == 'sse' else 'mcp'}"]
    finally:
        process.terminate()
        process.wait()


def _until_open(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server did not start")


def log(folder: Path) -> list[str]:
    path = folder / "log"
    return path.read_text().splitlines() if path.exists() else []
