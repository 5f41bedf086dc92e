"""deploy/compose, really up: all but Grafana, with Debian's Redis and Prometheus; and its small form."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.images.pod import HERE, ROOT, TOKEN, eventually

FOLDER = ROOT / "deploy" / "compose"
COMPOSE = ROOT / ".cache" / "compose" / "docker-compose"
DEBIAN = "regate-test/debian"
PAY = ["pay", {"to": "ann", "amount": 5}]


class Project:
    """One file of the folder, up under a name of its own."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.ports = {name: _free_port() for name in ("REGATE_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")}
        self.name = f"regate-test-{secrets.token_hex(4)}"
        self._environment = os.environ | {name: str(port) for name, port in self.ports.items()}
        self._environment |= {"REGATE_TOKEN": TOKEN, "REDIS_IMAGE": DEBIAN, "PROMETHEUS_IMAGE": DEBIAN}

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [str(COMPOSE), "-p", self.name, "-f", str(self.file), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment)

    def __call__(self, *words: str) -> str:
        """What `docker compose` prints."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def is_ready(self) -> bool:
        return self.run("exec", "-T", "gateway", "regate", "health").returncode == 0

    def up(self, *services: str) -> None:
        self("up", "-d", "--no-build", "--pull", "never", *services)
        eventually(self.is_ready, "the gateway is ready", lambda: self("logs", "gateway", "bundles")[-3000:])

    def agent(self, *calls: Any) -> list[tuple[bool, str]]:
        """A real client on this machine."""
        url = f"http://127.0.0.1:{self.ports['REGATE_PORT']}/mcp"
        order = {"url": url, "token": TOKEN, "mode": "auto", "calls": calls, "together": False}
        command = [sys.executable, str(HERE / "agent.py"), json.dumps(order)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [(failed, text) for failed, text in json.loads(done.stdout.splitlines()[-1])["answers"]]

    def asked(self, query: str) -> list[Any]:
        """What Prometheus answers."""
        url = f"http://127.0.0.1:{self.ports['PROMETHEUS_PORT']}/api/v1/query"
        answer = httpx.get(url, params={"query": query}).json()
        assert answer["status"] == "success", (query, answer)
        found: list[Any] = answer["data"]["result"]
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def compose(regate_image: str, sample_image: str) -> None:
    """Compose's own binary, and the image that stands in for Redis and Prometheus."""
    done = subprocess.run(["sh", str(ROOT / "scripts" / "compose.sh"), COMPOSE], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"Compose cannot be built here: {done.stderr.strip()}")
    done = subprocess.run(
        ["sh", str(ROOT / "deploy" / "docker" / "base.sh"), "debian"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def project(compose: None, tmp_path: Path) -> Iterator[Callable[[str], Project]]:
    """Makes projects of a copy of the folder, and ends them."""
    made: list[Project] = []
    copy = tmp_path / "deploy" / "compose"
    shutil.copytree(FOLDER, copy)

    def make(file: str) -> Project:
        made.append(Project(copy / file))
        return made[-1]

    yield make
    for each in made:
        each("down", "--volumes", "--timeout", "40")


def test_whole_file_governs_counts_and_measures_and_takes_a_new_policy(project: Callable[[str], Project]) -> None:
    compose = project("compose.yaml")
    compose.up("gateway", "prometheus")
    answers = compose.agent(["balance", {}], PAY, PAY, PAY, PAY, ["pay", {"to": "b", "amount": 500}], ["refund", {}])
    assert [failed for failed, _ in answers] == [False, False, False, False, True, True, True]
    assert answers[4][1].startswith("[POLICY DENIED] At most three payments a minute.")
    assert "payments" in compose("exec", "-T", "redis", "redis-cli", "keys", "*")

    eventually(lambda: compose.asked('regate_calls_total{outcome="deny"}'), "Prometheus has read the gateway")
    dashboard = json.loads((ROOT / "deploy" / "helm" / "regate" / "files" / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    def silent() -> list[str]:
        return [query for query in queries if not compose.asked(_filled(query))]

    eventually(lambda: len(silent()) <= 2, "the dashboard has something to show", silent)
    print(f"of {len(queries)} queries of the dashboard these have no answer yet: {silent()}")

    policy = compose.file.parent / "policies" / "till.json"
    document = json.loads(policy.read_text())
    document["tools"]["refund"] = {}
    policy.write_text(json.dumps(document))
    compose("run", "--rm", "-T", "policies")
    refund = ["refund", {"to": "ann", "amount": 1}]
    eventually(lambda: compose.agent(refund) == [(False, "refunded 1 to ann")], "the new policy is in force")

    compose("stop", "bundles", "redis")
    answers = compose.agent(["balance", {}], PAY)
    assert [failed for failed, _ in answers] == [False, True]


def _filled(query: str) -> str:
    return query.replace("$namespace", "compose").replace("$__rate_interval", "1m").replace("$__range", "5m")


def test_small_file_needs_nothing_else(project: Callable[[str], Project]) -> None:
    compose = project("compose.embedded.yaml")
    compose.up()
    answers = compose.agent(["balance", {}], PAY, ["refund", {"to": "ann", "amount": 1}])
    assert [failed for failed, _ in answers] == [False, False, True]
    assert compose("ps", "--services").split() == ["gateway", "till"]


def test_server_is_in_no_network_but_the_gateways() -> None:
    for file in ("compose.yaml", "compose.embedded.yaml"):
        document = yaml.safe_load((FOLDER / file).read_text())
        assert document["networks"]["servers"] == {"internal": True}
        in_it = [name for name, one in document["services"].items() if "servers" in one.get("networks", ())]
        assert sorted(in_it) == ["gateway", "till"]
        assert "ports" not in document["services"]["till"]


def test_grafanas_files_name_what_is_there() -> None:
    source = yaml.safe_load((FOLDER / "grafana" / "datasource.yaml").read_text())["datasources"][0]
    whole = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    mounts = [text.split(":")[0] for text in whole["services"]["grafana"]["volumes"]]
    assert all((FOLDER / mount).is_file() for mount in mounts)
    provider = yaml.safe_load((FOLDER / "grafana" / "dashboards.yaml").read_text())["providers"][0]
    target = next(text.split(":")[1] for text in whole["services"]["grafana"]["volumes"] if "dashboard.json" in text)
    assert Path(target).parent == Path(provider["options"]["path"])
    assert json.loads((FOLDER / mounts[-1]).read_text())["uid"]
