"""One AdmissionReview: a question of the API server's, and our answer. Source: Kubernetes admission.k8s.io/v1."""

import base64
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.errors import ProtocolError
from sidecar.injector import pods, services
from sidecar.injector.template import Template


@dataclass(frozen=True, slots=True)
class Exempt:
    """What may go past the sidecar in a governed namespace: `namespace/service-account`, `namespace/service`."""

    pods: Collection[str] = ()
    services: Collection[str] = ()


def mutated(body: bytes, template: Template) -> bytes:
    """The answer with the patch that brings the sidecar in, or without one. Raises: ProtocolError."""
    request = _request(body)
    before = request.get("object") or {}
    after = before
    if pods.is_labelled(before):
        match _kind(request):
            case "Pod" if request.get("operation") == "CREATE":
                after = pods.injected(before, template)
            case "Service":
                after = services.led(before)
    return _answer(request, patch=list(_changes(before, after)) if after != before else None)


def validated(body: bytes, template: Template, exempt: Exempt) -> bytes:
    """The answer that refuses what leads past the sidecar. Raises: ProtocolError."""
    request = _request(body)
    return _answer(request, faults=list(_faults(request, template, exempt)))


def _faults(request: Mapping[str, Any], template: Template, exempt: Exempt) -> Iterator[str]:
    thing, before = request.get("object"), request.get("oldObject")
    if thing is None or (before is not None and before.get("spec") == thing["spec"]):
        return  # whatever else changes, a label or a finalizer, leads nowhere new
    namespace = request.get("namespace", "")
    match _kind(request):
        case "Pod":
            account = thing["spec"].get("serviceAccountName") or "default"
            if f"{namespace}/{account}" not in exempt.pods:
                yield from pods.ways_past(thing, template)
        case "Service":
            name = (thing.get("metadata") or {}).get("name", "")
            if f"{namespace}/{name}" not in exempt.services:
                yield from services.ways_past(thing, template)


def _kind(request: Mapping[str, Any]) -> str:
    kind = request.get("kind")
    return str(kind.get("kind", "")) if isinstance(kind, dict) and kind.get("group") == "" else ""


def _request(body: bytes) -> Mapping[str, Any]:
    try:
        review = json.loads(body)
        request = review["request"]
        known = review["apiVersion"] == "admission.k8s.io/v1" and isinstance(request["uid"], str)
        things = (request.get("object"), request.get("oldObject"))
        known = known and all(thing is None or isinstance(thing.get("spec"), dict) for thing in things)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        known = False
    if not known:
        raise ProtocolError("This is no AdmissionReview of admission.k8s.io/v1.")
    found: Mapping[str, Any] = request
    return found


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for member, value in after["spec"].items():
        if value != before["spec"].get(member):
            yield {"op": "add", "path": f"/spec/{member}", "value": value}


def _answer(
    request: Mapping[str, Any], patch: list[dict[str, Any]] | None = None, faults: list[str] | None = None
) -> bytes:
    response: dict[str, Any] = {"uid": request["uid"], "allowed": not faults}
    if patch is not None:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
    if faults:
        response["status"] = {"code": 403, "reason": "Forbidden", "message": f"regate: {'; '.join(faults)}"}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).encode()
