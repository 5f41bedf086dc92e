"""`regate serve` as a process of its own, before the server that waits. Made for tests that end it, or look at it."""

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-for-tests-only"
HEADERS = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
    "authorization": f"Bearer {TOKEN}",
}
POLICY = {
    "version": "1",
    "default": "deny",
    "tools": {"whole": {}, "stream": {}, "quick": {"limits": [{"counter": "quick", "window": "day", "max": 1000}]}},
}
_DEADLINE_S = 60


@dataclass(frozen=True)
class Served:
    """A gateway that runs, and the server behind it."""

    process: "subprocess.Popen[bytes]"
    url: str
    folder: Path
    upstream: str

    @property
    def base(self) -> str:
        return self.url.removesuffix("/mcp")

    @property
    def log(self) -> str:
        return (self.folder / "gateway.log").read_text()

    def reached(self) -> list[str]:
        """The lines of the server's log."""
        log = self.folder / "reached.log"
        return log.read_text().splitlines() if log.exists() else []

    def release(self) -> None:
        """Lets every waiting call at the server go."""
        httpx.post(f"{self.upstream}/release")

    def rows(self) -> list[dict[str, Any]]:
        """The audit log."""
        command = [sys.executable, "-m", "sidecar", "audit", "tail", "-n", "1000", "--format", "json", "--state"]
        done = subprocess.run([*command, str(self.folder / "state")], cwd=ROOT, check=True, capture_output=True)
        return [json.loads(line) for line in done.stdout.splitlines()]


def call(tool: str, number: int = 1, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def eventually(holds: Callable[[], Any]) -> None:
    """Returns once this holds; fails after a minute."""
    deadline = time.monotonic() + _DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


def in_session(session: int) -> list[str]:
    """The processes of a session that run, by name."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, rest = stat.read_text().partition("(")[2].rsplit(")", 1)
            state, _, _, its_session = rest.split()[:4]
            if int(its_session) == session and state != "Z":
                found.append(name)
    return found


@contextlib.contextmanager
def serving(folder: Path, opa_path: Path, **more: Any) -> Iterator[Served]:
    """The gateway under these settings; what is left of it is killed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    upstream = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.patient", str(upstream), str(folder / "reached.log")], cwd=ROOT
    )
    (folder / "policy.json").write_text(json.dumps(POLICY))
    settings = {
        "listen_port": 0,
        "state": str(folder / "state"),
        "opa": {"binary": str(opa_path)},
        "ready_file": str(folder / "ready.json"),
        "servers": {"patient": {"url": f"http://127.0.0.1:{upstream}/mcp", "transport": "http"}},
        "policies": {"p": {"file": str(folder / "policy.json")}},
        "grants": {
            "tests": {
                "server": "patient",
                "policy": "p",
                "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
            }
        },
        **more,
    }
    (folder / "regate.yaml").write_text(json.dumps(settings))
    gateway = None
    try:
        eventually(lambda: listens(upstream))
        with (folder / "gateway.log").open("wb") as log:
            gateway = subprocess.Popen(
                [sys.executable, "-m", "sidecar", "serve", "--config", str(folder / "regate.yaml")],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(lambda: (folder / "ready.json").exists() or gateway.poll() is not None)
        assert gateway.poll() is None, (folder / "gateway.log").read_text()
        url = json.loads((folder / "ready.json").read_text())["url"]
        yield Served(gateway, url, folder, f"http://127.0.0.1:{upstream}")
    finally:
        if gateway is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(gateway.pid, signal.SIGKILL)
            gateway.wait()
        server.kill()
        server.wait()
