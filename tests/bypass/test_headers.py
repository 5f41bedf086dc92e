"""What a header says never stands for what the body says, and no code misleads a client. Source: G10–G16, G38."""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.bypass.conftest import Scene, call, rpc

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
META = {VERSION: "2026-07-28", CAPABILITIES: {}}
MODERN_CODES = {-32020, -32021, -32022}
CODES = {-32700, -32600, -32601, -32602, -32603, 40301, 50301, *MODERN_CODES}
Pairs = list[tuple[str, str]]


def modern(tool: str, arguments: Any = None, meta: Any = META, **params: Any) -> dict[str, Any]:
    return rpc("tools/call", {"name": tool, "arguments": arguments or {}, "_meta": meta, **params})


def said(name: str, *, version: str = "2026-07-28", method: str = "tools/call", **others: str) -> Pairs:
    given = {"MCP-Protocol-Version": version, "Mcp-Method": method, "Mcp-Name": name}
    return [
        *((key, value) for key, value in given.items() if value),
        *((k.replace("_", "-"), v) for k, v in others.items()),
    ]


def wrapped(value: str) -> str:
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def post(scene: Scene, message: Any, pairs: Pairs) -> httpx.Response:
    usual = [(name, value) for name, value in scene.headers.items() if name != "mcp-protocol-version"]
    return scene.client.post(scene.running.url, content=json.dumps(message).encode(), headers=[*usual, *pairs])


READ = modern("read")
HIDDEN = modern("delete_repo")
MISMATCHED: dict[str, tuple[Any, Pairs]] = {
    "hidden under an allowed name": (HIDDEN, said("read")),
    "allowed under a hidden name": (READ, said("delete_repo")),
    "hidden under an allowed name, wrapped": (HIDDEN, said(wrapped("read"))),
    "no name": (HIDDEN, said("")),
    "name in capitals": (READ, said("READ")),
    "name twice": (READ, [*said("read"), ("mcp-name", "delete_repo")]),
    "same name twice": (READ, [*said("read"), ("mcp-name", "read")]),
    "name in a list": (READ, said("read, delete_repo")),
    "wrapper in capitals": (READ, said(wrapped("read").replace("base64", "BASE64"))),
    "wrapper without its end": (READ, said(wrapped("read")[:-2])),
    "wrapped badly": (READ, said("=?base64?cmVhZA?=")),
    "wrapped twice": (READ, said(wrapped(wrapped("read")))),
    "no method": (HIDDEN, said("delete_repo", method="")),
    "method of a list": (HIDDEN, said("delete_repo", method="tools/list")),
    "method in capitals": (READ, said("read", method="Tools/Call")),
    "method twice": (READ, [*said("read"), ("Mcp-Method", "ping")]),
    "no version": (HIDDEN, said("delete_repo", version="")),
    "legacy version": (HIDDEN, said("delete_repo", version="2025-11-25")),
    "version twice": (READ, [*said("read"), ("MCP-Protocol-Version", "2025-11-25")]),
    "mirrored argument differs": (modern("read", {"to": "mallory"}), said("read", Mcp_Param_To="bob")),
    "mirrored argument is not said": (modern("read", {"to": "mallory"}), said("read")),
    "mirrored argument is not there": (READ, said("read", Mcp_Param_To="bob")),
    "mirrored argument in capitals": (modern("read", {"to": "bob"}), said("read", Mcp_Param_To="BOB")),
    "mirrored argument twice": (
        modern("read", {"to": "bob"}),
        [*said("read", Mcp_Param_To="bob"), ("mcp-param-to", "mallory")],
    ),
}
REFUSED: dict[str, tuple[Any, Pairs, int]] = {
    "modern header over a legacy body": (call("delete_repo"), said("delete_repo"), -32602),
    "no capabilities": (modern("read", meta={VERSION: "2026-07-28"}), said("read"), -32602),
    "capabilities that are none": (modern("read", meta={**META, CAPABILITIES: []}), said("read"), -32602),
    "version that is a number": (modern("read", meta={**META, VERSION: 2026}), said("read"), -32602),
    "unknown revision": (
        modern("read", meta={**META, VERSION: "2099-01-01"}),
        said("read", version="2099-01-01"),
        -32022,
    ),
    "unknown legacy revision": (call("read"), [("MCP-Protocol-Version", "2099-01-01")], -32600),
    "legacy, another method": (call("read"), [("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Method", "ping")], -32600),
    "legacy, version twice": (call("read"), [("MCP-Protocol-Version", "2025-11-25")] * 2, -32600),
    "answer of a modern client": (
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        [("MCP-Protocol-Version", "2026-07-28")],
        -32600,
    ),
    "notification of another revision": (
        {"jsonrpc": "2.0", "method": "notifications/x", "params": {"_meta": META}},
        [("MCP-Protocol-Version", "2025-11-25")],
        -32600,
    ),
}
PASSED: dict[str, tuple[Any, Pairs]] = {
    "plain": (READ, said("read")),
    "wrapped": (READ, said(wrapped("read"))),
    "header names in capitals": (READ, [(name.upper(), value) for name, value in said("read")]),
    "mirrored argument": (modern("read", {"to": "bob"}), said("read", Mcp_Param_To="bob")),
    "mirrored argument, wrapped": (modern("read", {"to": "Zoë"}), said("read", Mcp_Param_To=wrapped("Zoë"))),
    "mirrored argument that is null": (modern("read", {"to": None}), said("read")),
    "header that mirrors nothing known": (READ, said("read", Mcp_Param_Other="x")),
    "legacy that mirrors nothing": (call("read", {"to": "bob"}), [("MCP-Protocol-Version", "2025-06-18")]),
    "legacy that names no revision": (call("read"), []),
    "the server's state": (
        modern("read", requestState="theirs", inputResponses={"q": {"action": "accept", "content": {}}}),
        said("read"),
    ),
}


