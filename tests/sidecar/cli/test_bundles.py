"""`regate bundles` by itself; and `build`, `bundles serve` and `serve` together, each in a process of its own."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import sidecar
from tests import bundles
from tests.registryserver import PASSWORD, USERNAME, RegistryServer

Regate = Callable[..., Any]
ANSWER_S = 60.0
NOT_IN_FORCE = "The policies as they are now are not in force"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["push", "b.tar.gz", "oci://h/p:1", "--username", "u"], "--username and --password-file belong together"),
        (["push", "b.tar.gz", f"oci://h/p@sha256:{'0' * 64}"], "under a tag, not under a digest"),
        (["serve", ".", "--listen", "8701"], "must be HOST:PORT"),
        (["serve", "b.tar.gz"], "is a file"),
    ],
)
def test_wrong_usage_is_exit_2(regate: Regate, tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "b.tar.gz").write_bytes(bundles.bundle())
    done = regate("bundles", *arguments)
    assert done.code == 2
    assert says in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["push", "b.tar.gz", "https://h/p"], "names no place in a registry"),
        (["push", "b.tar.gz", "oci://127.0.0.1:1/p:1"], "did not take the bundle: no answer"),
        (["push", "b.tar.gz", "oci://h/p:1", "--ca-file", "b.tar.gz"], "holds no certificates"),
        (["serve", ".", "--token-file", "missing"], "missing"),
        (["serve", ".", "--listen", "192.0.2.1:8701"], "cannot listen on 192.0.2.1:8701"),
    ],
)
def test_what_cannot_be_done_is_exit_1_in_a_line(
    regate: Regate, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "b.tar.gz").write_bytes(bundles.bundle())
    done = regate("bundles", *arguments)
    assert done.code == 1
    assert says in done.err


def test_push_puts_a_bundle_into_a_real_registry(regate: Regate, tmp_path: Path) -> None:
    (tmp_path / "b.tar.gz").write_bytes(bundles.bundle())
    (tmp_path / "password").write_text(PASSWORD)
    server = RegistryServer(tmp_path / "registry", closed=True)
    try:
        place = server.url("team/policies:main")
        done = regate("bundles", "push", "b.tar.gz", place, "--username", USERNAME, "--password-file", "password")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"{place}: sha256:")
        assert regate("bundles", "push", "b.tar.gz", place).code == 1
    finally:
        server.stop()


SERVER = """\
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    method, id_ = message.get("method"), message.get("id")
    if method == "initialize":
        info = {"name": "s", "version": "1"}
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
    elif method == "tools/list":
        result = {"tools": [{"name": "add", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": "done"}]}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": id_, "result": result}), flush=True)
