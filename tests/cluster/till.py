"""The sample server with its gateway, as each way of installing has it. No test is here."""

import json
from typing import Any

from tests.cluster import kube
from tests.cluster.kube import POLICY, TOKEN

SERVERS = {"till": {"url": "http://127.0.0.1:8000/mcp", "transport": "http"}}
GRANT = {"server": "till", "policy": "careful", "token_file": "/run/secrets/regate/token"}


def chart_values(**settings: Any) -> dict[str, Any]:
    """Those of the chart in the shape `sidecar`, before the sample server."""
    return {
        "shape": "sidecar",
        "image": kube.image_values(),
        "server": {"name": "till", "image": kube.SAMPLE},
        "settings": {"servers": SERVERS, "grants": {"ci": GRANT}, **settings},
        "secretFiles": {"token": {"name": "regate-tokens", "key": "ci"}},
    }


def install(namespace: str, values: dict[str, Any]) -> str:
    """The chart, until its pods are ready; the URL to call."""
    kube.apply(kube.secret("regate-tokens", ci=TOKEN), namespace=namespace)
    kube.helm("install", "regate", kube.DEPLOY / "helm" / "regate", "-n", namespace, values=values)
    kube.rolled_out("regate", namespace)
    return f"http://regate.{namespace}.svc:8700/mcp"


def careful(namespace: str, **more: Any) -> str:
    """The chart with the policy in a file; the URL to call."""
    values = chart_values(policies={"careful": {"file": "policies/careful.json"}})
    return install(namespace, {**values, "policyFiles": {"careful.json": json.dumps(POLICY)}, **more})


def injected(namespace: str, name: str = "till") -> list[kube.Object]:
    """A pod and its Service, labelled for the injector, and what the sidecar is told."""
    settings = {
        "listen_host": "0.0.0.0",
        "listen_port": 8700,
        "admin_listen": "0.0.0.0:8701",
        "state": "/state",
        "allowed_hosts": [f"{name}.{namespace}.svc"],
        "servers": SERVERS,
        "policies": {"careful": {"file": "/etc/regate/policies/careful.json"}},
        "grants": {"ci": GRANT},
    }
    label = {"regate.dev/inject": "true"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": label},
        "spec": {"selector": {"app": name}, "ports": [{"name": "mcp", "port": 80, "targetPort": 8000}]},
    }
    return [
        kube.configmap("regate-config", **{"regate.yaml": json.dumps(settings)}),
        kube.configmap("regate-policies", **{"careful.json": json.dumps(POLICY)}),
        kube.secret("regate-secret", token=TOKEN),
        kube.pod(name, {}, label),
        service,
    ]
