"""A real gateway before a real MCP server over HTTP; both are processes of their own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples import gateway

CATALOGUE = Path(gateway.__file__).parent / "catalogue" / "ccxt-tools.json"
POLICY = {
    "version": "1",
    "default": "deny",
    "tools": {
        "fetch_ticker": {},
        "create_order": {"deny_if": [{"path": "args.amount", "op": "gt", "value": 10, "on_deny": "Too much."}]},
        "fetch_trades": {"limits": [{"counter": "trades", "window": "day", "max": 50}]},
    },
}
HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}


@dataclass(frozen=True)
class Scene:
    """The gateway, and what reached the server behind it."""

    running: gateway.Gateway
    policy: Path
    log: Path

    @property
    def headers(self) -> dict[str, str]:
        return {**HEADERS, "authorization": f"Bearer {self.running.token}"}

    @property
    def base(self) -> str:
        return self.running.url.removesuffix("/mcp")

    def opa_pid(self) -> int:
        """The OPA that this gateway started."""
        children = Path(f"/proc/{self.running.pid}/task/{self.running.pid}/children").read_text().split()
        for child in children:
            if Path(f"/proc/{child}/comm").read_text().startswith("opa"):
                return int(child)
        raise AssertionError("the gateway has no OPA")

    def reached(self) -> list[str]:
        """The tools called at the server, in order."""
        if not self.log.exists():
            return []
        return [json.loads(line)["tool"] for line in self.log.read_text().splitlines()]

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The JSON-RPC answer to one call."""
        return answer(httpx.post(self.running.url, headers=self.headers, json=call(1, tool, arguments), timeout=20))

    def denial(self, tool: str, **arguments: Any) -> tuple[str, str]:
        """The rule and the text of a denied call."""
        result = self.call(tool, **arguments)["result"]
        assert result["isError"] is True
        return result["_meta"]["dev.regate/decision"]["rule"], result["content"][0]["text"]

    def eventually(self, tool: str, **arguments: Any) -> None:
        """Returns once such a call is allowed again; fails after 20 s."""
        deadline = time.monotonic() + 20
        while "result" not in (got := self.call(tool, **arguments)) or got["result"].get("isError"):
            assert time.monotonic() < deadline, got

    def causes(self) -> list[str]:
        """The causes in the audit log, oldest first."""
        rows = self.running.regate("audit", "tail", "-n", "5000", "--format", "json")
        return [json.loads(row)["cause"] for row in rows.splitlines()]


def call(number: int, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": number,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }


def answer(response: httpx.Response) -> dict[str, Any]:
    """The message in an answer, whether it came whole or as an event."""
    if response.headers["content-type"].startswith("text/event-stream"):
        lines = [line for line in response.text.splitlines() if line.startswith("data: {")]
        return json.loads(lines[-1].removeprefix("data: "))
    return response.json()


@pytest.fixture
def scene(tmp_path: Path, opa_path: Path) -> Iterator[Scene]:
    log, policy = tmp_path / "reached.jsonl", tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.servers.plain", str(port), str(log), str(CATALOGUE)]
    server = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    os.environ["REGATE_OPA"] = str(opa_path)
    try:
        _wait_for(port)
        with gateway.running(policy, ["--upstream", f"http://127.0.0.1:{port}/mcp"], tmp_path / "gateway") as running:
            yield Scene(running, policy, log)
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline
        else:
            return
