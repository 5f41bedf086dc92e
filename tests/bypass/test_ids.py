"""Ids that a server takes for one another give no limit back: most servers read numbers as doubles. Source: G32."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples import gateway
from tests.bypass import readers
from tests.bypass.conftest import HEADERS, POLICY, call, rpc

SERVER = Path(gateway.__file__).parents[1] / "tests" / "servers" / "doubles.mjs"
LIMIT = 3
BEYOND = 2**53


@contextmanager
def in_background(url: str, headers: dict[str, str], message: Any) -> Iterator[list[str]]:
    """A call under way in the block; then its answer's text."""
    told: list[str] = []
    calling = threading.Thread(
        target=lambda: told.append(httpx.post(url, json=message, headers=headers, timeout=30).text)
    )
    calling.start()
    try:
        yield told
    finally:
        httpx.post(url, json={"jsonrpc": "2.0", "method": "notifications/done"}, headers=headers)
        calling.join()


def ran(log: Path, times: int, told: list[str]) -> bool:
    """Whether the server has run so many calls, before the latest was answered."""
    while not told and log.read_text().count("\n") < times:
        time.sleep(0.01)
    return log.read_text().count("\n") >= times


def test_limit_and_error_of_a_request_whose_id_rounds_to_that_of_the_call_counts(
    tmp_path: Path, opa_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = readers.node()
    if node is None:
        pytest.skip("there is no Node")
    monkeypatch.setitem(os.environ, "REGATE_OPA", str(opa_path))
    policy, log = tmp_path / "policy.json", tmp_path / "log"
    policy.write_text(json.dumps(POLICY))
    log.touch()
    command = ["--name", "up", "--", node.path, str(SERVER), str(log)]
    with gateway.running(policy, command, tmp_path / "gateway") as running:
        headers = {**HEADERS, "mcp-protocol-version": "2025-06-18", "authorization": f"Bearer {running.token}"}
        begun = httpx.post(running.url, json=rpc("initialize", {"protocolVersion": "2025-06-18"}), headers=headers)
        headers["mcp-session-id"] = begun.headers["mcp-session-id"]
        let_through = []
        for number in range(LIMIT + 1):
            id = BEYOND + 4 * number
            with in_background(running.url, headers, call("limited", id=id)) as told:
                let_through.append(ran(log, number + 1, told))
                other = rpc("resources/list", {}, id + 1)
                with pytest.raises(httpx.ReadTimeout):
                    httpx.post(running.url, json=other, headers=headers, timeout=0.5)
        assert let_through == [True] * LIMIT + [False]
