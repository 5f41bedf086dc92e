"""deploy/manifests/: the shapes as plain YAML. Needs neither helm nor kustomize; test_render shows that they agree."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.deploy import rules
from tests.deploy.objects import DEPLOY, MANIFESTS, ROOT, Objects, containers, objects

SCHEMAS = ROOT / "tests" / "deploy" / "schemas"


@pytest.fixture(params=MANIFESTS, ids=lambda path: path.stem)
def rendered(request: pytest.FixtureRequest) -> Objects:
    return objects(request.param.read_text(encoding="utf-8"))


def test_manifests_are_there_for_each_shape() -> None:
    assert [path.stem for path in MANIFESTS] == ["agents", "gateway", "sidecar"]


def test_object_is_what_the_api_server_knows(rendered: Objects) -> None:
    for one in rendered.all:
        group, _, version = one["apiVersion"].rpartition("/")
        name = "-".join(part for part in (one["kind"], group.split(".")[0], version) if part).lower()
        jsonschema.Draft7Validator(json.loads((SCHEMAS / f"{name}.json").read_text())).validate(one)


def test_pod_keeps_the_restricted_profile_and_more(rendered: Objects) -> None:
    assert list(rules.of_pod(rendered.pod["spec"])) == []


def test_probes_hang_on_readiness_and_liveness_does_not(rendered: Objects) -> None:
    assert list(rules.of_probes(rendered.gateway)) == []


def test_labels_and_names_meet(rendered: Objects) -> None:
    assert list(rules.of_references(rendered)) == []


def test_network_policy_opens_the_gateways_port_to_somebody_named(rendered: Objects) -> None:
    assert list(rules.of_network(rendered)) == []


def test_settings_are_loaded_with_every_file_they_name(rendered: Objects, tmp_path: Path) -> None:
    loaded = rules.settings(rendered, tmp_path)
    service, namespace = (rendered.one("Service")["metadata"][name] for name in ("name", "namespace"))
    assert {service, f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"} <= loaded.hosts


BREACHES: dict[str, tuple[str, Callable[[Any], object]]] = {
    "root": ("runAsNonRoot", lambda spec: spec["securityContext"].pop("runAsNonRoot")),
    "seccomp": ("seccomp", lambda spec: spec["securityContext"].pop("seccompProfile")),
    "token": ("a token of the service account is mounted", lambda spec: spec.pop("automountServiceAccountToken")),
    "host": ("namespaces of the host, or shared", lambda spec: spec.update(hostNetwork=True)),
    "path": ("hostPath", lambda spec: spec["volumes"].append({"name": "x", "hostPath": {"path": "/"}})),
    "uid": ("containers share a uid", lambda spec: _security(spec, 1).update(runAsUser=65532)),
    "privileged": ("regate: privileged", lambda spec: _security(spec).update(privileged=True)),
    "escalation": ("regate: allowPrivilegeEscalation", lambda spec: _security(spec).pop("allowPrivilegeEscalation")),
    "writable": ("regate: readOnlyRootFilesystem", lambda spec: _security(spec).pop("readOnlyRootFilesystem")),
    "capability": (
        "regate: capabilities",
        lambda spec: _security(spec).update(capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}),
    ),
    "port": ("regate: hostPort", lambda spec: _gateway(spec)["ports"][0].update(hostPort=1)),
    "unbounded": ("regate: memory is without request or limit", lambda spec: _limits(spec).pop("memory")),
    "greedy": ("regate: memory: the request is over the limit", lambda spec: _limits(spec).update(memory="1Mi")),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_breach_of_the_profile_is_found(breach: str) -> None:
    spec = copy.deepcopy(objects((DEPLOY / "manifests" / "sidecar.yaml").read_text(encoding="utf-8")).pod["spec"])
    fault, breaks = BREACHES[breach]
    breaks(spec)
    assert list(rules.of_pod(spec)) == [fault]


def test_server_beside_the_gateway_starts_after_it_and_ends_after_its_drain(tmp_path: Path) -> None:
    rendered = objects((DEPLOY / "manifests" / "sidecar.yaml").read_text(encoding="utf-8"))
    spec, drain = rendered.pod["spec"], rules.settings(rendered, tmp_path).drain
    (gateway,) = spec["initContainers"]
    assert (gateway["name"], gateway["restartPolicy"]) == ("regate", "Always")
    (server,) = spec["containers"]
    pause = server["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert drain.announce_s + drain.finish_s <= pause < spec["terminationGracePeriodSeconds"]
    assert "os.kill(1, 15)" in gateway["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert "127.0.0.1:8000" in server["args"]


def test_agents_may_call_the_gateway_and_names_and_nothing_else() -> None:
    rendered = objects((DEPLOY / "manifests" / "agents.yaml").read_text(encoding="utf-8"))
    (policy,) = (one["spec"] for one in rendered.of("NetworkPolicy") if one["spec"]["policyTypes"] == ["Egress"])
    names, gateway = policy["egress"]
    assert {entry["port"] for entry in names["ports"]} == {53}
    assert gateway["to"] == [{"podSelector": {"matchLabels": rendered.one("Service")["spec"]["selector"]}}]
    assert [entry["port"] for entry in gateway["ports"]] == [8700]


def _gateway(spec: Any) -> Any:
    return next(iter(containers(spec)))


def _security(spec: Any, index: int = 0) -> Any:
    return list(containers(spec))[index]["securityContext"]


def _limits(spec: Any) -> Any:
    return _gateway(spec)["resources"]["limits"]
