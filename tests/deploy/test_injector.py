"""The injector's own objects, and the sidecar it ships with. Helm and kustomize say the same of both."""

import copy
import re
import subprocess

import pytest
import yaml

from scripts import render
from sidecar.injector import pods
from sidecar.injector.template import Template
from tests.deploy import rules
from tests.deploy.objects import DEPLOY, Object, Objects, objects
from tests.sidecar.injector.objects import pod

CHART = DEPLOY / "helm" / "regate-injector"
OVERLAY = DEPLOY / "kustomize" / "injector"
COMPONENT = DEPLOY / "kustomize" / "components" / "injector-cert-manager"
TEMPLATE = Template.read(OVERLAY / "sidecar.yaml")

with_tools = pytest.mark.skipif(
    not all((render.TOOLS / name).exists() for name in ("helm", "kustomize")),
    reason="helm and kustomize are not here: `make test-deploy` brings them",
)


def charted(*arguments: str) -> Objects:
    command = [render.TOOLS / "helm", "template", "regate-injector", CHART, "-n", "regate-system", *arguments]
    return objects(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def comparable(rendered: Objects) -> dict[tuple[str, str], Object]:
    """Objects by kind and name, without what only one of the two tools writes: its labels and hashes."""
    made = {}
    for one in copy.deepcopy(rendered.all):
        for metadata in (one["metadata"], one["spec"]["template"]["metadata"] if one["kind"] == "Deployment" else {}):
            for label in ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"):
                metadata.get("labels", {}).pop(label, None)
            if list(metadata.get("annotations", {})) == ["checksum/sidecar"]:
                del metadata["annotations"]
        if one["kind"].endswith("WebhookConfiguration"):
            one["webhooks"].sort(key=lambda webhook: webhook["name"])
        made[one["kind"], one["metadata"]["name"]] = one
    return made


def kustomized(text: str) -> Objects:
    return objects(re.sub(r"\bregate-injector-[a-z0-9]{10}\b", "regate-injector", text))


@with_tools
def test_helm_and_kustomize_say_the_same() -> None:
    assert comparable(charted()) == comparable(kustomized(render.kustomized(OVERLAY)))


@with_tools
def test_helm_and_kustomize_say_the_same_with_cert_manager() -> None:
    folder = render.ROOT / ".cache" / "deploy" / "cert-manager"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kustomization.yaml").write_text(
        "resources: [../../../deploy/kustomize/injector]\n"
        "components: [../../../deploy/kustomize/components/injector-cert-manager]\n"
    )
    with_component = comparable(kustomized(render.kustomized(folder)))
    for one in with_component.values():
        one["metadata"].setdefault("namespace", "regate-system")
    with_chart = comparable(charted("--set", "certificate.by=cert-manager"))
    for one in with_chart.values():
        one["metadata"].setdefault("namespace", "regate-system")
        if one["kind"] == "Certificate":
            del one["metadata"]["labels"]
    for one in with_component.values():
        if one["kind"] == "Certificate":
            one["metadata"].pop("labels", None)
    assert with_component == with_chart


@with_tools
def test_chart_passes_lint_and_refuses_what_it_does_not_know() -> None:
    helm = str(render.TOOLS / "helm")
    assert subprocess.run([helm, "lint", "--strict", CHART], capture_output=True).returncode == 0
    for value in ("replica=1", "failurePolicy.mutating=Maybe", "exemptPods[0]=backup"):
        ran = subprocess.run([helm, "template", CHART, "--set", value], capture_output=True, text=True)
        assert ran.returncode == 1
        assert value.split("=")[0].split(".")[0].split("[")[0] in ran.stderr


@with_tools
def test_injector_is_restricted_and_may_touch_what_it_keeps_and_nothing_else() -> None:
    rendered = charted()
    assert list(rules.of_pod(rendered.pod["spec"])) == []
    assert rendered.one("Role")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["regate-injector-tls"],
            "verbs": ["get", "update"],
        }
    ]
    (rule,) = rendered.one("ClusterRole")["rules"]
    assert (rule["resourceNames"], rule["verbs"]) == (["regate-injector"], ["get", "patch"])


@with_tools
def test_webhooks_fail_closed_and_have_no_side_effects() -> None:
    rendered = charted()
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for webhook in rendered.one(kind)["webhooks"]:
            assert (webhook["failurePolicy"], webhook["sideEffects"]) == ("Fail", "None")


def test_chart_ships_the_sidecar_of_kustomize() -> None:
    assert (CHART / "sidecar.yaml").read_bytes() == (OVERLAY / "sidecar.yaml").read_bytes()


def test_injected_sidecar_leads_past_nothing_and_probes_as_the_other_shapes_do() -> None:
    made = pods.injected(pod(), TEMPLATE)
    assert list(pods.ways_past(made, TEMPLATE)) == []
    (container,) = made["spec"]["initContainers"]
    assert list(rules.of_container(container)) == []
    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/startupz",
        "readinessProbe": "/readyz/servers",
        "livenessProbe": "/livez",
    }
    assert container["lifecycle"] == {
        "preStop": {"exec": {"command": ["python", "-I", "-S", "-c", "import os; os.kill(1, 15)"]}}
    }
    assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in TEMPLATE.volumes}


def test_component_of_cert_manager_is_yaml() -> None:
    assert yaml.safe_load((COMPONENT / "kustomization.yaml").read_text())["kind"] == "Component"
