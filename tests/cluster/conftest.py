"""What the tests in a real cluster share. They run by `make test-cluster` only: elsewhere they are not collected."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import kube
from tests.cluster.report import Report

ORDER = ("chart", "injected", "governed", "gitops", "rollout", "direct")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if not config.getoption("--cluster") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in ours:
        item.add_marker(pytest.mark.timeout(900))
    items[:] = [item for item in items if item not in ours]
    items += sorted(ours, key=lambda item: ORDER.index(item.path.stem.removeprefix("test_")))
    config.pluginmanager.register(Report(config, len(ours)))


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """The product's image and the sample server's, built here and put into the cluster."""
    load = os.environ.get("CLUSTER_LOAD")
    if load is None:
        return
    environment = os.environ | {
        "PIP": f"{sys.executable} -m pip",
        "REGATE_IMAGE": kube.REGATE,
        "SAMPLE_IMAGE": kube.SAMPLE,
    }
    docker = kube.DEPLOY / "docker"
    for command in (
        ["sh", docker / "base.sh", "python", "opa"],
        ["sh", docker / "build.sh", "regate", "sample"],
        [*shlex.split(load), kube.REGATE, kube.SAMPLE],
    ):
        done = subprocess.run(command, cwd=kube.ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def namespace(request: pytest.FixtureRequest, images: None) -> Iterator[str]:
    """A namespace of this module's, with `restricted` pod security; gone at the end."""
    name = kube.PREFIX + request.module.__name__.rpartition("_")[2]
    labels = {"pod-security.kubernetes.io/enforce": "restricted", **getattr(request.module, "LABELS", {})}
    thing = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kube.kubectl("delete", "namespace", name, "--ignore-not-found")
    kube.kubectl("create", "-f", "-", given=json.dumps(thing))
    kube.eventually(lambda: kube.ran("kubectl", "-n", name, "get", "sa", "default").returncode == 0, "service account")
    yield name
    kube.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def agent(namespace: str) -> kube.Agent:
    return kube.Agent(namespace)


@pytest.fixture(scope="session")
def injector(images: None) -> Iterator[str]:
    """The injector, installed by its chart with certificates of its own; its namespace."""
    name = "regate-system"
    sidecar = kube.DEPLOY / "helm" / "regate-injector" / "sidecar.yaml"
    text = sidecar.read_text(encoding="utf-8")
    assert text.count("image: regate:") == 1
    lines = [f"  image: {kube.REGATE}" if "image: regate:" in line else line for line in text.splitlines()]
    values = {
        "image": kube.image_values(),
        "sidecar": "\n".join(lines) + "\n",
        "exemptPods": [f"{kube.PREFIX}governed/agent"],
    }
    chart = kube.DEPLOY / "helm" / "regate-injector"
    kube.helm("install", "regate-injector", chart, "-n", name, "--create-namespace", values=values)
    kube.rolled_out("regate-injector", name)
    yield name
    kube.helm("uninstall", "regate-injector", "-n", name)
    kube.kubectl("delete", "namespace", name, "--wait=false")
