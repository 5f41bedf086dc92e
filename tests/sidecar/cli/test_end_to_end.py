"""The real commands in processes of their own, before a server that is a few lines of Python."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest

import sidecar

START_S = 60.0
STOP_S = 20.0

SERVER = """\
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    method, id_ = message.get("method"), message.get("id")
    if method == "initialize":
        info = {"name": "s", "version": "1"}
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
    elif method == "tools/list":
        result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in ("add", "drop")]}
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": "did " + message["params"]["name"]}]}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": id_, "result": result}), flush=True)
"""
POLICY = '{"version": "1", "default": "deny", "hide": ["drop"], "tools": {"add": {}}}'
HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


@dataclass(frozen=True, slots=True)
class Running:
    """A command under way, and the lines it prints."""

    process: "subprocess.Popen[str]"
    lines: "SimpleQueue[str]"
    log: Path

    def tell(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def greeting(self) -> str:
        """What `run` or `serve` prints once calls can be served."""
        text = ""
        while not text.endswith("Ctrl-C stops it.\n"):
            line = self.lines.get(timeout=START_S)
            assert line, self.log.read_text(encoding="utf-8")
            text += line
        return text

    def stop(self, number: signal.Signals) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(STOP_S)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a policy and a server, and how to run a command in it."""

    folder: Path
    environ: dict[str, str]
    start: Callable[..., Running]

    @property
    def server(self) -> list[str]:
        return [sys.executable, "server.py"]

    def regate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sidecar", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=START_S, check=False
        )


@pytest.fixture
def place(tmp_path: Path, opa_path: Path) -> Iterator[Place]:
    (tmp_path / "server.py").write_text(SERVER, encoding="utf-8")
    (tmp_path / "policy.json").write_text(POLICY, encoding="utf-8")
    environ = os.environ | {
        "PYTHONPATH": str(Path(sidecar.__file__).parents[1]),
        "REGATE_STATE": str(tmp_path / "state"),
        "REGATE_OPA": str(opa_path),
    }
    with ExitStack() as stack:

        def start(*arguments: str) -> Running:
            log = stack.enter_context((tmp_path / "log").open("w"))
            process = subprocess.Popen(
                [sys.executable, "-m", "sidecar", *arguments],
                cwd=tmp_path,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            stack.enter_context(process)
            running = Running(process, SimpleQueue(), tmp_path / "log")
            reader = Thread(target=_read, args=(running,))
            reader.start()
            stack.callback(reader.join)
            stack.callback(process.kill)
            return running

        yield Place(tmp_path, environ, start)


def _read(running: Running) -> None:
    assert running.process.stdout is not None
    for line in running.process.stdout:
        running.lines.put(line)
    running.lines.put("")


def _post(url: str, token: str, message: dict[str, Any], session: str | None = None) -> Any:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    if session is not None:
        headers["Mcp-Session-Id"] = session
    request = urllib.request.Request(url, json.dumps(message).encode(), headers)
    with urllib.request.urlopen(request, timeout=START_S) as answer:
        text = answer.read().decode()
        data = [line[6:] for line in text.splitlines() if line.startswith("data: ")] or [text]
        return answer.headers["Mcp-Session-Id"], json.loads(data[-1]) if data[-1] else None


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(entry.parent.name)
            found += [child, *_children(child)]
    return found


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.opa
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_tells_its_status_and_stops_without_a_trace(number: signal.Signals, place: Place) -> None:
    running = place.start(
        "run", "--policy", "policy.json", "--listen", "127.0.0.1:0", "--ready-file", "ready.json", "--", *place.server
    )
    greeting = running.greeting()
    ready = json.loads((place.folder / "ready.json").read_text(encoding="utf-8"))
    assert ready["pid"] == running.process.pid
    assert ready["url"] in greeting
    assert ready["token"] in greeting
    assert "  drop  hidden\n" in greeting

    session, _ = _post(ready["url"], ready["token"], _message(1, "initialize", HANDSHAKE))
    _, answer = _post(ready["url"], ready["token"], _message(2, "tools/call", {"name": "add"}), session)
    assert answer["result"]["content"][0]["text"] == "did add"
    _, answer = _post(ready["url"], ready["token"], _message(3, "tools/call", {"name": "drop"}), session)
    assert answer["result"]["isError"] is True

    (status,) = json.loads(place.regate("status", "--format", "json").stdout)
    assert status["ready"] is True
    assert (status["calls"]["allowed"], status["calls"]["denied_by"]) == (1, {"hidden": 1})
    assert [row.split()[1] for row in place.regate("audit", "tail").stdout.splitlines()] == ["allow", "deny"]
    assert "run-server" in place.regate("grants", "list").stdout

    children = _children(running.process.pid)
    assert children
    assert running.stop(number) == 0
    assert all(_gone(pid) for pid in children)
    assert not (place.folder / "ready.json").exists()
    assert place.regate("status").returncode == 1
    assert "Traceback" not in (place.folder / "log").read_text()


@pytest.mark.opa
def test_explain_tells_the_running_gateways_policy_and_counters(place: Place) -> None:
    document: dict[str, Any] = {"version": "1", "default": "deny", "tools": {"add": {}}}
    document["tools"]["add"]["limits"] = [{"counter": "n", "window": "day", "max": 5, "increment_from": "args.a"}]
    (place.folder / "policy.json").write_text(json.dumps(document), encoding="utf-8")
    running = place.start(
        "run", "--policy", "policy.json", "--listen", "127.0.0.1:0", "--ready-file", "ready.json", "--", *place.server
    )
    running.greeting()
    (place.folder / "policy.json").write_text("broken", encoding="utf-8")
    ready = json.loads((place.folder / "ready.json").read_text(encoding="utf-8"))
    session, _ = _post(ready["url"], ready["token"], _message(1, "initialize", HANDSHAKE))
    call = {"name": "add", "arguments": {"a": 3}}
    _, answer = _post(ready["url"], ready["token"], _message(2, "tools/call", call), session)
    assert answer["result"]["content"][0]["text"] == "did add"
    (place.folder / "call.json").write_text(json.dumps(_message(3, "tools/call", call)), encoding="utf-8")
    asked = ("explain", "policy", "call.json", "--gateway", ready["url"], "--format", "json")
    for _ in range(2):
        done = place.regate(*asked)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["outcome"], found["rule"]) == ("deny", "/tools/add/limits/n")
        assert [(one["takes"], one["stands_at"], one["max"]) for one in found["counters"]] == [(3, 3, 5)]
        assert found["would_pass"][0] == {"changes": ["args.a ≤ 2"], "arguments": {"a": 2}}
    assert place.regate("explain", "other", "call.json", "--gateway", ready["url"]).returncode == 3
    assert running.stop(signal.SIGTERM) == 0
    done = place.regate(*asked)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"No gateway at {ready['url']} runs on the state directory" in done.stderr


