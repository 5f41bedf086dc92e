"""A governed namespace: what leads past the sidecar is refused. And the injector's certificate, renewed."""

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster import kube, till
from tests.cluster.kube import Agent, Object, Record

LABELS = {"regate.dev/governed": "true"}
LABELLED = {"regate.dev/inject": "true"}


@pytest.fixture(scope="module")
def agent(namespace: str, injector: str) -> Agent:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "agent"}}
    kube.apply(account, namespace=namespace)
    return Agent(namespace, account="agent")


def test_pod_of_an_exempted_service_account_passes(agent: Agent) -> None:
    """In a governed namespace, a pod of an exempted service account needs no sidecar."""
    (container,) = kube.found("-n", agent.namespace, "pod", "agent")["spec"]["containers"]
    assert container["name"] == "main"


def test_governed_pod_serves(namespace: str, agent: Agent) -> None:
    """An injected pod passes there, and is governed."""
    kube.apply(*till.injected(namespace), namespace=namespace)
    kube.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/till", f"--timeout={kube.DEADLINE_S}s")
    url = f"http://till.{namespace}.svc/mcp"
    _, (balance, pay) = agent.does(url, ("balance", {}), ("pay", {"to": "ann", "amount": 500}))
    assert balance == (False, "1000")
    assert pay[0]


def service(**port: Any) -> Object:
    ports = [{"name": "mcp", "port": 80, "targetPort": 8000, **port}]
    spec = {"selector": {"app": "till"}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "past"}, "spec": spec}


PAST: dict[str, tuple[Callable[[], Object], str]] = {
    "a pod without the sidecar": (lambda: kube.pod("past", {}), "there is no sidecar"),
    "a Service that leads past it": (service, "past the sidecar's port"),
    "a port of the node": (
        lambda: kube.pod("past", {"ports": [{"containerPort": 8000, "hostPort": 8000}]}, LABELLED),
        "hostPort",
    ),
    "a container with the sidecar's state": (
        lambda: kube.pod("past", {"volumeMounts": [{"name": "regate-state", "mountPath": "/x"}]}, LABELLED),
        "mounts a volume of the sidecar's",
    ),
}


@pytest.mark.parametrize("name", PAST)
def test_what_leads_past_the_sidecar_is_refused(namespace: str, injector: str, name: str) -> None:
    """In a governed namespace is refused:"""
    made, said = PAST[name]
    refused = kube.create(made(), namespace)
    assert refused.returncode != 0
    assert said in refused.stderr or said == "hostPort" in refused.stderr
    kind = made()["kind"].lower()
    assert kube.ran("kubectl", "-n", namespace, "get", kind, "past").returncode != 0


def test_pod_on_the_nodes_network_is_refused(namespace: str, injector: str) -> None:
    """`hostNetwork` is refused by the injector too, in a namespace that does not enforce `restricted`."""
    label = ("label", "namespace", namespace, "--overwrite")
    kube.kubectl(*label, "pod-security.kubernetes.io/enforce=privileged")
    try:
        refused = kube.create(kube.pod("past", {}, LABELLED, hostNetwork=True), namespace)
    finally:
        kube.kubectl(*label, "pod-security.kubernetes.io/enforce=restricted")
    assert refused.returncode != 0
    assert "hostNetwork: whoever reaches the node" in refused.stderr


def test_container_for_debugging_is_refused(namespace: str, agent: Agent) -> None:
    """`kubectl debug` of a governed pod is refused."""
    refused = kube.ran(
        *("kubectl", "-n", namespace, "debug", "till", f"--image={kube.SAMPLE}", "--image-pull-policy=IfNotPresent"),
        *("--profile=restricted", "--attach=false", "--", "python", "-c", "pass"),
    )
    assert refused.returncode != 0
    assert "ephemeralContainers: they share the pod's network" in refused.stderr
    assert "ephemeralContainers" not in kube.found("-n", namespace, "pod", "till")["spec"]


def test_certificate_that_is_gone_is_made_anew_trusted_and_used(
    injector: str, namespace: str, agent: Agent, record_property: Record
) -> None:
    """The injector's Secret is emptied: a new certificate is made, trusted by both webhook configurations, and shown by
    every replica; pods are injected as before."""

    def trusted() -> set[str]:
        kinds = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
        found = [hook for kind in kinds for hook in kube.found(kind, "regate-injector")["webhooks"]]
        return {base64.b64decode(hook["clientConfig"].get("caBundle", "")).decode() for hook in found}

    def shown() -> list[str]:
        pods = kube.found("-n", injector, "pods", "-l", "app.kubernetes.io/name=regate-injector")["items"]
        script = "import ssl, sys; print(ssl.get_server_certificate((sys.argv[1], 8443)))"
        return [agent.runs("python", "-c", script, pod["status"]["podIP"]).stdout.strip() for pod in pods]

    def kept(name: str) -> str:
        data = kube.found("-n", injector, "secret", "regate-injector-tls").get("data") or {}
        return base64.b64decode(data.get(name, "")).decode().strip()

    (before,), certificate = trusted(), kept("tls.crt")
    assert certificate
    assert set(shown()) == {certificate}
    began = time.monotonic()
    kube.kubectl("-n", injector, "patch", "secret", "regate-injector-tls", "--type=json", "-p", EMPTIED)
    kube.eventually(lambda: kept("tls.crt") not in ("", certificate), "a new certificate")
    record_property("made after", f"{time.monotonic() - began:.0f} s")
    kube.eventually(lambda: len(trusted()) == 1 and before not in trusted(), "the new authority is trusted")
    (now,) = trusted()
    assert kept("ca.crt") == now.strip()
    kube.eventually(lambda: set(shown()) == {kept("tls.crt")}, "both replicas show it")
    record_property("shown by all after", f"{time.monotonic() - began:.0f} s")
    done = kube.create(kube.pod("tried", {}, LABELLED), namespace, "--dry-run=server", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert '"name": "regate"' in done.stdout


EMPTIED = '[{"op": "remove", "path": "/data"}]'
