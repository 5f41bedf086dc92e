"""Pods: how the sidecar gets in, and what would lead past it. Pure: pods are JSON values, and none is changed in place.

Source: Kubernetes, Sidecar Containers (an init container that restarts always).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.injector.template import NAME, Template

INJECT = "regate.dev/inject"
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_DECIDING = (
    *("image", "command", "args", "workingDir", "env", "envFrom", "ports", "volumeMounts", "volumeDevices"),
    *("securityContext", "restartPolicy", "lifecycle"),
)
"""Members of the container by which the sidecar is what it is. Probes, resources and the like may differ."""

Pod = Mapping[str, Any]


def is_labelled(thing: Pod) -> bool:
    """Does an object ask for the sidecar?"""
    return _metadata(thing, "labels").get(INJECT) == "true"


def injected(pod: Pod, template: Template) -> dict[str, Any]:
    """The pod with the sidecar as its first init container. A pod that has it already stays as it is."""
    spec = pod["spec"]
    others = [one for one in spec.get("initContainers") or [] if one.get("name") != NAME]
    theirs = [one for one in spec.get("volumes") or [] if not _is_ours(one)]
    if _differs(pod, template) is None:
        return dict(pod)
    volumes = template.volumes_for(_metadata(pod, "annotations"))
    return {
        **pod,
        "spec": {**spec, "initContainers": [dict(template.container), *others], "volumes": [*theirs, *volumes]},
    }


def ways_past(pod: Pod, template: Template) -> Iterator[str]:
    """What in a pod leads, or may lead, past the sidecar: one line each."""
    spec = pod["spec"]
    if (fault := _differs(pod, template)) is not None:
        yield fault
    if spec.get("hostNetwork"):
        yield "hostNetwork: whoever reaches the node reaches the server"
    if spec.get("hostPID"):
        yield "hostPID: containers with it may read and stop the sidecar's processes"
    if spec.get("shareProcessNamespace"):
        yield "shareProcessNamespace: other containers may read and stop the sidecar's processes"
    for container in _containers(spec):
        name = container.get("name", "")
        ports = container.get("ports") or []
        if name != NAME and any(one.get("hostPort") for one in ports):
            yield f"container {name}: hostPort opens the server on the node"
        if name != NAME and any(str(one.get("name", "")).startswith(f"{NAME}-") for one in _mounts(container)):
            yield f"container {name}: mounts a volume of the sidecar's"
    if any(one.get("name") == NAME for one in spec.get("containers") or []):
        yield f"a container that is not the sidecar is named {NAME}"
    if spec.get("ephemeralContainers"):
        yield "ephemeralContainers: they share the pod's network, and with it the server's own port"


def _differs(pod: Pod, template: Template) -> str | None:
    spec = pod["spec"]
    found = [one for one in spec.get("initContainers") or [] if one.get("name") == NAME]
    if len(found) != 1:
        return f'there is no sidecar: label the pod {INJECT}: "true"'
    for member in _DECIDING:
        if _normal(member, found[0].get(member)) != _normal(member, template.container.get(member)):
            return f"the sidecar is not as it is injected: its {member} differs"
    held = {one.get("name"): _plain(one) for one in spec.get("volumes") or [] if _is_ours(one)}
    meant = {one["name"]: _plain(one) for one in template.volumes_for(_metadata(pod, "annotations"))}
    if held != meant:
        return "the sidecar is not as it is injected: its volumes differ"
    return None


def _containers(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or []


def _mounts(container: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return container.get("volumeMounts") or []


def _is_ours(volume: Mapping[str, Any]) -> bool:
    return str(volume.get("name", "")).startswith(f"{NAME}-")


def _metadata(thing: Pod, member: str) -> Mapping[str, str]:
    found = (thing.get("metadata") or {}).get(member) or {}
    return found if isinstance(found, dict) else {}


def _normal(member: str, value: Any) -> Any:
    """A member without what the API server adds by itself."""
    if member == "volumeMounts":
        value = [one for one in value or [] if one.get("mountPath") != _SERVICE_ACCOUNT]
    return _plain(value)


def _plain(value: Any) -> Any:
    """A value without empty members and the API server's defaults."""
    if isinstance(value, dict):
        kept = {name: plain for name, one in value.items() if (plain := _plain(one)) not in (None, {}, [], "")}
        return {name: one for name, one in kept.items() if _DEFAULTS.get(name) != one}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


_DEFAULTS = {"protocol": "TCP", "apiVersion": "v1", "defaultMode": 0o644, "scheme": "HTTP", "optional": False}
