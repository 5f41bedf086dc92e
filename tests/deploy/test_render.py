"""Helm and kustomize render the same objects, and what they render is sound. `make test-deploy` brings the tools."""

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import render
from tests.deploy import rules
from tests.deploy.objects import DEPLOY, ROOT, Object, Objects, objects

CHART = DEPLOY / "helm" / "regate"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
NAMES = [path.name.removesuffix("-values.yaml") for path in VALUES]
SCHEMAS = "tests/deploy/schemas/{{.ResourceKind}}{{.KindSuffix}}.json"

pytestmark = [
    pytest.mark.skipif(
        not all((render.TOOLS / name).exists() for name in ("helm", "kustomize", "kubeconform")),
        reason="helm, kustomize and kubeconform are not here: `make test-deploy` brings them",
    ),
]


def _helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(render.TOOLS / "helm"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def _charted(name: str, *arguments: str) -> str:
    ran = _helm(
        "template", "regate", str(CHART), "-n", "mcp", "-f", str(CHART / "ci" / f"{name}-values.yaml"), *arguments
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _comparable(rendered: Objects) -> dict[tuple[str, str], Object]:
    """Objects by kind and name, without what only one of the two tools writes: its labels, hashes and hooks."""
    made = {}
    for one in copy.deepcopy(rendered.all):
        if "helm.sh/hook" in one["metadata"].get("annotations", {}):
            continue
        for label in ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"):
            one["metadata"]["labels"].pop(label, None)
        if one["kind"] == "Deployment":
            one["spec"]["template"]["metadata"].pop("annotations", None)
            one["spec"]["template"]["spec"]["volumes"].sort(key=lambda volume: volume["name"])
        if "regate.yaml" in one.get("data", {}):
            one["data"]["regate.yaml"] = yaml.safe_load(one["data"]["regate.yaml"])
        made[one["kind"], one["metadata"]["name"]] = one
    return made


def test_every_values_file_has_its_overlay() -> None:
    assert sorted(NAMES) == sorted(path.name for path in render.OVERLAYS.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_helm_and_kustomize_say_the_same(name: str) -> None:
    kustomized = re.sub(
        r"\bregate-settings-[a-z0-9]{10}\b", "regate-settings", render.kustomized(render.OVERLAYS / name)
    )
    assert _comparable(objects(_charted(name))) == _comparable(objects(kustomized))


@pytest.mark.parametrize("name", NAMES)
def test_chart_renders_what_is_sound(name: str, tmp_path: Path) -> None:
    rendered = objects(_charted(name))
    assert list(rules.of_pod(rendered.pod["spec"])) == []
    assert list(rules.of_probes(rendered.gateway)) == []
    assert list(rules.of_references(rendered)) == []
    assert list(rules.of_network(rendered)) == []
    rules.settings(rendered, tmp_path)
    for pod in rendered.of("Pod"):
        assert list(rules.of_pod(pod["spec"])) == []


@pytest.mark.parametrize("name", NAMES)
def test_chart_passes_lint_with(name: str) -> None:
    ran = _helm("lint", "--strict", str(CHART), "-f", str(CHART / "ci" / f"{name}-values.yaml"))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tool", ["helm", "kustomize"])
def test_kubeconform_knows_every_field(tool: str, name: str) -> None:
    text = _charted(name) if tool == "helm" else render.kustomized(render.OVERLAYS / name)
    ran = _conform(text)
    assert ran.returncode == 0, ran.stdout
    assert "Skipped: 0" in ran.stdout


@pytest.mark.parametrize("by", ["self", "cert-manager"])
def test_kubeconform_knows_every_field_of_the_injectors_chart(by: str) -> None:
    chart = str(DEPLOY / "helm" / "regate-injector")
    ran = _conform(_helm("template", "regate-injector", chart, "--set", f"certificate.by={by}").stdout)
    assert ran.returncode == 0, ran.stdout


def test_kubeconform_knows_every_field_of_the_injectors_overlay() -> None:
    ran = _conform(render.kustomized(DEPLOY / "kustomize" / "injector"))
    assert ran.returncode == 0, ran.stdout


def test_kubeconform_refuses_a_field_that_nobody_knows() -> None:
    assert _conform(_charted("sidecar").replace("readOnlyRootFilesystem", "readonlyRootFilesystem")).returncode == 1


def test_manifests_are_current() -> None:
    for path, text in render.manifests().items():
        assert path.read_text(encoding="utf-8") == text, "run: make render"


REFUSED = {
    "settings.listen_port=8701": "the chart sets it",
    "settings.servers={}": "servers",
    "settings.grants={}": "nobody may call",
    "settings.listen_prot=1": "listen_prot",
    'shape="router"': "shape",
    "replica=2": "replica",
    'policyFiles={"careful.json": {"version": "1"}}': "policyFiles",
    'server.image=""': "the MCP server that stands beside the gateway",
    "runAsUser=0": "runAsUser",
    'settings.policies={"other": {"file": "policies/other.json"}}': "policies/other.json is in no policyFiles",
}


@pytest.mark.parametrize("value", REFUSED)
def test_chart_refuses(value: str) -> None:
    ran = _helm("template", str(CHART), "-f", str(CHART / "ci" / "sidecar-values.yaml"), "--set-json", value)
    assert ran.returncode == 1
    assert REFUSED[value] in ran.stderr


@pytest.mark.parametrize("more", ["replicas=2", "autoscaling.enabled=true"])
def test_several_replicas_need_what_they_share(more: str) -> None:
    ran = _helm("template", str(CHART), "-f", str(CHART / "ci" / "sidecar-values.yaml"), "--set", more)
    assert ran.returncode == 1
    assert "count together in Redis" in ran.stderr


def test_several_replicas_are_not_declared_as_one() -> None:
    values = ["-f", str(CHART / "ci" / "gateway-values.yaml"), "--set", "settings.replicas=one"]
    ran = _helm("template", str(CHART), *values)
    assert ran.returncode == 1
    assert "there is more than one" in ran.stderr


@pytest.mark.parametrize(("replicas", "affinity"), [("several", None), ("sticky", "ClientIP")])
def test_service_keeps_clients_where_replicas_are_sticky(replicas: str, affinity: str | None) -> None:
    rendered = objects(_charted("gateway", "--set", f"settings.replicas={replicas}"))
    assert rendered.one("Service")["spec"].get("sessionAffinity") == affinity


def test_chart_keeps_whole_numbers_whole(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("settings: {body_limit_bytes: 104857600}", encoding="utf-8")
    rendered = objects(_charted("gateway", "-f", str(values)))
    assert rules.settings(rendered, tmp_path).body_limit_bytes == 104857600


def test_chart_keeps_the_text_of_a_policy(tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    text = '{"version": "1", "default": "deny", "tools": {"pay": {"deny_if": [{"conditions": [\n'
    text += '{"path": "args.n", "op": "gt", "value": 12345678901234567890}], "on_deny": "{{ no }} \\u2028 ${x}"}]}}}\n'
    file.write_text(text, encoding="utf-8")
    rendered = objects(_charted("gateway", "--set-file", f"policyFiles.careful\\.json={file}"))
    assert rendered.data("regate-policies")["careful.json"] == text


def test_change_of_settings_replaces_the_pods_and_a_change_of_policy_does_not() -> None:
    def marks(*arguments: str) -> Any:
        return objects(_charted("gateway", *arguments)).pod["metadata"]["annotations"]

    assert marks() != marks("--set", "settings.log_level=debug")
    assert marks() == marks("--set", "policyFiles.careful\\.json=changed")


def test_client_certificates_need_the_authority_in_the_secret(tmp_path: Path) -> None:
    rendered = objects(_charted("gateway-guarded", "--set", "tls.clientCa=ca.crt"))
    assert rules.settings(rendered, tmp_path).tls is not None
    assert rendered.files("secrets")["tls/ca.crt"] == ("secret", "regate-tls", "ca.crt")


def test_bundle_in_a_config_map_is_a_file_for_the_gateway(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    text = "settings: {policies: null, bundle: {url: file:///etc/regate/policies/bundle.tar.gz, unsigned: true}}\n"
    values.write_text(text + "policyFiles: null\npolicyConfigMaps: [{name: ours, keys: [bundle.tar.gz]}]\n")
    rendered = objects(_charted("agents", "-f", str(values)))
    assert rendered.files("settings")["policies/bundle.tar.gz"] == ("configMap", "ours", "bundle.tar.gz")
    assert rules.settings(rendered, tmp_path).bundle is not None


def _conform(text: str) -> subprocess.CompletedProcess[str]:
    command = [str(render.TOOLS / "kubeconform"), "-strict", "-summary", "-schema-location", SCHEMAS, "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT, timeout=100)
