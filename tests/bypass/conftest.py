"""A live gateway before an MCP server that logs every byte it gets and answers whatever a test tells it to."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples import gateway

TOOLS = ("read", "pay", "limited", "risky", "delete_repo")
HIDDEN = "delete_repo"
POLICY = {
    "version": "1",
    "default": "deny",
    "hide": [HIDDEN],
    "tools": {
        "read": {},
        "pay": {"deny_if": [{"path": "args.amount", "op": "gt", "value": 10, "on_deny": "Too much."}]},
        "limited": {"limits": [{"counter": "limited", "window": "day", "max": 3, "scope": "session"}]},
        "risky": {"deny_if": [{"conditions": [], "on_deny": "Requires human approval."}]},
    },
}
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
}
MIRRORED = {"type": "string", "x-mcp-header": "To"}


@dataclass(frozen=True)
class Seen:
    """One request as the server got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        return json.loads(self.body) if self.body else {}


class Open(list[bytes]):
    """The parts of an answer behind which the connection stays open until the gateway closes it."""

    def __init__(self, *parts: bytes) -> None:
        super().__init__(parts)
        self.closed = threading.Event()


Answer = Callable[[Seen], bytes | list[bytes]]


def http(body: bytes, *, status: str = "200 OK", kind: str | None = "application/json", extra: str = "") -> bytes:
    """A whole HTTP answer."""
    content_type = f"content-type: {kind}\r\n" if kind else ""
    return f"HTTP/1.1 {status}\r\n{content_type}content-length: {len(body)}\r\n{extra}\r\n".encode() + body


