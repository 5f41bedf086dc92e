"""A pod gets the sidecar once, and nothing in it leads past without being named."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from sidecar.injector import pods
from tests.sidecar.injector.objects import TEMPLATE, pod


def defaulted(given: dict[str, Any]) -> dict[str, Any]:
    """A pod as the API server hands it out: with its defaults, and the service account's token mounted."""
    made = deepcopy(given)
    for container in [*made["spec"].get("initContainers", []), *made["spec"]["containers"]]:
        container |= {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"}
        container.setdefault("resources", {})
        container.setdefault("volumeMounts", []).append(
            {"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
        )
        for port in container.get("ports", []):
            port["protocol"] = "TCP"
        for variable in container.get("env", []):
            variable["valueFrom"]["fieldRef"]["apiVersion"] = "v1"
    for volume in made["spec"].get("volumes", []):
        for kind in ("configMap", "secret"):
            if kind in volume:
                volume[kind]["defaultMode"] = 420
    made["spec"].setdefault("volumes", []).append({"name": "kube-api-access", "projected": {"sources": []}})
    return made


def test_injected_has_the_sidecar_first_and_all_else_as_it_was() -> None:
    given = pod(initContainers=[{"name": "migrate", "image": "m"}], volumes=[{"name": "data", "emptyDir": {}}])
    before = deepcopy(given)
    made = pods.injected(given, TEMPLATE)
    assert given == before
    assert made["metadata"] == given["metadata"]
    assert made["spec"]["containers"] == given["spec"]["containers"]
    assert made["spec"]["initContainers"] == [TEMPLATE.container, {"name": "migrate", "image": "m"}]
    assert made["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}, *TEMPLATE.volumes]
    assert list(pods.ways_past(made, TEMPLATE)) == []


@pytest.mark.parametrize("annotations", [{}, {"regate.dev/config": "mine"}])
def test_injected_twice_or_defaulted_between_is_as_once(annotations: dict[str, str]) -> None:
    once = pods.injected(pod(annotations), TEMPLATE)
    assert pods.injected(once, TEMPLATE) == once
    assert pods.injected(defaulted(once), TEMPLATE) == defaulted(once)
    assert list(pods.ways_past(defaulted(once), TEMPLATE)) == []


def test_injected_replaces_a_sidecar_and_volumes_that_are_somebody_elses() -> None:
    forged = pods.injected(pod(), TEMPLATE)
    forged["spec"]["initContainers"] = [{**TEMPLATE.container, "image": "other:1"}]
    forged["spec"]["volumes"] = [{"name": "regate-config", "hostPath": {"path": "/"}}]
    assert pods.injected(forged, TEMPLATE) == pods.injected(pod(), TEMPLATE)


def test_is_labelled_means_exactly_true() -> None:
    assert pods.is_labelled(pod())
    for label in (None, "false", "True", ""):
        assert not pods.is_labelled(pod(inject=label))
    assert not pods.is_labelled({"metadata": None})


def changed(**members: Any) -> dict[str, Any]:
    made = pods.injected(pod(), TEMPLATE)
    made["spec"]["initContainers"] = [{**TEMPLATE.container, **members}]
    return made


def with_spec(**members: Any) -> dict[str, Any]:
    made = pods.injected(pod(), TEMPLATE)
    return {**made, "spec": {**made["spec"], **members}}


SERVER = {"name": "server", "image": "shop:1"}
PAST = {
    "no sidecar": (pod(), "there is no sidecar"),
    "not labelled": (pod(inject=None), "there is no sidecar"),
    "another image": (changed(image="other:1"), "its image differs"),
    "another command": (changed(command=["sleep"]), "its command differs"),
    "other arguments": (changed(args=[]), "its args differs"),
    "another environment": (changed(env=[{"name": "REGATE_AUTH", "value": "false"}]), "its env differs"),
    "an environment from elsewhere": (changed(envFrom=[{"configMapRef": {"name": "x"}}]), "its envFrom differs"),
    "another port": (changed(ports=[{"name": "regate", "containerPort": 1}]), "its ports differs"),
    "a mount more": (
        changed(volumeMounts=[*TEMPLATE.container["volumeMounts"], {"name": "x", "mountPath": "/etc/regate/x"}]),
        "its volumeMounts differs",
    ),
    "more privileges": (changed(securityContext={"privileged": True}), "its securityContext differs"),
    "not restarted": (changed(restartPolicy=None), "its restartPolicy differs"),
    "a hook": (changed(lifecycle={"postStart": {"exec": {"command": ["x"]}}}), "its lifecycle differs"),
    "another volume": (with_spec(volumes=[{"name": "regate-config", "emptyDir": {}}]), "its volumes differ"),
    "the node's network": (with_spec(hostNetwork=True), "hostNetwork"),
    "processes in common": (with_spec(shareProcessNamespace=True), "shareProcessNamespace"),
    "the node's processes": (with_spec(hostPID=True), "hostPID"),
    "a port of the node": (
        with_spec(containers=[{**SERVER, "ports": [{"containerPort": 8080, "hostPort": 8080}]}]),
        "container server: hostPort",
    ),
    "the sidecar's volume": (
        with_spec(containers=[{**SERVER, "volumeMounts": [{"name": "regate-state", "mountPath": "/x"}]}]),
        "container server: mounts a volume of the sidecar's",
    ),
    "the sidecar's name": (with_spec(containers=[{**SERVER, "name": "regate"}]), "is named regate"),
    "a port of the sidecar's name": (
        with_spec(containers=[{**SERVER, "ports": [{"name": "regate", "containerPort": 8080}]}]),
        "container server: its port 8080 is named regate",
    ),
    "the sidecar's port": (
        with_spec(containers=[{**SERVER, "ports": [{"containerPort": 8700}]}]),
        "container server: its port 8700 is the sidecar's",
    ),
    "a command as a probe": (
        changed(livenessProbe={"exec": {"command": ["regate", "approvals", "approve", "apr_1"]}}),
        "its livenessProbe runs a command",
    ),
    "a file over one of its own": (
        changed(terminationMessagePath="/etc/regate/regate.yaml"),
        "its terminationMessagePath differs",
    ),
    "a container for debugging": (with_spec(ephemeralContainers=[{"name": "debug"}]), "ephemeralContainers"),
}


@pytest.mark.parametrize("name", PAST)
def test_way_past_is_named(name: str) -> None:
    given, said = PAST[name]
    assert [one for one in pods.ways_past(given, TEMPLATE) if said in one]


@pytest.mark.parametrize("name", ["readinessProbe", "resources", "imagePullPolicy", "terminationMessagePolicy"])
def test_what_does_not_decide_may_differ(name: str) -> None:
    assert list(pods.ways_past(changed(**{name: {"x": "y"}}), TEMPLATE)) == []


def test_what_the_api_server_adds_does_not_decide() -> None:
    assert list(pods.ways_past(changed(terminationMessagePath="/dev/termination-log"), TEMPLATE)) == []


def test_probe_of_the_template_may_run_a_command() -> None:
    probe = {"exec": {"command": ["regate", "health"]}}
    template = replace(TEMPLATE, container={**TEMPLATE.container, "livenessProbe": probe})
    assert list(pods.ways_past(pods.injected(pod(), template), template)) == []