@pytest.mark.parametrize("name", MISMATCHED)
def test_header_that_differs_from_its_body_is_a_mismatch(scene: Scene, name: str) -> None:
    response = post(scene, *MISMATCHED[name])
    assert (response.status_code, response.json()["error"]["code"]) == (400, -32020)
    assert scene.rogue.seen == []


@pytest.mark.parametrize("name", REFUSED)
def test_era_that_is_not_clear_is_refused(scene: Scene, name: str) -> None:
    message, pairs, code = REFUSED[name]
    response = post(scene, message, pairs)
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)
    assert ("supported" in response.json()["error"].get("data", {})) == (code == -32022)
    assert scene.rogue.seen == []
    scene.unharmed()


@pytest.mark.parametrize("name", PASSED)
def test_message_whose_headers_agree_passes_as_it_is(scene: Scene, name: str) -> None:
    message, pairs = PASSED[name]
    assert post(scene, message, pairs).json()["result"]["content"][0]["text"] == "done"
    assert [seen.message for seen in scene.rogue.seen] == [message]


def test_denial_of_the_modern_era_is_a_complete_result(scene: Scene) -> None:
    result = post(scene, HIDDEN, said("delete_repo")).json()["result"]
    assert (result["isError"], result["resultType"]) == (True, "complete")
    assert scene.rogue.seen == []


def test_state_and_answers_of_a_client_open_nothing(scene: Scene) -> None:
    asked = post(scene, modern("risky", {"state": 1}), said("risky")).json()["result"]["_meta"]["dev.regate/decision"]
    accepted = {"action": "accept", "content": {"decision": "approve"}}
    for state in ("v1.forged", asked["approval"], ""):
        answers = {"dev.regate/approval": accepted, asked["approval"]: accepted}
        for tool in ("delete_repo", "risky"):
            again = modern(tool, {"state": 1}, requestState=state, inputResponses=answers)
            assert post(scene, again, said(tool)).json()["result"]["isError"] is True
    assert scene.rogue.seen == []


def test_state_of_the_server_sent_again_makes_no_call_free(scene: Scene) -> None:
    session = scene.session()
    scene.rogue.seen.clear()
    told = [
        post(scene, modern("limited", requestState="theirs"), [*said("limited"), ("mcp-session-id", session)]).json()
        for _ in range(4)
    ]
    assert [answer["result"].get("isError", False) for answer in told] == [False, False, False, True]
    assert scene.rogue.reached() == ["limited"] * 3


@pytest.mark.parametrize("name", [*MISMATCHED, *REFUSED])
def test_same_message_of_the_legacy_era_gets_no_modern_code(scene: Scene, name: str) -> None:
    message, pairs = (MISMATCHED | {key: value[:2] for key, value in REFUSED.items()})[name]
    legacy = {**message, "params": {k: v for k, v in message.get("params", {}).items() if k != "_meta"}}
    if "method" not in message:
        del legacy["params"]
    response = post(scene, legacy, pairs)
    code = response.json().get("error", {}).get("code") if response.content else None
    assert code is None or code in CODES - MODERN_CODES
