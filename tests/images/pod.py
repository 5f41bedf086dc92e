"""Containers of one network namespace, as in a pod: the gateway's image beside servers and agents."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # its image is on a registry

from testcontainers.core.container import DockerContainer

from sidecar import __version__

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REGATE, SAMPLE = f"regate:{__version__}", f"regate-sample:{__version__}"
BARE = f"regate-bare:{__version__}"
TOKEN = "a-token-for-tests-only"
URL = "http://127.0.0.1:8700/mcp"
DEADLINE_S = 60
POLICY = {
    "version": "1",
    "default": "deny",
    "hide": ["empty_till"],
    "tools": {
        "balance": {},
        "calls": {},
        "ship": {},
        "pay": {
            "deny_if": [{"conditions": [{"path": "args.amount", "op": "gt", "value": 100}], "on_deny": "Too much."}],
            "limits": [{"counter": "pays", "window": "day", "max": 3, "on_deny": "No more today."}],
        },
    },
}
STRICT = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "read_only": True}


def settings(**more: Any) -> dict[str, Any]:
    """Those of a gateway before the sample server at 127.0.0.1:8000."""
    return {
        "servers": {"till": {"url": "http://127.0.0.1:8000/mcp"}},
        "policies": {"p": {"file": "policy.json"}},
        "grants": {"agent": {"server": "till", "policy": "p", "token_env": "AGENT_TOKEN"}},
    } | more


def write(folder: Path, given: Mapping[str, Any], policy: Mapping[str, Any] | None = None) -> Path:
    """A folder of settings that any user may read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "regate.yaml").write_text(json.dumps(given), encoding="utf-8")
    (folder / "policy.json").write_text(json.dumps(policy or POLICY), encoding="utf-8")
    folder.chmod(0o755)
    return folder


def eventually(holds: Callable[[], Any], what: str, why: Callable[[], object] = lambda: "") -> Any:
    """What `holds` returns, once that is true."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_S} s; {why()}"
        time.sleep(0.1)
    return found


class Pod:
    """Containers that share the network of the first one, which has nothing but a loopback interface."""

    def __init__(self) -> None:
        self.containers: list[DockerContainer] = []

    def add(self, image: str, *command: str, **options: Any) -> Any:
        """A container that runs, as the Docker SDK has it."""
        network = f"container:{self.containers[0].get_container_id()}" if self.containers else "none"
        made = DockerContainer(image)
        made.env, made.volumes, made.tmpfs = (options.pop(name, {}) for name in ("environment", "volumes", "tmpfs"))
        made = made.with_kwargs(network_mode=network, **options)
        if command:
            made = made.with_command(list(command))
        self.containers.append(made)
        return made.start().get_wrapped_container()

    def gateway(self, folder: Path, **options: Any) -> Any:
        """The product image, as strict as a pod with `restricted` security, once it is ready."""
        options = {"tmpfs": {"/tmp": ""}, "environment": {"AGENT_TOKEN": TOKEN}, **STRICT, **options}
        volumes = {str(folder): {"bind": "/etc/regate", "mode": "ro"}, **options.pop("volumes", {})}
        gateway = self.add(options.pop("image", REGATE), volumes=volumes, **options)
        return ready(gateway)

    def close(self) -> None:
        for container in reversed(self.containers):
            container.stop(force=True, delete_volume=True)


@contextmanager
def pod() -> Iterator[Pod]:
    """Gone with all its containers at the end."""
    made = Pod()
    try:
        yield made
    finally:
        made.close()


def is_ready(gateway: Any) -> bool:
    return gateway.exec_run(["regate", "health", "--ready"]).exit_code == 0


def ready(gateway: Any) -> Any:
    """The gateway, once it says of itself that it is ready."""

    def holds() -> bool:
        gateway.reload()
        assert gateway.status == "running", gateway.logs().decode()
        return is_ready(gateway)

    eventually(holds, "the gateway is ready", lambda: gateway.logs().decode()[-2000:])
    return gateway


class Agent:
    """A real MCP client in a container of its own."""

    def __init__(self, pod: Pod) -> None:
        volumes = {str(HERE / "agent.py"): {"bind": "/agent.py", "mode": "ro"}}
        idle = "import signal; signal.pause()"
        self.container = pod.add(SAMPLE, "-c", idle, entrypoint=["python"], volumes=volumes, **STRICT)

    def does(
        self, *calls: tuple[str, Mapping[str, Any]], url: str = URL, mode: str = "auto", together: bool = False
    ) -> tuple[list[str], list[list[Any]]]:
        """The tools it sees, and for each call whether it failed, and the answer's text."""
        done = self.container.exec_run(self._command(calls, url, mode, together))
        assert done.exit_code == 0, done.output.decode()
        listed, answered = (json.loads(line) for line in done.output.splitlines() if line.startswith(b"{"))
        return listed["tools"], answered["answers"]

    def begins(self, *calls: tuple[str, Mapping[str, Any]]) -> Iterator[bytes]:
        """Does it while the caller goes on: its output, piece by piece."""
        output: Iterator[bytes] = self.container.exec_run(self._command(calls, URL, "auto", True), stream=True).output
        return output

    def reached(self) -> dict[str, int]:
        """How many calls of each tool the server has seen, asked past the gateway."""
        (_, ((failed, text),)) = self.does(("calls", {}), url="http://127.0.0.1:8000/mcp")
        assert not failed, text
        return dict(json.loads(text))

    def _command(self, calls: Sequence[Any], url: str, mode: str, together: bool) -> list[str]:
        order = {"url": url, "token": TOKEN, "mode": mode, "calls": calls, "together": together}
        return ["python", "/agent.py", json.dumps(order)]
