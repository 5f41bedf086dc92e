"""A rolling update while clients call without a pause."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.cluster import kube, till
from tests.cluster.kube import TOKEN, Agent, Record

SELECTED = ("-l", "app.kubernetes.io/name=regate")


class Reached:
    """What the servers of these pods have written of the calls that came to them, pods that have ended as well.

    A server outlives its last call by the seconds in which its gateway leaves, so that looking often misses none.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._logs: dict[str, str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(1):
            for name in kube.kubectl("-n", self._namespace, "get", "pods", *SELECTED, "-o", "name").split():
                said = kube.ran("kubectl", "-n", self._namespace, "logs", name, "-c", "till", "--limit-bytes=10000000")
                if said.returncode == 0 and len(said.stdout) > len(self._logs.get(name, "")):
                    self._logs[name] = said.stdout

    def lines(self) -> list[tuple[str, str]]:
        """Tool and number of each call, of all pods."""
        words = [line.split() for log in list(self._logs.values()) for line in log.splitlines()]
        return [(one[1], one[2]) for one in words if one[:1] == ["reached"] and len(one) == 3]

    def close(self) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def loaded(agent: Agent, url: str, answers: list[list[object]]) -> Iterator[Callable[[], int]]:
    """Four clients that call until the end; how many answers there are so far."""
    command = [
        "kubectl",
        "-n",
        agent.namespace,
        "exec",
        "-i",
        "agent",
        "--",
        "python",
        "/agent/load.py",
        url,
        TOKEN,
        "4",
    ]
    running = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdin is not None
    assert running.stdout is not None
    reader = threading.Thread(target=lambda: answers.extend(map(json.loads, running.stdout or ())))
    reader.start()
    try:
        yield lambda: len(answers)
        running.stdin.close()
        reader.join(60)
        assert running.wait(60) == 0, running.stderr.read() if running.stderr else ""
    finally:
        running.kill()
        running.wait()
        reader.join()
        for stream in (running.stdin, running.stdout, running.stderr):
            if stream is not None:
                stream.close()


def test_rolling_update_under_load_fails_no_call_and_lets_none_past(
    namespace: str, agent: Agent, record_property: Record
) -> None:
    """A rolling update while four clients call: none of the permitted calls fails, each is made exactly once, and no
    denied call reaches a server, by the servers' logs against the clients'."""
    url = till.careful(namespace)
    (old,) = kube.kubectl("-n", namespace, "get", "pods", *SELECTED, "-o", "name").split()
    reached, answers = Reached(namespace), list[list[object]]()
    with loaded(agent, url, answers) as count:
        kube.eventually(lambda: count() > 50, "calls before the update")
        began = time.monotonic()
        kube.kubectl("-n", namespace, "rollout", "restart", "deployment/regate")
        kube.rolled_out("regate", namespace)
        kube.kubectl("-n", namespace, "wait", "--for=delete", old, f"--timeout={kube.DEADLINE_S}s")
        record_property("the update took", f"{time.monotonic() - began:.0f} s")
        after = count()
        kube.eventually(lambda: count() > after + 50, "calls after the update")
    shipped = {str(number) for number, tool, failed, _ in answers if tool == "ship" and not failed}
    failed = [answer for answer in answers if answer[1] == "ship" and answer[2]]
    denied = [answer for answer in answers if answer[1] == "refund"]
    try:
        kube.eventually(lambda: len(reached.lines()) >= len(shipped), "the servers' logs are whole", 30)
    finally:
        reached.close()
    record_property("calls", len(answers))
    record_property("failed", len(failed))
    record_property("denied", len(denied))
    record_property("denied ones that reached a server", sum(tool != "ship" for tool, _ in reached.lines()))
    assert failed == []
    assert denied
    assert all(answer[2] and "Too much" not in str(answer[3]) for answer in denied)
    assert sorted(which for _, which in reached.lines()) == sorted(shipped)
    assert {tool for tool, _ in reached.lines()} == {"ship"}
