"""Agent and gateway share one network, as in a pod: policy holds, whatever is killed; no call is lost at the end."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.images.pod import SAMPLE, Agent, Pod, eventually, is_ready, pod, ready, settings, write

Parts = tuple[Pod, Agent, Any]


@pytest.fixture
def parts(regate_image: str, sample_image: str, tmp_path: Path) -> Iterator[Parts]:
    """A pod with the sample server, an agent, and the gateway between them."""
    with pod() as made:
        made.add(SAMPLE, read_only=True, tmpfs={"/tmp": ""})
        agent = Agent(made)
        eventually(lambda: _serves(agent), "the sample server serves")
        yield made, agent, made.gateway(write(tmp_path / "etc", settings(drain={"finish_s": 30})))


def _serves(agent: Agent) -> bool:
    try:
        return agent.reached() is not None
    except AssertionError:
        return False


def processes(container: Any, words: str) -> list[int]:
    """The ids, on this machine, of a container's processes with these words in their command."""
    top = container.top()
    place = top["Titles"].index("PID")
    return [int(row[place]) for row in top["Processes"] if words in row[-1]]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_real_client_beside_the_gateway_is_governed(parts: Parts, mode: str) -> None:
    _, agent, _ = parts
    tools, answers = agent.does(
        ("balance", {}),
        ("pay", {"to": "ann", "amount": 5}),
        ("pay", {"to": "ann", "amount": 500}),
        ("refund", {"to": "ann", "amount": 5}),
        ("empty_till", {}),
        ("pay", {"to": "ann", "amount": 5}),
        ("pay", {"to": "ann", "amount": 5}),
        ("pay", {"to": "ann", "amount": 5}),
        mode=mode,
    )
    assert "empty_till" not in tools
    assert [failed for failed, _ in answers] == [False, False, True, True, True, False, False, True]
    assert next(text for failed, text in answers if failed) == "[POLICY DENIED] Too much."
    assert answers[-1][1].startswith("[POLICY DENIED] No more today.")
    assert agent.reached() == {"balance": 1, "pay": 3}


def test_killed_opa_closes_the_gate_until_it_is_back(parts: Parts) -> None:
    _, agent, gateway = parts
    (opa,) = processes(gateway, "/opt/regate/bin/opa run")
    os.kill(opa, signal.SIGSTOP)
    tools, ((failed, text),) = agent.does(("balance", {}), mode="legacy")
    assert tools == ["(Policy decision unavailable.)"]
    assert failed, text
    assert "balance" not in agent.reached()
    os.kill(opa, signal.SIGKILL)
    eventually(lambda: is_ready(gateway), "OPA is back")
    assert agent.does(("balance", {}))[1] == [[False, "1000"]]
    assert processes(gateway, "/opt/regate/bin/opa run") != [opa]


def test_killed_gateway_takes_its_opa_along_and_knows_its_counts_when_it_is_back(parts: Parts) -> None:
    _, agent, gateway = parts
    pay = ("pay", {"to": "ann", "amount": 5})
    assert agent.does(pay, pay)[1] == [[False, "paid 5 to ann"]] * 2
    (opa,) = processes(gateway, "/opt/regate/bin/opa run")
    gateway.kill("SIGKILL")
    gateway.wait(timeout=60)
    assert not Path(f"/proc/{opa}").exists()
    gateway.start()
    ready(gateway)
    answers = agent.does(pay, pay)[1]
    assert [failed for failed, _ in answers] == [False, True]
    assert agent.reached()["pay"] == 3


def test_sigterm_loses_no_call_that_is_under_way(parts: Parts) -> None:
    _, agent, gateway = parts
    calls = [("ship", {"parcel": number, "seconds": 4}) for number in range(12)]
    output = agent.begins(*calls)
    lines = [next(output)]
    eventually(lambda: agent.reached().get("ship") == 12, "the server works on all of them")
    stopping = threading.Thread(target=gateway.stop, kwargs={"timeout": 60})
    stopping.start()
    lines += output
    stopping.join(90)
    (answered,) = [json.loads(line) for line in b"".join(lines).splitlines() if b"answers" in line]
    assert answered["answers"] == [[False, f"shipped {number}"] for number in range(12)]
    gateway.reload()
    assert gateway.attrs["State"]["ExitCode"] == 0
    assert agent.reached()["ship"] == 12
