"""With `hidden_calls: unknown`, no answer tells a hidden tool from one that is missing. Source: mcp-gateway.md G31."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples import gateway
from tests.bypass.conftest import HIDDEN, POLICY, Rogue, Scene, Seen, call, http, listing

ODD = "delete repo now"
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture(scope="module", params=["deny", "allow"])
def silent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, opa_path: Path) -> Iterator[Scene]:
    """A gateway whose grant must not learn what is hidden from it, under either default."""
    folder = tmp_path_factory.mktemp("unseen")
    policy = folder / "policy.json"
    policy.write_text(json.dumps({**POLICY, "default": request.param, "hide": [HIDDEN, ODD]}))
    os.environ["REGATE_OPA"] = str(opa_path)
    with socket.create_server(("127.0.0.1", 0)) as listening, httpx.Client(timeout=20) as client:
        rogue = Rogue(listening.getsockname()[1])
        rogue.answers["tools/list"] = lambda seen: http(
            json.dumps(listing(seen.message["id"], ("read", "pay", HIDDEN, ODD))).encode()
        )
        rogue.answers["tools/call"] = unknown_to_the_server
        threading.Thread(target=rogue.serve, args=(listening,), daemon=True).start()
        options = ["--upstream", f"http://127.0.0.1:{rogue.port}/mcp", "--name", "up", "--hidden-calls", "unknown"]
        with gateway.running(policy, options, folder / "gateway") as running:
            scene = Scene(running, rogue, folder / "gateway" / "gateway.log", client)
            names = [
                tool["name"] for tool in scene.post(call("x") | {"method": "tools/list"}).json()["result"]["tools"]
            ]
            assert names == ["read", "pay"]
            rogue.seen.clear()
            yield scene
            assert not [seen for seen in rogue.seen if {HIDDEN, ODD} & {seen.message.get("params", {}).get("name")}]


def unknown_to_the_server(seen: Seen) -> bytes:
    """As the SDKs answer a name they do not know."""
    error = {"code": -32602, "message": f"Unknown tool: {seen.message['params']['name']}"}
    modern = "_meta" in seen.message["params"]
    body = json.dumps({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}).encode()
    return http(body, status="400 Bad Request" if modern else "200 OK")


def told(scene: Scene, tool: str, arguments: Any, headers: dict[str, str], *, modern: bool) -> tuple[int, Any]:
    """What the client gets, its own words for the tool left out."""
    message = call(tool, arguments)
    if modern:
        message["params"]["_meta"] = META
        headers = {**headers, "mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": tool}
    response = scene.post(message, **headers)
    return response.status_code, json.loads(response.text.replace(tool, "NAME"))


WAYS: dict[str, tuple[Any, dict[str, str]]] = {
    "plain": ({}, {}),
    "argument that only looks like the hidden tool's": ({"AMOUNT": 1}, {}),
    "argument that only looks like one, and names no tool may": ({"AMOUNT": 1, "__proto__": {}}, {}),
    "arguments that cannot be judged": ({"a": {"b": [[[[[[1]]]]]]}, "n": 10**400}, {}),
    "mirrored argument without its header": ({"to": "bob"}, {}),
    "header without its mirrored argument": ({}, {"mcp_param_to": "bob"}),
}


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_hidden_tool_is_answered_like_one_that_does_not_exist(silent: Scene, way: str, modern: bool) -> None:
    arguments, headers = WAYS[way]
    hidden = told(silent, HIDDEN, arguments, headers, modern=modern)
    missing = told(silent, "remove_repo", arguments, headers, modern=modern)
    assert hidden == missing
    if way == "plain":
        assert hidden[0] == (400 if modern else 200)
        assert hidden[1]["error"] == {"code": -32602, "message": "Unknown tool: NAME"}


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_hidden_tool_with_an_unusual_name_is_answered_like_one_that_does_not_exist(
    silent: Scene, way: str, modern: bool
) -> None:
    arguments, headers = WAYS[way]
    assert told(silent, ODD, arguments, headers, modern=modern) == told(
        silent, "remove repo now", arguments, headers, modern=modern
    )


def test_audit_tells_the_truth_and_seen_tools_are_told_why(silent: Scene) -> None:
    silent.call(HIDDEN)
    assert (silent.audit()[-1]["rule"], silent.audit()[-1]["tool"]) == ("(hidden)", HIDDEN)
    assert silent.call("pay", {"amount": 99}).json()["result"]["content"][0]["text"] == "[POLICY DENIED] Too much."
    assert "looks like" in silent.call("pay", {"AMOUNT": 1}).json()["error"]["message"]
    assert silent.audit()[-1]["cause"] == "malformed"
