"""The short form, for every run: one image, governed calls, one kill."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.images.pod import REGATE, STRICT, TOKEN, URL, Pod, eventually, is_ready, pod, settings, write

HERE = Path(__file__).parent
SMALL = {str(HERE / "small.py"): {"bind": "/small.py", "mode": "ro"}}
POLICY = {"version": "1", "default": "deny", "hide": ["wipe"], "tools": {"look": {}}}


def asked(pod: Pod, *tools: str) -> list[Any]:
    """What an agent in the same network gets: the list, and an answer for each tool."""
    agent = pod.add(REGATE, "/small.py", "agent", URL, TOKEN, *tools, entrypoint=["python"], volumes=SMALL, **STRICT)
    assert agent.wait(timeout=90)["StatusCode"] == 0, agent.logs().decode()
    return [json.loads(line) for line in agent.logs().splitlines()]


def said(answer: Any) -> str:
    text: str = answer["result"]["content"][0]["text"]
    return text


def test_image_governs_calls_and_stays_closed_while_its_opa_is_gone(regate_image: str, tmp_path: Path) -> None:
    server = {"command": ["python3", "-S", "/small.py", "server"]}
    folder = write(tmp_path / "etc", settings(servers={"till": server}), POLICY)
    with pod() as made:
        gateway = made.gateway(folder, volumes=SMALL)
        listed, look, pay, wipe = asked(made, "look", "pay", "wipe")
        assert [tool["name"] for tool in listed["result"]["tools"]] == ["look", "pay"]
        assert said(look) == "done"
        assert "[POLICY DENIED]" in said(pay)
        assert "[POLICY DENIED]" in said(wipe)

        titles, rows = (gateway.top()[part] for part in ("Titles", "Processes"))
        (opa,) = [int(row[titles.index("PID")]) for row in rows if "/opt/regate/bin/opa run" in row[-1]]
        os.kill(opa, signal.SIGSTOP)  # as gone as can be, and not restarted yet
        _, held = asked(made, "look")
        assert "[POLICY DENIED]" in said(held)
        os.kill(opa, signal.SIGKILL)
        eventually(lambda: is_ready(gateway) and said(asked(made, "look")[1]) == "done", "OPA is back")

        reached = gateway.exec_run(["python3", "-c", "print(open('/state/reached').read())"]).output.split()
        assert set(reached) == {b"look"}
