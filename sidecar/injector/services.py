"""Services: how they are led to the sidecar's port, and which lead elsewhere. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.injector.template import NAME, Template

PORTS = "regate.dev/ports"
"""Annotation: the ports (numbers or names, with commas) of a Service that lead to the server; without it, all."""

Service = Mapping[str, Any]


def led(service: Service) -> dict[str, Any]:
    """The Service with the sidecar's port as the target of those that led to the server."""
    spec = service["spec"]
    annotations = (service.get("metadata") or {}).get("annotations") or {}
    chosen = {one.strip() for one in annotations.get(PORTS, "").split(",")} - {""}
    ports = [
        {**one, "targetPort": NAME} if not chosen or chosen & {str(one.get("port")), one.get("name")} else one
        for one in spec.get("ports") or []
    ]
    return {**service, "spec": {**spec, "ports": ports}}


def ways_past(service: Service, template: Template) -> Iterator[str]:
    """The ports of a Service that lead to pods, and not to their sidecar: one line each."""
    spec = service["spec"]
    if not spec.get("selector") or spec.get("type") == "ExternalName":
        return
    for one in spec.get("ports") or []:
        target = one.get("targetPort", one.get("port"))
        if target not in (NAME, template.port):
            yield f"port {one.get('port')} leads to {target}, past the sidecar's port {NAME}"
        elif spec.get("clusterIP") == "None" and one.get("port") != template.port:
            yield (
                f"port {one.get('port')} is of a headless Service, so clients call the pods' own port "
                f"{one.get('port')}, not the sidecar's {template.port}"
            )
