"""A template, and the smallest pod and Service that it is for."""

from typing import Any

from sidecar.injector.template import Template

SIDECAR: dict[str, Any] = {
    "container": {
        "name": "regate",
        "image": "regate:1",
        "args": ["serve", "--config", "/etc/regate/regate.yaml"],
        "ports": [{"name": "regate", "containerPort": 8700}],
        "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "regate"}},
        "securityContext": {"runAsNonRoot": True, "allowPrivilegeEscalation": False},
        "volumeMounts": [{"name": "regate-config", "mountPath": "/etc/regate", "readOnly": True}],
    },
    "volumes": [
        {"name": "regate-config", "configMap": {"name": "regate"}},
        {"name": "regate-secret", "secret": {"secretName": "regate", "optional": True}},
        {"name": "regate-state", "emptyDir": {}},
    ],
}
TEMPLATE = Template.made(SIDECAR, "sidecar.yaml")


def pod(annotations: dict[str, str] | None = None, inject: str | None = "true", **spec: Any) -> dict[str, Any]:
    labels = {"app": "shop"} if inject is None else {"app": "shop", "regate.dev/inject": inject}
    return {
        "metadata": {"name": "shop", "labels": labels, "annotations": annotations or {}},
        "spec": {"containers": [{"name": "server", "image": "shop:1", "ports": [{"containerPort": 8080}]}], **spec},
    }


def service(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "shop", "labels": {"regate.dev/inject": "true"}, "annotations": annotations or {}},
        "spec": {"selector": {"app": "shop"}, "ports": [{"name": "mcp", "port": 80, "targetPort": 8080}], **spec},
    }