"""


class Running:
    """A `regate` in a process of its own, whose lines go into a file."""

    def __init__(self, folder: Path, environ: dict[str, str], name: str, *arguments: str) -> None:
        self.out = folder / f"{name}.out"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sidecar", *arguments], cwd=folder, env=environ, stdout=out, stderr=out
            )

    def until(self, holds: Callable[[], Any]) -> Any:
        """What this gives, once it gives anything."""
        end = time.monotonic() + ANSWER_S
        while not (found := holds()):
            assert self.process.poll() is None, self.out.read_text()
            assert time.monotonic() < end, self.out.read_text()
            time.sleep(0.05)
        return found

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(ANSWER_S)


@pytest.fixture
def start(tmp_path: Path, opa_path: Path) -> Iterator[Callable[..., Running]]:
    environ = os.environ | {"PYTHONPATH": str(Path(sidecar.__file__).parents[1]), "REGATE_OPA": str(opa_path)}
    with ExitStack() as stack:

        def run(name: str, *arguments: str) -> Running:
            running = Running(tmp_path, environ, name, *arguments)
            stack.callback(running.process.wait)
            stack.callback(running.process.kill)
            return running

        yield run


def _ask(url: str, method: str, **params: Any) -> Any:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_S)
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
        **({"Mcp-Name": params["name"]} if "name" in params else {}),
    }
    connection.request("POST", parts.path, json.dumps(body), headers)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return found


def _said(url: str) -> str:
    """What a call of `add` is answered."""
    found = _ask(url, "tools/call", name="add", arguments={})
    text: str = found["result"]["content"][0]["text"] if "result" in found else found["error"]["message"]
    return text


class Place:
    """A folder with a bundle server's bundles, and gateways that take theirs from it."""

    def __init__(self, folder: Path, start: Callable[..., Running]) -> None:
        self.folder, self.start, self.shelf = folder, start, folder / "bundles"
        self.listens = "127.0.0.1:0"
        self.shelf.mkdir()
        (folder / "server.py").write_text(SERVER)
        (folder / "public.pem").write_bytes(bundles.public_pem(bundles.EC_KEY))
        (folder / "token").write_text("t0ken")

    def put(self, data: bytes) -> None:
        (self.shelf / ".new").write_bytes(data)
        (self.shelf / ".new").replace(self.shelf / "p.tar.gz")

    def serve(self, **bundle: Any) -> Running:
        """The bundle server, where it was before if it was there, and settings that name it."""
        serving = self.start(
            "bundles", "bundles", "serve", "bundles", "--listen", self.listens, "--token-file", "token"
        )
        line = serving.until(lambda: serving.out.read_text().partition("\n")[0])
        base = line.split()[-1].removesuffix("/NAME.tar.gz")
        self.listens = urlsplit(base).netloc
        settings = {
            "auth": False,
            "listen_port": 0,
            "state": "state",
            "servers": {"s": {"command": [sys.executable, "server.py"], "cwd": "."}},
            "grants": {"g": {"server": "s", "policy": "p", "token_sha256": "0" * 64}},
            "bundle": {
                "url": f"{base}/p.tar.gz",
                "token": {"file": "token"},
                "keys": [{"file": "public.pem", "alg": "ES256"}],
                "poll_s": 0.1,
            }
            | bundle,
        }
        (self.folder / "regate.yaml").write_text(json.dumps(settings))
        return serving

    def gateway(self, number: int) -> tuple[Running, str]:
        ready = self.folder / f"ready{number}.json"
        running = self.start(f"gateway{number}", "serve", "--config", "regate.yaml", "--ready-file", ready.name)
        running.until(lambda: ready.exists() and ready.read_text())
        return running, json.loads(ready.read_text())["url"]


def _readiness(url: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_S)
    connection.request("GET", "/readyz")
    status = connection.getresponse().status
    connection.close()
    return status


def test_bundle_that_is_replaced_changes_decisions_without_a_restart(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    place = Place(tmp_path, start)
    place.put(bundles.bundle(serial=7))
    serving = place.serve()
    first, url = place.gateway(1)
    assert _said(url) == "done"
    place.put(bundles.bundle({"p": bundles.DENIES}, serial=8))
    first.until(lambda: "is not permitted by policy" in _said(url))
    for number, hostile in enumerate(
        (
            bundles.bundle(serial=7),
            bundles.packed(bundles.files(serial=9)),
            bundles.signed(bundles.files(serial=9), bundles.OTHER_EC_KEY),
            b"broken",
            bytes(40_000_000),
        )
    ):
        place.put(hostile)
        first.until(lambda number=number: first.out.read_text().count(NOT_IN_FORCE) > number)
        assert "is not permitted by policy" in _said(url)
    serving.stop()
    first.stop()
    second, url = place.gateway(2)
    assert "is not permitted by policy" in _said(url)
    second.stop()
    assert serving.process.returncode == 0


def test_policies_that_nobody_confirms_for_too_long_close_the_gate_until_their_source_is_back(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    place = Place(tmp_path, start)
    place.put(bundles.bundle(serial=7))
    serving = place.serve(max_policy_age_s=2)
    gateway, url = place.gateway(1)
    gateway.until(lambda: (_said(url), _readiness(url)) == ("done", 200))
    serving.stop()
    gateway.until(lambda: "Policy decision unavailable" in _said(url))
    assert _readiness(url) == 503
    place.serve(max_policy_age_s=2)
    gateway.until(lambda: (_said(url), _readiness(url)) == ("done", 200))
    gateway.stop()
