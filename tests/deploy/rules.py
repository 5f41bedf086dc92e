"""What must hold for whatever deploy/ renders, as lists of faults. No test is here."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import translator
from sidecar.settings import file as settings_file
from sidecar.settings.model import Settings
from tests.deploy.objects import Object, Objects, containers

_SUFFIX = {"": 1, "m": Decimal("0.001"), "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}
_ETC = "/etc/regate/"
_SECRETS = "/run/secrets/regate/"


def of_pod(spec: Object) -> Iterator[str]:
    """Breaches of the `restricted` profile and of what we ask beyond it."""
    security = spec.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "seccomp"
    if spec.get("automountServiceAccountToken") is not False:
        yield "a token of the service account is mounted"
    if any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")):
        yield "namespaces of the host, or shared"
    if any("hostPath" in volume for volume in spec.get("volumes", ())):
        yield "hostPath"
    for container in containers(spec):
        yield from (f"{container['name']}: {fault}" for fault in of_container(container))
    uids = [container.get("securityContext", {}).get("runAsUser") for container in containers(spec)]
    if len(set(uids)) != len(uids):
        yield "containers share a uid"


def of_container(container: Object) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("privileged"):
        yield "privileged"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "capabilities"
    if not security.get("runAsUser"):
        yield "runAsUser"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "hostPort"
    requests, limits = (container.get("resources", {}).get(name, {}) for name in ("requests", "limits"))
    for name in ("cpu", "memory"):
        if name not in requests or name not in limits:
            yield f"{name} is without request or limit"
        elif quantity(requests[name]) > quantity(limits[name]):
            yield f"{name}: the request is over the limit"


def of_probes(gateway: Object) -> Iterator[str]:
    """Readiness hangs on judging calls; liveness must not, or an outage becomes a restart loop.

    Beside a server on 127.0.0.1, which no kubelet can ask, readiness asks about it as well.
    """
    ready = "/readyz/servers" if gateway.get("restartPolicy") == "Always" else "/readyz"
    for name, path in (("startupProbe", "/startupz"), ("readinessProbe", ready), ("livenessProbe", "/livez")):
        if gateway.get(name, {}).get("httpGet") != {"path": path, "port": "admin"}:
            yield f"{name} does not ask {path}"


def of_references(rendered: Objects) -> Iterator[str]:
    """Labels and names that must meet."""
    labels = rendered.pod["metadata"]["labels"]
    deployment = rendered.one("Deployment")
    if not _selects(deployment["spec"]["selector"]["matchLabels"], labels):
        yield "the Deployment does not select its pods"
    if not all(_selects(service["spec"]["selector"], labels) for service in rendered.of("Service")):
        yield "a Service does not select the pods"
    for budget in rendered.of("PodDisruptionBudget"):
        if not _selects(budget["spec"]["selector"]["matchLabels"], labels):
            yield "the PodDisruptionBudget does not select the pods"
    for scaler in rendered.of("HorizontalPodAutoscaler"):
        if scaler["spec"]["scaleTargetRef"]["name"] != deployment["metadata"]["name"]:
            yield "the HorizontalPodAutoscaler scales something else"
        if "replicas" in deployment["spec"]:
            yield "the Deployment and the HorizontalPodAutoscaler both set replicas"
    if rendered.of("Secret"):
        yield "a Secret is among the objects"


def of_network(rendered: Objects) -> Iterator[str]:
    """The gateway's pods take calls and scrapes on its two ports only, each from somebody named."""
    labels = rendered.pod["metadata"]["labels"]
    ports = [[port["containerPort"]] for port in rendered.gateway["ports"]]
    own = [
        policy["spec"]
        for policy in rendered.of("NetworkPolicy")
        if _selects(policy["spec"]["podSelector"].get("matchLabels", {}), labels)
        and "Ingress" in policy["spec"]["policyTypes"]
    ]
    if not own:
        yield "no NetworkPolicy closes the pod"
    for rule in (rule for spec in own for rule in spec["ingress"]):
        if not rule.get("from"):
            yield "a NetworkPolicy lets anybody in"
            continue
        selectors = [peer["podSelector"].get("matchLabels", {}) for peer in rule["from"] if "podSelector" in peer]
        if any(_selects(selector, labels) for selector in selectors):
            yield "a NetworkPolicy lets in the gateway, or every pod"
        if [entry["port"] for entry in rule.get("ports", ())] not in ports:
            yield "a NetworkPolicy opens another port than the gateway's"


def settings(rendered: Objects, folder: Path) -> Settings:
    """The settings, loaded as the gateway would, after every file they name was found in a volume and is a policy."""
    where = rendered.files("settings")
    _, name, key = where["regate.yaml"]
    file = folder / "regate.yaml"
    file.write_text(rendered.data(name)[key], encoding="utf-8")
    loaded = settings_file.load(file, environ={})
    for id_, policy in loaded.policies.items():
        _, name, key = where[policy.file.relative_to(folder).as_posix()]
        translator.translate({id_: rendered.data(name)[key].encode()})
    if loaded.bundle is not None:
        assert {key.file.relative_to(folder).as_posix() for key in loaded.bundle.keys} <= set(where)
        local = loaded.bundle.url.removeprefix(f"file://{_ETC}")
        assert "://" in local or local in where
    named = set(re.findall(rf"{_SECRETS}([^\s,}}\"']+)", file.read_text(encoding="utf-8")))
    assert named == (set(rendered.files("secrets")) if named else set())
    mounts = {mount["name"]: mount["mountPath"] for mount in rendered.gateway["volumeMounts"]}
    assert f"{mounts['settings']}/" == _ETC
    assert mounts["state"] == str(loaded.state)
    assert rendered.gateway["args"] == ["serve", "--config", f"{_ETC}regate.yaml"]
    ports = {port["name"]: port["containerPort"] for port in rendered.gateway["ports"]}
    assert (ports["mcp"], f"0.0.0.0:{ports['admin']}") == (loaded.listen_port, loaded.admin_listen)
    return loaded


def quantity(text: str) -> Decimal:
    number, suffix = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()  # type: ignore[union-attr]
    return Decimal(number) * _SUFFIX[suffix]


def _selects(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    return all(labels.get(name) == value for name, value in selector.items())
