"""A cluster as the tests see it: kubectl, helm, and a client in a pod. No test is here."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sidecar import __version__

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
HELM = ROOT / ".cache" / "deploy" / "bin" / "helm"
REGATE = os.environ.get("REGATE_IMAGE", f"regate:{__version__}")
SAMPLE = os.environ.get("SAMPLE_IMAGE", f"regate-sample:{__version__}")
PREFIX = "regate-test-"
TOKEN = "a-token-for-tests-only"
DEADLINE_S = 180
POLICY: dict[str, Any] = {
    "version": "1",
    "default": "deny",
    "hide": ["empty_till"],
    "tools": {
        "balance": {},
        "calls": {},
        "ship": {},
        "pay": {
            "deny_if": [{"conditions": [{"path": "args.amount", "op": "gt", "value": 100}], "on_deny": "Too much."}]
        },
    },
}
RESTRICTED = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
STRICT = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}

Object = dict[str, Any]
Record = Callable[[str, object], None]
"""What pytest's `record_property` is: a figure for the report."""
Done = subprocess.CompletedProcess[str]


def ran(*command: str | Path, given: str | None = None) -> Done:
    return subprocess.run(
        [str(word) for word in command], input=given, capture_output=True, text=True, timeout=600, check=False
    )


def kubectl(*words: str, given: str | None = None) -> str:
    """What it prints; it must not fail."""
    done = ran("kubectl", *words, given=given)
    assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr or done.stdout}"
    return done.stdout


def found(*words: str) -> Object:
    """An object, or a list of them."""
    return dict(json.loads(kubectl("get", *words, "-o", "json")))


def apply(*things: Object, namespace: str) -> str:
    return kubectl("-n", namespace, "apply", "-f", "-", given=_listed(things))


def create(thing: Object, namespace: str, *words: str) -> Done:
    """What comes of it, which may be a refusal."""
    return ran("kubectl", "-n", namespace, "create", "-f", "-", *words, given=_listed([thing]))


def _listed(things: Iterable[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(things)})


def helm(*words: str | Path, values: Mapping[str, Any] | None = None) -> str:
    done = ran(HELM, *words, *(["--values", "-"] if values is not None else []), given=json.dumps(values or {}))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rolled_out(deployment: str, namespace: str) -> None:
    kubectl("-n", namespace, "rollout", "status", f"deployment/{deployment}", f"--timeout={DEADLINE_S}s")


def eventually(holds: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """What `holds` returns, once that is true."""
    until = time.monotonic() + deadline_s
    while not (result := holds()):
        assert time.monotonic() < until, f"{what}: not within {deadline_s} s"
        time.sleep(0.2)
    return result


def image_values() -> dict[str, str]:
    repository, _, tag = REGATE.rpartition(":")
    return {"repository": repository, "tag": tag}


def configmap(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def pod(name: str, container: Object, labels: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """A pod as the `restricted` profile wants it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **(labels or {})}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 30,
            "securityContext": RESTRICTED,
            "containers": [
                {
                    "name": "main",
                    "image": SAMPLE,
                    "imagePullPolicy": "IfNotPresent",
                    "securityContext": {**STRICT, "runAsUser": 65533},
                    **container,
                }
            ],
            **spec,
        },
    }


class Agent:
    """A real MCP client in a pod of its own."""

    def __init__(self, namespace: str, account: str = "default") -> None:
        self.namespace = namespace
        here = Path(__file__).parent
        scripts = {"agent.py": here.parent / "images" / "agent.py", "load.py": here / "load.py"}
        idle = {
            "command": ["python", "-c", "import signal; signal.pause()"],
            "volumeMounts": [{"name": "agent", "mountPath": "/agent"}],
        }
        apply(
            configmap("agent", **{name: path.read_text(encoding="utf-8") for name, path in scripts.items()}),
            pod(
                "agent",
                idle,
                {"regate.dev/agent": "true"},
                volumes=[{"name": "agent", "configMap": {"name": "agent"}}],
                serviceAccountName=account,
                terminationGracePeriodSeconds=1,
            ),
            namespace=namespace,
        )
        kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/agent", f"--timeout={DEADLINE_S}s")

    def runs(self, *command: str) -> Done:
        return ran("kubectl", "-n", self.namespace, "exec", "agent", "--", *command)

    def does(self, url: str, *calls: tuple[str, Mapping[str, Any]]) -> tuple[list[str], list[tuple[bool, str]]]:
        """The tools it sees, and for each call whether it failed, and the answer's text.

        A Service may lead nowhere for a moment after its pod is ready: kube-proxy has yet to learn of it.
        """
        place = urlsplit(url)
        port = place.port or 80
        eventually(lambda: self.connects(place.hostname or "", port) == "open", f"{url} takes connections")
        order = {"url": url, "token": TOKEN, "mode": "auto", "calls": calls, "together": False}
        done = self.runs("python", "/agent/agent.py", json.dumps(order))
        assert done.returncode == 0, done.stderr[-3000:]
        listed, answered = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
        return listed["tools"], [(failed, text) for failed, text in answered["answers"]]

    def connects(self, host: str, port: int) -> str:
        """What a plain connection comes to: `open`, `refused`, or `silent`."""
        script = (
            "import socket, sys\n"
            "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 5); print('open')\n"
            "except ConnectionRefusedError: print('refused')\n"
            "except OSError: print('silent')\n"
        )
        done = self.runs("python", "-c", script, host, str(port))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
