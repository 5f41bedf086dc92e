"""Writes docs/deploy-verified.md from a run in a real cluster: what ran, with which versions, and how long it took."""

import json
import os
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cluster import kube

_HEAD = """<!-- Made by `make test-cluster`, which writes it when everything has passed. -->

# Deploying, verified

`make test-cluster` ran all of this on {day} at commit {commit}, against a real API server and kubelet.
Every call was made by an MCP client in a pod.

| What | Version |
|---|---|
{versions}

| What held | Seconds | Measured |
|---|---:|---|
{rows}

Seconds are those of the whole test, with what it had to install and to wait for. {note}
"""
_NOTE = """A policy's way from `git push` to a decision is mostly the kubelet's,
which brings a changed ConfigMap to its pods within its syncFrequency ({sync} here, by default 1m), after Flux' own
interval (5 s here)."""


class Report:
    """Collects outcomes; a test's docstring is its row, its recorded properties are the figures."""

    def __init__(self, config: pytest.Config, wanted: int) -> None:
        self._config = config
        self._wanted = wanted
        self._said: dict[str, str] = {}
        self._seconds: dict[str, float] = {}
        self._rows: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            sentence = getattr(item, "obj", None).__doc__ or item.name
            case = getattr(item, "callspec", None)
            self._said[item.nodeid] = " ".join([*sentence.split(), *([case.id] if case is not None else [])])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0) + report.duration
        if report.when == "call" and report.passed and report.nodeid.startswith("tests/cluster/"):
            measured = "; ".join(f"{name}: {value}" for name, value in report.user_properties)
            row = f"| {self._said[report.nodeid]} | {self._seconds[report.nodeid]:.1f} | {measured} |"
            self._rows.append(row)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        target = self._config.getoption("--cluster-report")
        if target and len(self._rows) == self._wanted and not session.testsfailed:
            note = _NOTE.format(sync=os.environ.get("K8S_SYNC", "1m"))
            versions = "\n".join(f"| {name} | {version} |" for name, version in _versions())
            text = _HEAD.format(
                day=datetime.now(UTC).date(), commit=_git(), versions=versions, rows="\n".join(self._rows), note=note
            )
            Path(target).write_text(text, encoding="utf-8")


def _versions() -> Sequence[tuple[str, str]]:
    said = json.loads(kube.kubectl("version", "-o", "json"))
    (node, *_) = kube.found("nodes")["items"]
    info = node["status"]["nodeInfo"]
    images = {name: image["sizeBytes"] for image in node["status"].get("images", []) for name in image["names"]}
    packed = next((size for name, size in images.items() if name.endswith(kube.REGATE)), None)
    opa = _first(
        r"Version: (\S+)", "docker", "run", "--rm", "--entrypoint", "/opt/regate/bin/opa", kube.REGATE, "version"
    )
    size = _first(r"(\d+)", "docker", "image", "inspect", "--format", "{{.Size}}", kube.REGATE)
    return [
        ("Kubernetes", f"{said['serverVersion']['gitVersion']}, {len(kube.found('nodes')['items'])} node"),
        ("kubelet", info["kubeletVersion"]),
        ("container runtime", info["containerRuntimeVersion"]),
        ("kernel, system", f"{info['kernelVersion']}, {info['osImage']}"),
        ("Flux", f"source-controller and kustomize-controller {os.environ.get('FLUX_VERSION', '1.9.5')}"),
        ("Helm", kube.ran(kube.HELM, "version", "--short").stdout.strip()),
        ("OPA in the image", opa),
        (
            "regate's image",
            f"{int(size or 0) / 1e6:.0f} MB unpacked{f', {packed / 1e6:.0f} MB in the node' if packed else ''}",
        ),
    ]


def _first(pattern: str, *command: str) -> str:
    found = re.search(pattern, kube.ran(*command).stdout)
    return found[1] if found else ""


def _git() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=kube.ROOT, capture_output=True, text=True, check=False).stdout.strip()
