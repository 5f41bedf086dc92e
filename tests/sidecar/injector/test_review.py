"""Each question gets one answer: a patch, a refusal with its reasons, or neither."""

import base64
import json
from typing import Any

import jsonpatch
import pytest

from sidecar.errors import ProtocolError
from sidecar.injector import pods
from sidecar.injector.review import Exempt, mutated, validated
from tests.sidecar.injector.objects import TEMPLATE, pod, service

NOBODY = Exempt()


def question(kind: str, thing: dict[str, Any] | None, operation: str = "CREATE", **members: Any) -> bytes:
    request = {
        "uid": "u1",
        "kind": {"group": "", "version": "v1", "kind": kind},
        "namespace": "shop",
        "operation": operation,
        "object": thing,
        **members,
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


def response(answer: bytes) -> dict[str, Any]:
    review = json.loads(answer)
    assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert review["response"]["uid"] == "u1"
    told: dict[str, Any] = review["response"]
    return told


def patched(thing: dict[str, Any], answer: bytes) -> Any:
    told = response(answer)
    assert (told["allowed"], told["patchType"]) == (True, "JSONPatch")
    return jsonpatch.apply_patch(thing, json.loads(base64.b64decode(told["patch"])))


def test_mutated_pod_is_patched_to_what_is_injected() -> None:
    for given in (pod(), pod(initContainers=[{"name": "migrate"}], volumes=[{"name": "data", "emptyDir": {}}])):
        assert patched(given, mutated(question("Pod", given), TEMPLATE)) == pods.injected(given, TEMPLATE)


def test_mutated_service_is_patched_to_lead_to_the_sidecar() -> None:
    made = patched(service(), mutated(question("Service", service(), "UPDATE"), TEMPLATE))
    assert made["spec"]["ports"][0]["targetPort"] == "regate"


@pytest.mark.parametrize(
    ("kind", "thing", "operation"),
    [
        ("Pod", pod(inject=None), "CREATE"),
        ("Pod", pod(), "UPDATE"),
        ("Pod", pods.injected(pod(), TEMPLATE), "CREATE"),
        ("Service", {**service(), "metadata": {"name": "shop"}}, "CREATE"),
        ("Deployment", pod(), "CREATE"),
        ("Pod", None, "DELETE"),
    ],
)
def test_mutated_leaves_what_needs_nothing(kind: str, thing: dict[str, Any] | None, operation: str) -> None:
    assert response(mutated(question(kind, thing, operation), TEMPLATE)) == {"uid": "u1", "allowed": True}


def test_mutated_answers_a_dry_run_with_the_same_patch() -> None:
    given = pod()
    assert mutated(question("Pod", given, dryRun=True), TEMPLATE) == mutated(question("Pod", given), TEMPLATE)


def test_validated_refuses_what_leads_past_with_every_reason() -> None:
    told = response(validated(question("Pod", pod(hostNetwork=True)), TEMPLATE, NOBODY))
    assert (told["allowed"], told["status"]["code"]) == (False, 403)
    assert told["status"]["message"].startswith("regate: there is no sidecar")
    assert "hostNetwork" in told["status"]["message"]


def test_validated_refuses_a_container_for_debugging_that_comes_later() -> None:
    made = pods.injected(pod(), TEMPLATE)
    made["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox"}]
    told = response(validated(question("Pod", made, "UPDATE", subResource="ephemeralcontainers"), TEMPLATE, NOBODY))
    assert "ephemeralContainers" in told["status"]["message"]


def test_validated_asks_again_when_an_image_changes_and_not_when_only_a_label_does() -> None:
    old = pod()
    labelled = {**old, "metadata": {**old["metadata"], "finalizers": ["x"]}}
    assert response(validated(question("Pod", labelled, "UPDATE", oldObject=old), TEMPLATE, NOBODY))["allowed"]
    made = pods.injected(pod(), TEMPLATE)
    changed = {**made, "spec": {**made["spec"], "initContainers": [{**TEMPLATE.container, "image": "other:1"}]}}
    told = response(validated(question("Pod", changed, "UPDATE", oldObject=made), TEMPLATE, NOBODY))
    assert "its image differs" in told["status"]["message"]


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("Pod", pods.injected(pod(), TEMPLATE)),
        ("Service", service(ports=[{"port": 80, "targetPort": "regate"}])),
        ("Pod", None),
        ("ConfigMap", {"spec": {}}),
    ],
)
def test_validated_allows_what_leads_to_the_sidecar(kind: str, thing: dict[str, Any] | None) -> None:
    assert response(validated(question(kind, thing), TEMPLATE, NOBODY))["allowed"]


def test_validated_allows_what_the_operator_exempts_in_its_namespace_only() -> None:
    exempt = Exempt(pods={"shop/backup", "other/default"}, services={"shop/shop"})
    backup = pod(serviceAccountName="backup")
    assert response(validated(question("Pod", backup), TEMPLATE, exempt))["allowed"]
    assert response(validated(question("Service", service()), TEMPLATE, exempt))["allowed"]
    assert not response(validated(question("Pod", pod()), TEMPLATE, exempt))["allowed"]
    assert not response(validated(question("Service", service(), namespace="else"), TEMPLATE, exempt))["allowed"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"x"',
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"apiVersion": "admission.k8s.io/v1"}',
        b'{"apiVersion": "admission.k8s.io/v1", "request": {}}',
        b'{"apiVersion": "admission.k8s.io/v1", "request": {"uid": 1}}',
        b'{"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "object": []}}',
        b'{"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "object": {"spec": []}}}',
        b'{"apiVersion": "admission.k8s.io/v1beta1", "request": {"uid": "u"}}',
    ],
)
def test_what_is_no_question_is_refused(body: bytes) -> None:
    for ask in (lambda: mutated(body, TEMPLATE), lambda: validated(body, TEMPLATE, NOBODY)):
        with pytest.raises(ProtocolError, match="no AdmissionReview"):
            ask()
