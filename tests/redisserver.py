"""A real Redis of the tests' own, on a socket in a folder of its own. Never the system's."""

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

_OWN = Path(__file__).parents[1] / ".cache" / "redis" / "redis-server"


def binary() -> str:
    """The server's binary; without one, the test is skipped."""
    found = shutil.which("redis-server") or (str(_OWN) if _OWN.exists() else None)
    if found is None:
        pytest.skip("There is no redis-server here, and only root can install it: apt-get install redis-server")
    return found


class RedisServer:
    """One Redis, which keeps an append-only file, so that it may be killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.socket = folder / "r.sock"
        self.url = f"unix://{self.socket}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Returns when it answers."""
        settings = ("--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
        command = [binary(), *settings, "--unixsocket", str(self.socket), "--dir", str(self.folder), *self._options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while self._ping() not in (b"+PONG", b"-NOAUT"):
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "Redis does not answer"
            time.sleep(0.01)

    def kill(self) -> None:
        """As a machine that loses its power, but for the file."""
        if self._process is not None:
            self.go_on()
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def say(self, *words: str) -> str:
        """The raw answer to one command."""
        return self._talk(words).decode()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _ping(self) -> bytes:
        try:
            return self._talk(["PING"])[:6].strip()
        except OSError:
            return b""

    def _talk(self, words: Sequence[str]) -> bytes:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(str(self.socket))
            parts = [word.encode() for word in words]
            line.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(one), one) for one in parts))
            return line.recv(1 << 20)


class LossyLine:
    """A way to a Redis that loses the next `losses` answers to scripts: the connection ends instead."""

    def __init__(self, server: RedisServer, socket_path: Path) -> None:
        self.url = f"unix://{socket_path}"
        self.losses = 0
        self._server = server
        self._path = socket_path

    async def __aenter__(self) -> "LossyLine":
        self._listening = await asyncio.start_unix_server(self._pass_on, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        await self._listening.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._server.socket)
        with contextlib.suppress(asyncio.CancelledError), contextlib.closing(far_writer), contextlib.closing(writer):
            while command := await reader.read(1 << 20):
                far_writer.write(command)
                answer = await far_reader.read(1 << 20)
                if b"EVALSHA" in command and not answer.startswith(b"-") and self.losses:
                    self.losses -= 1
                    return
                writer.write(answer)
