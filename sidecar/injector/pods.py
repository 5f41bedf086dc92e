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
    *("securityContext", "restartPolicy", "lifecycle", "terminationMessagePath"),
)
"""Members of the container by which the sidecar is what it is. Resources and the like may differ."""

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
"""These may differ too, but run no other command in the sidecar: there, commands answer approvals."""

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
        if container.get("name") != NAME:
            yield from (f"container {container.get('name')}: {way}" for way in _ways_through(container, template))
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
    for member in _PROBES:
        command = (found[0].get(member) or {}).get("exec")
        if command and command != (template.container.get(member) or {}).get("exec"):
            return f"the sidecar is not as it is injected: its {member} runs a command"
    held = {one.get("name"): _plain(one) for one in spec.get("volumes") or [] if _is_ours(one)}
    meant = {one["name"]: _plain(one) for one in template.volumes_for(_metadata(pod, "annotations"))}
    if held != meant:
        return "the sidecar is not as it is injected: its volumes differ"
    return None


def _ways_through(container: Mapping[str, Any], template: Template) -> Iterator[str]:
    """What of another container leads past the sidecar."""
    for one in container.get("ports") or []:
        number = one.get("containerPort")
        if one.get("hostPort"):
            yield "hostPort opens the server on the node"
        if one.get("name") == NAME:
            yield f"its port {number} is named {NAME}, so Services lead to it"
        elif number == template.port:
            yield f"its port {number} is the sidecar's"
    if any(_is_ours(one) for one in container.get("volumeMounts") or []):
        yield "mounts a volume of the sidecar's"


def _containers(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or []


def _is_ours(volume: Mapping[str, Any]) -> bool:
    return str(volume.get("name", "")).startswith(f"{NAME}-")


def _metadata(thing: Pod, member: str) -> Mapping[str, str]:
    found = (thing.get("metadata") or {}).get(member) or {}
    return found if isinstance(found, dict) else {}


def _normal(member: str, value: Any) -> Any:
    """A member without what the API server adds by itself."""
    if member == "volumeMounts":
        value = [one for one in value or [] if one.get("mountPath") != _SERVICE_ACCOUNT]
    if member == "terminationMessagePath" and value == _LOG_PATH:
        return None
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
_LOG_PATH = "/dev/termination-log"
