"""Runs tests/servers/chatty.py for tests, by each transport, and reads what it noted. Knows no gateway."""

import asyncio
import os
import socket
import subprocess
import sys
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
    with socket.create_server(("127.0.0.1", 0)) as listening, running(log, listening, kind):
        yield ["--upstream", url(listening, kind)]


def url(listening: socket.socket, kind: str) -> str:
    """Where the server answers on this socket."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}/{'sse' if kind == 'sse' else 'mcp'}"


@contextmanager
def running(log: Path, listening: socket.socket, kind: str) -> Iterator[None]:
    """The server on a socket, which takes connections before and after it; another may be started on it then."""
    command = [sys.executable, str(_SERVER), str(log), str(listening.fileno()), *(["sse"] if kind == "sse" else [])]
    process = subprocess.Popen(command, pass_fds=[listening.fileno()])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def log(folder: Path) -> list[str]:
    path = folder / "log"
    return path.read_text().splitlines() if path.exists() else []


async def noted(folder: Path, line: str) -> None:
    """Waits until the server has noted this line. It rings a bell, a pipe beside its log, where somebody listens."""
    bell = folder / "log.bell"
    if not bell.exists():
        os.mkfifo(bell)
    heard = os.open(bell, os.O_RDWR | os.O_NONBLOCK)
    rung = asyncio.Event()
    asyncio.get_running_loop().add_reader(heard, lambda: (os.read(heard, 4096), rung.set()))
    try:
        async with asyncio.timeout(20):
            while line not in log(folder):
                await rung.wait()
                rung.clear()
    finally:
        asyncio.get_running_loop().remove_reader(heard)
        os.close(heard)
