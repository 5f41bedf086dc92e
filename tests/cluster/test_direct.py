"""A pod that tries to get past the gateway, to the server itself."""

import pytest

from tests.cluster import kube, till
from tests.cluster.kube import Agent, Record


@pytest.fixture(scope="module")
def address(namespace: str, agent: Agent) -> str:
    """That of a pod with the sidecar."""
    till.careful(namespace)
    (pod,) = kube.found("-n", namespace, "pods", "-l", "app.kubernetes.io/name=regate")["items"]
    return str(pod["status"]["podIP"])


def test_server_on_the_loopback_refuses_other_pods(address: str, agent: Agent, record_property: Record) -> None:
    """A server that listens on 127.0.0.1 cannot be reached from another pod, whatever network policies say."""
    assert agent.connects(address, 8700) == "open"
    found = agent.connects(address, 8000)
    assert found in ("refused", "silent")
    record_property("a connection to its port is", found)


def test_call_without_a_token_is_refused(address: str, agent: Agent) -> None:
    """The gateway's own port answers no call without a token."""
    script = (
        "import sys, urllib.request, urllib.error\n"
        "request = urllib.request.Request(sys.argv[1], b'{}', {'content-type': 'application/json'})\n"
        "try: urllib.request.urlopen(request)\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
    )
    done = agent.runs("python", "-c", script, f"http://regate.{agent.namespace}.svc:8700/mcp")
    assert done.stdout.strip() == "401", done.stdout + done.stderr


def test_network_policy_holds_where_it_is_enforced(address: str, agent: Agent, record_property: Record) -> None:
    """Whether this network enforces NetworkPolicies, as Calico's, Cilium's, Antrea's and kube-router's do:
    the chart's opens the gateway's port to the agent, and not its port for probes."""
    policies = kube.found("-n", agent.namespace, "networkpolicies")["items"]
    opened = {port["port"] for one in policies for rule in one["spec"]["ingress"] for port in rule["ports"]}
    assert opened == {8700}
    found = agent.connects(address, 8701)
    record_property("enforced here", "no: the port for probes is open" if found == "open" else f"yes: it is {found}")