def stream(*events: bytes) -> bytes:
    """An event stream that ends with its connection."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + b"".join(events)


def listing(id: Any, names: tuple[str, ...] = TOOLS) -> dict[str, Any]:
    properties = {"properties": {"amount": {"type": "number"}, "text": {}, "to": MIRRORED}}
    tools = [{"name": name, "inputSchema": {"type": "object", **properties}} for name in names]
    return {"jsonrpc": "2.0", "id": id, "result": {"tools": tools}}


@dataclass
class Rogue:
    """The server. `answers` maps an MCP method (or an HTTP one) to what it answers in place of the usual."""

    port: int
    seen: list[Seen] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)

    def reached(self) -> list[str]:
        """The tools that were called, or anything else that could be a call."""
        return [str(seen.message["params"]["name"]) for seen in self.seen if b"tools/call" in seen.body]

    def answer(self, seen: Seen) -> bytes | list[bytes]:
        method = seen.message.get("method", "") if seen.method == "POST" else seen.method
        given = self.answers.get(method)
        return given(seen) if given is not None else _usual(seen, method)

    def serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as incoming:
            try:
                while (seen := _request(incoming)) is not None:
                    self.seen.append(seen)
                    answer = self.answer(seen)
                    for part in [answer] if isinstance(answer, bytes) else answer:
                        connection.sendall(part)
                    if isinstance(answer, Open):
                        incoming.read(1)
                        answer.closed.set()
                    if isinstance(answer, list) or b"content-length" not in answer.partition(b"\r\n\r\n")[0]:
                        return
            except OSError:
                return


def _request(incoming: Any) -> Seen | None:
    line = incoming.readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split(" ")
    headers = {}
    while (line := incoming.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return Seen(method, target, headers, incoming.read(int(headers.get("content-length", 0))))


def _usual(seen: Seen, method: str) -> bytes:
    if seen.method != "POST":
        return http(b"", status="405 Method Not Allowed" if seen.method == "GET" else "200 OK")
    id = seen.message.get("id")
    if id is None or not method:
        return http(b"", status="202 Accepted", kind=None)
    if method == "tools/list":
        return http(json.dumps(listing(id)).encode())
    result: dict[str, Any] = {"content": [{"type": "text", "text": "done"}]}
    extra = ""
    if method == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "r"}}
        extra = f"mcp-session-id: up-{len(seen.body)}-{os.urandom(8).hex()}\r\n"
    return http(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}).encode(), extra=extra)


@dataclass(frozen=True)
class Scene:
    """The gateway, the server behind it, and ways to attack."""

    running: gateway.Gateway
    rogue: Rogue
    log: Path
    client: httpx.Client

    @property
    def headers(self) -> dict[str, str]:
        return {**HEADERS, "authorization": f"Bearer {self.running.token}"}

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.running.url.removeprefix("http://").partition("/")[0].partition(":")
        return host, int(port)

    def post(self, body: bytes | Any, *, token: str | None = None, **headers: str) -> httpx.Response:
        """The answer to one POST; headers are given with underscores."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if token is not None:
            named["authorization"] = f"Bearer {token}"
        return self.client.post(self.running.url, content=content, headers=named)

    def call(self, tool: str, arguments: Any = None, **headers: str) -> httpx.Response:
        return self.post(call(tool, arguments), **headers)

    def resume(self, event_id: str, **headers: str) -> httpx.Response:
        """The stream behind an event, up to its end."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(self.running.url, headers={**self.headers, "last-event-id": event_id, **named})

    def session(self, token: str | None = None) -> str:
        """A fresh session's id."""
        return self.post(rpc("initialize"), token=token).headers["mcp-session-id"]

    def raw(self, request: bytes, timeout: float = 5) -> bytes:
        """Everything that comes back for these bytes until the gateway closes or is silent."""
        with socket.create_connection(self.address, timeout) as connection:
            received = []
            try:
                connection.sendall(request)
                while part := connection.recv(65536):
                    received.append(part)
            except OSError:
                pass
            return b"".join(received)

    def head(self, line: str = "POST /mcp HTTP/1.1", *extra: str) -> str:
        host, port = self.address
        named = [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([line, f"host: {host}:{port}", *named, *extra]) + "\r\n"

    def audit(self) -> list[dict[str, Any]]:
        rows = self.running.regate("audit", "tail", "-n", "5000", "--format", "json")
        return [json.loads(row) for row in rows.splitlines()]

    def unharmed(self) -> None:
        """The legitimate neighbour still passes, and nothing in the log is a crash."""
        before = len(self.rogue.seen)
        assert self.call("read").json()["result"]["content"][0]["text"] == "done"
        assert self.rogue.seen[before].message["params"]["name"] == "read"
        assert "Traceback" not in self.log.read_text()


def rpc(method: str, params: Any = None, id: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}


def answered(response: httpx.Response) -> Any:
    """The message in a JSON answer."""
    assert response.status_code == 200, response.text
    return response.json()


def call(tool: str, arguments: Any = None, id: Any = 1) -> dict[str, Any]:
    return rpc("tools/call", {"name": tool, "arguments": arguments or {}}, id)


@pytest.fixture(scope="module")
def gateway_scene(tmp_path_factory: pytest.TempPathFactory, opa_path: Path) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("bypass")
    policy = folder / "policy.json"
    policy.write_text(json.dumps(POLICY))
    os.environ["REGATE_OPA"] = str(opa_path)
    with socket.create_server(("127.0.0.1", 0)) as listening, httpx.Client(timeout=20) as client:
        rogue = Rogue(listening.getsockname()[1])
        threading.Thread(target=rogue.serve, args=(listening,), daemon=True).start()
        upstream = f"http://127.0.0.1:{rogue.port}/mcp"
        with gateway.running(policy, ["--upstream", upstream, "--name", "up"], folder / "gateway") as running:
            yield Scene(running, rogue, folder / "gateway" / "gateway.log", client)


@pytest.fixture
def scene(gateway_scene: Scene) -> Scene:
    """The module's gateway, its server as new."""
    gateway_scene.rogue.seen.clear()
    gateway_scene.rogue.answers.clear()
    return gateway_scene
