"""A client whose connection breaks amid an answer, and who comes back for the rest. Source: mcp-gateway.md G22, G23."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples import gateway

PATIENCE_S = 45
SERVER = [sys.executable, str(Path(__file__).parents[1] / "servers" / "everything")]


def message(method: str, params: dict[str, Any], request_id: int | None = 1) -> dict[str, Any]:
    given = {} if request_id is None else {"id": request_id}
    return {"jsonrpc": "2.0", **given, "method": method, "params": params}


def events(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Each event's id and message, as they come."""
    event_id, data = "", ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            event_id = value
        elif name == "data":
            data = value
        elif not line:
            yield event_id, json.loads(data) if data else None
            event_id, data = "", ""


@pytest.fixture(params=["http", "stdio"])
def url(request: pytest.FixtureRequest, tmp_path: Path, opa_path: Path) -> Iterator[str]:
    """A gateway before a server over this transport."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"version": "1", "default": "allow"}', encoding="utf-8")
    upstream, server = ["--", *SERVER], None
    if request.param == "http":
        server = subprocess.Popen([*SERVER, "--http", "0"], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        upstream = ["--upstream", server.stdout.readline().strip()]
    try:
        with gateway.running(policy, ["--no-auth", *upstream], tmp_path / "gateway") as running:
            yield running.url
    finally:
        if server is not None:
            server.terminate()
            server.communicate(timeout=20)


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    """A client with a session."""
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
    with httpx.Client(headers=headers, timeout=30) as client:
        client.headers["mcp-session-id"] = client.post(url, json=message("initialize", hello)).headers["mcp-session-id"]
        client.post(url, json=message("notifications/initialized", {}, None))
        yield client


@contextmanager
def resumed(url: str, client: httpx.Client, last: str) -> Iterator[httpx.Response]:
    """The rest of a stream. A server that has not noticed the break yet says 409, and is asked again."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with client.stream("GET", url, headers={"last-event-id": last}) as rest:
            if rest.status_code != 409:
                yield rest
                return
    pytest.fail("the server never noticed that its client had gone")


def test_answer_broken_off_is_taken_up_again_and_nothing_comes_twice(url: str, client: httpx.Client) -> None:
    call = {"name": "test_tool_with_progress", "arguments": {}, "_meta": {"progressToken": "t"}}
    with client.stream("POST", url, json=message("tools/call", call, 7)) as answer:
        coming = events(answer)
        assert next(coming)[1] is None
        last, progress = next(coming)
    told = [progress]
    until = time.monotonic() + PATIENCE_S
    while "id" not in told[-1]:
        assert time.monotonic() < until, told
        with resumed(url, client, last) as rest:
            for last, said in events(rest):  # noqa: B007 - where the next stream goes on
                told += [said] if said is not None else []
                if "id" in told[-1]:
                    break
    *steps, result = told
    assert [step["params"]["progress"] for step in steps] == [0, 50, 100]
    assert (result["id"], result["result"]["content"][0]["text"]) == (7, "Tool with progress executed successfully")
