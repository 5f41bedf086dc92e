"""What is measured, set up side by side: the fast upstream, the bare forwarder and the gateway in front of it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import load, meter
from examples import gateway

_ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = _ROOT / "examples" / "catalogue" / "bybit-tools.json"
_RULED = 20
_START_S = 20
_VERSION = "2025-11-25"


@dataclass(frozen=True, slots=True)
class Target:
    """One way to the upstream. `pid` is the process whose cost is looked at, if there is one; `opa` its child."""

    name: str
    url: str
    pid: int | None = None
    opa: int | None = None
    token: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of message to send: the JSON with `%ID%` for its id, and what a good answer holds."""

    name: str
    body: str
    wanted: str


CALL = Work(
    "tools/call",
    '{"jsonrpc":"2.0","id":%ID%,"method":"tools/call","params":'
    '{"name":"accountBorrow","arguments":{"coin":"USDT","amount":25.5}}}',
    '"text":"done"',
)
LIST = Work("tools/list", '{"jsonrpc":"2.0","id":%ID%,"method":"tools/list","params":{}}', '"accountBorrow"')


def policy() -> dict[str, Any]:
    """Twenty tools of the catalogue, each with a rule on an argument and a day's limit; two tools hidden."""
    names = [tool["name"] for tool in json.loads(CATALOGUE.read_text(encoding="utf-8"))["tools"][:_RULED]]
    rules = {
        name: {
            "deny_if": [{"path": "args.amount", "op": "gt", "value": 10000, "on_deny": "Too much."}],
            "limits": [{"counter": f"{name}_calls", "window": "day", "max": 10**12}],
        }
        for name in names
    }
    return {"version": "1", "default": "deny", "hide": ["wsCancelOrder", "wsBatchCancelOrders"], "tools": rules}


@dataclass(frozen=True, slots=True)
class Stage:
    """The targets, and how long the gateway took from its start to the answer of its first call."""

    direct: Target
    forwarder: Target
    gateway: Target
    first_call_s: float

    def targets(self) -> tuple[Target, Target, Target]:
        """All three, the shortest way first."""
        return self.direct, self.forwarder, self.gateway


@contextmanager
def built(folder: Path) -> Iterator[Stage]:
    """The three targets, running; all stopped at the end. Raises: NotReady."""
    (folder / "policy.json").write_text(json.dumps(policy()), encoding="utf-8")
    with ExitStack() as stack:
        _, port = stack.enter_context(_service("upstream", str(CATALOGUE), folder=folder))
        direct = Target("direct", f"http://127.0.0.1:{port}/mcp")
        pid, bare = stack.enter_context(_service("forwarder", str(port), folder=folder))
        forwarder = Target("forwarder", f"http://127.0.0.1:{bare}/mcp", pid)
        began = time.perf_counter()
        running = gateway.running(folder / "policy.json", ["--upstream", direct.url], folder / "gateway")
        process = stack.enter_context(running)
        governed = Target("gateway", process.url, process.pid, None, process.token)
        send(governed, CALL, 1, 0.0, folder)
        first_call_s = time.perf_counter() - began
        opa = meter.child(process.pid, "opa")
        governed = Target("gateway", process.url, process.pid, opa, process.token)
        yield Stage(direct, forwarder, governed, first_call_s)


def send(target: Target, work: Work, in_flight: int, seconds: float, folder: Path) -> load.Loaded:
    """Load of one kind on one target, made by a process of its own. Raises: RuntimeError on a wrong answer."""
    headers = f"mcp-protocol-version: {_VERSION}\r\n"
    if target.token:
        headers += f"authorization: Bearer {target.token}\r\n"
    plan = folder / "plan.json"
    document = {"url": target.url, "headers": headers, "body": work.body, "wanted": work.wanted}
    plan.write_text(json.dumps({**document, "in_flight": in_flight, "seconds": seconds}), encoding="utf-8")
    command = [sys.executable, "-m", "bench.load", str(plan)]
    done = subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True)
    loaded = load.Loaded(**json.loads(done.stdout))
    if loaded.wrong or not loaded.calls:
        raise RuntimeError(f"{target.name}: {loaded.wrong} of {loaded.calls} answers were wrong, as {loaded.sample}")
    return loaded


@contextmanager
def _service(module: str, argument: str, folder: Path) -> Iterator[tuple[int, int]]:
    ready = folder / f"{module}.port"
    process = subprocess.Popen([sys.executable, "-m", f"bench.{module}", argument, str(ready)], cwd=_ROOT)
    try:
        yield process.pid, _port(process, ready)
    finally:
        process.terminate()
        process.wait()


def _port(process: subprocess.Popen[bytes], ready: Path) -> int:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        if ready.exists() and (text := ready.read_text(encoding="utf-8")):
            return int(text)
        time.sleep(0.02)
    raise gateway.NotReady(f"{ready.stem} did not start")
