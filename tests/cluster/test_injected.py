"""A pod that got its sidecar from the injector, which its chart has installed with a certificate of its own making."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.cluster import kube, till
from tests.cluster.kube import Agent, Record

LABELLED = {"regate.dev/inject": "true"}
CALLS = [("balance", {}), ("pay", {"to": "ann", "amount": 500}), ("calls", {})]


@pytest.fixture(scope="module")
def governed(namespace: str, injector: str) -> kube.Object:
    """The pod, ready, as the API server has it."""
    kube.apply(*till.injected(namespace), namespace=namespace)
    kube.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/till", f"--timeout={kube.DEADLINE_S}s")
    return kube.found("-n", namespace, "pod", "till")


def test_injected_pod_is_governed_through_its_service(
    namespace: str, agent: Agent, injector: str, record_property: Record, request: pytest.FixtureRequest
) -> None:
    """A labelled pod gets the sidecar, a labelled Service leads to it; through it a call is allowed, and one denied
    that never reaches the server."""
    began = time.monotonic()
    pod = request.getfixturevalue("governed")
    record_property("pod ready in", f"{time.monotonic() - began:.1f} s")
    assert [one["name"] for one in pod["spec"]["initContainers"]] == ["regate"]
    service = kube.found("-n", namespace, "service", "till")
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["regate"]
    _, (balance, pay, (_, reached)) = agent.does(f"http://till.{namespace}.svc/mcp", *CALLS)
    assert balance == (False, "1000")
    assert pay[0]
    assert "Too much." in pay[1]
    assert json.loads(reached) == {"balance": 1}


def test_second_apply_changes_nothing(namespace: str, governed: kube.Object) -> None:
    """The same manifests applied again change neither pod nor Service."""
    kube.apply(*till.injected(namespace), namespace=namespace)
    again = kube.found("-n", namespace, "pod", "till")
    assert again["spec"] == governed["spec"]
    assert again["metadata"]["uid"] == governed["metadata"]["uid"]
    copied = {"metadata": {**governed["metadata"], "name": "copied"}, "spec": governed["spec"]}
    for member in ("uid", "resourceVersion"):
        del copied["metadata"][member]
    done = kube.create({"apiVersion": "v1", "kind": "Pod", **copied}, namespace, "--dry-run=server", "-o", "json")
    assert done.returncode == 0, done.stderr
    (made,) = json.loads(done.stdout).get("items", [json.loads(done.stdout)])
    assert made["spec"]["initContainers"] == governed["spec"]["initContainers"]
    assert made["spec"]["volumes"] == governed["spec"]["volumes"]


def test_dry_run_shows_the_sidecar_and_changes_nothing(namespace: str, injector: str) -> None:
    """`--dry-run=server` shows the sidecar, and makes nothing."""
    done = kube.create(kube.pod("tried", {}, LABELLED), namespace, "--dry-run=server", "-o", "json")
    assert done.returncode == 0, done.stderr
    (made,) = json.loads(done.stdout).get("items", [json.loads(done.stdout)])
    assert [one["name"] for one in made["spec"]["initContainers"]] == ["regate"]
    assert kube.ran("kubectl", "-n", namespace, "get", "pod", "tried").returncode != 0


@pytest.fixture
def gone(injector: str) -> Iterator[None]:
    """No injector answers, for as long as a test runs."""

    def scaled(replicas: int) -> None:
        kube.kubectl("-n", injector, "scale", "deployment/regate-injector", f"--replicas={replicas}")
        words = ("-n", injector, "endpointslices", "-l", "kubernetes.io/service-name=regate-injector")

        def answering() -> int:
            endpoints = [one for part in kube.found(*words)["items"] for one in part["endpoints"] or []]
            return sum(one["conditions"]["ready"] for one in endpoints)

        kube.eventually(lambda: answering() == replicas, f"{replicas} injectors answer")

    scaled(0)
    selected = ("-n", injector, "-l", "app.kubernetes.io/name=regate-injector")
    kube.kubectl("wait", "--for=delete", "pods", *selected, f"--timeout={kube.DEADLINE_S}s")
    yield
    scaled(2)


def test_without_an_injector_labelled_pods_are_refused_and_others_are_not(namespace: str, gone: None) -> None:
    """With `failurePolicy: Fail` and no injector, a labelled pod is refused; one without the label is not."""
    refused = kube.create(kube.pod("orphan", {}, LABELLED), namespace)
    assert refused.returncode != 0
    assert "failed calling webhook" in refused.stderr
    assert kube.ran("kubectl", "-n", namespace, "get", "pod", "orphan").returncode != 0
    plain = kube.create(kube.pod("plain", {}, terminationGracePeriodSeconds=1), namespace)
    assert plain.returncode == 0, plain.stderr