@pytest.mark.opa
def test_stdio_speaks_mcp_only_and_ends_with_its_input(place: Place) -> None:
    running = place.start("stdio", "--policy", "policy.json", "--", *place.server)
    messages = [
        _message(1, "initialize", HANDSHAKE),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        _message(2, "tools/list", {}),
        _message(3, "tools/call", {"name": "drop"}),
    ]
    answers = {}
    for message in messages:
        running.tell(message)
        if "id" in message:
            answer = json.loads(running.lines.get(timeout=START_S))
            answers[answer["id"]] = answer["result"]
    assert [tool["name"] for tool in answers[2]["tools"]] == ["add"]
    assert answers[3]["isError"] is True
    children = _children(running.process.pid)
    assert running.process.stdin is not None
    running.process.stdin.close()
    assert running.process.wait(STOP_S) == 0
    assert all(_gone(pid) for pid in children)


@pytest.mark.opa
def test_run_on_a_port_in_use_is_one_clear_line(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = place.regate("run", "--policy", "policy.json", "--listen", f"127.0.0.1:{port}", "--", *place.server)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"regate: cannot listen on 127.0.0.1:{port}: the port is in use\n  Choose another with --listen.\n"
    )


@pytest.mark.opa
def test_run_of_a_rejected_policy_tells_every_problem(place: Place) -> None:
    (place.folder / "policy.json").write_text('{"version": "1", "default": "x", "tols": {}}', encoding="utf-8")
    done = place.regate("run", "--policy", "policy.json", "--listen", "127.0.0.1:0", "--", *place.server)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{place.folder / 'policy.json'}:1:29: /default: " in done.stderr
    assert "/tols: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.opa
def test_run_before_a_server_that_does_not_answer_starts_and_says_so(place: Place) -> None:
    running = place.start(
        "run",
        "--policy",
        "policy.json",
        "--listen",
        "127.0.0.1:0",
        "--name",
        "web",
        "--upstream",
        "http://127.0.0.1:9/mcp",
    )
    assert "Tools of web: not known yet" in running.greeting()
    assert running.stop(signal.SIGTERM) == 0


@pytest.mark.opa
def test_serve_takes_the_tokens_that_grants_make(place: Place) -> None:
    text = f"servers: {{s: {{command: {json.dumps(place.server)}}}}}\npolicies: {{p: {{file: policy.json}}}}\n"
    (place.folder / "regate.yaml").write_text(text, encoding="utf-8")
    running = place.start("serve", "--config", "regate.yaml", "--listen", "127.0.0.1:0", "--ready-file", "ready.json")
    assert "Tools of s" in running.greeting()
    ready = json.loads((place.folder / "ready.json").read_text(encoding="utf-8"))
    assert ready["token"] is None
    made = place.regate("grants", "create", "--config", "regate.yaml", "--server", "s", "--policy", "p", "--id", "g")
    token = made.stdout.strip()
    _, answer = _post(ready["url"], token, _message(1, "initialize", HANDSHAKE))
    assert answer["result"]["serverInfo"]["name"] == "s"
    place.regate("grants", "revoke", "g")
    with pytest.raises(urllib.error.HTTPError) as refused:
        _post(ready["url"], token, _message(1, "initialize", HANDSHAKE))
    assert refused.value.code == 401
    refused.value.close()
    assert running.stop(signal.SIGTERM) == 0


def _message(id_: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}
