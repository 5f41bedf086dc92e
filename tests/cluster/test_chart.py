"""The chart in a cluster: a server with its gateway beside it, in a namespace that enforces `restricted`."""

import json
import time

from tests.cluster import kube, till
from tests.cluster.kube import Agent, Record


def test_chart_governs_a_server_in_a_restricted_namespace(
    namespace: str, agent: Agent, record_property: Record
) -> None:
    """The chart, in the shape `sidecar`, governs a server in a `restricted` namespace: a call is allowed, one denied, a
    tool hidden; and `helm test` agrees."""
    began = time.monotonic()
    test = {
        "server": "till",
        "tokenFile": "token",
        "allowed": {"name": "balance", "arguments": {}},
        "denied": {"name": "pay", "arguments": {"to": "ann", "amount": 500}},
    }
    url = till.careful(namespace, test=test)
    record_property("installed and ready in", f"{time.monotonic() - began:.1f} s")
    tools, answers = agent.does(
        url,
        ("balance", {}),
        ("pay", {"to": "ann", "amount": 500}),
        ("pay", {"to": "ann", "amount": 50}),
        ("empty_till", {}),
        ("calls", {}),
    )
    assert "balance" in tools
    assert "empty_till" not in tools
    (balance, much, little, hidden, (_, reached)) = answers
    assert balance == (False, "1000")
    assert much[0]
    assert "Too much." in much[1]
    assert little == (False, "paid 50 to ann")
    assert hidden[0]
    assert json.loads(reached) == {"balance": 1, "pay": 1}
    assert "Succeeded" in kube.helm("test", "regate", "-n", namespace)
