"""All that the gateway says of its own is valid in the era it is said in. Source: G15, G16, G27, G29–G31, G42."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.bypass import test_headers as headers
from tests.bypass import test_messages as messages
from tests.bypass.conftest import Scene, call, http, rpc
from tests.eras.schemas import FOLDER, LEGACY, MODERN, check, check_error

_example = re.compile(r"((?:<!-- schema: \S+ -->)+)\n```json\n(.*?)```", re.DOTALL)
_schema = re.compile(r"schema: ([\d-]+)#(\w+)")


def examples() -> list[tuple[str, str, str]]:
    text = (FOLDER / "examples.md").read_text(encoding="utf-8")
    return [(*named, body) for marks, body in _example.findall(text) for named in _schema.findall(marks)]


@pytest.mark.parametrize(("revision", "name", "body"), examples())
def test_example_is_valid(revision: str, name: str, body: str) -> None:
    check(revision, name, json.loads(body))


def test_every_example_is_looked_at() -> None:
    text = (FOLDER / "examples.md").read_text(encoding="utf-8")
    assert text.count("```json") == len(_example.findall(text)) == 10


def check_result(answer: Any, name: str, *, modern: bool) -> None:
    assert ("resultType" in answer["result"]) == modern
    for revision in [MODERN] if modern else LEGACY:
        check(revision, name, answer["result"])


@pytest.mark.parametrize("name", messages.REFUSED)
def test_refusal_of_a_message_is_a_valid_error(scene: Scene, name: str) -> None:
    check_error(scene.post(messages.REFUSED[name]).json(), modern=False)


@pytest.mark.parametrize("name", [*headers.MISMATCHED, *headers.REFUSED])
def test_refusal_of_headers_is_a_valid_error(scene: Scene, name: str) -> None:
    message, pairs = (headers.MISMATCHED | {key: value[:2] for key, value in headers.REFUSED.items()})[name]
    check_error(headers.post(scene, message, pairs).json(), modern=headers.VERSION in _meta(message))


def _meta(message: Any) -> Any:
    return message.get("params", {}).get("_meta", {}) if "id" in message else {}


REFUSED_REQUESTS: dict[str, dict[str, str]] = {
    "no token": {"authorization": "Basic x"},
    "foreign host": {"host": "evil.example"},
    "foreign origin": {"origin": "null"},
    "another type": {"content_type": "text/plain"},
    "nothing accepted": {"accept": "text/html"},
    "a session of nobody": {"mcp_session_id": "x.y"},
    "an upgrade": {"upgrade": "h2c"},
    "an expectation": {"expect": "100-continue"},
}


@pytest.mark.parametrize("name", REFUSED_REQUESTS)
def test_refusal_of_a_request_is_a_valid_error(scene: Scene, name: str) -> None:
    check_error(scene.post(call("read"), **REFUSED_REQUESTS[name]).json(), modern=False)


@pytest.mark.parametrize("tool", ["delete_repo", "risky", "nothing", "limited"])
def test_denial_is_a_valid_result_in_both_eras(scene: Scene, tool: str) -> None:
    session = {"mcp-session-id": scene.session()}
    for _ in range(3 if tool == "limited" else 0):
        scene.call(tool, mcp_session_id=session["mcp-session-id"])
    legacy = scene.post(call(tool), mcp_session_id=session["mcp-session-id"]).json()
    modern = headers.post(scene, headers.modern(tool), [*headers.said(tool), *session.items()]).json()
    for answer, is_modern in ((legacy, False), (modern, True)):
        assert answer["result"]["isError"] is True
        check_result(answer, "CallToolResult", modern=is_modern)
    check(MODERN, "CallToolResultResponse", modern)


def test_denial_of_a_task_is_a_valid_error(scene: Scene) -> None:
    asked = call("delete_repo")
    asked["params"]["task"] = {"ttl": 1000}
    answer = scene.post(asked).json()
    assert answer["error"]["code"] == 40301
    check_error(answer, modern=False)


def test_filtered_list_is_a_valid_result_in_both_eras(scene: Scene) -> None:
    check_result(scene.post(rpc("tools/list")).json(), "ListToolsResult", modern=False)
    tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("read", "delete_repo")]
    told = {"resultType": "complete", "tools": tools, "nextCursor": "", "ttlMs": 10**9, "cacheScope": "public"}
    scene.rogue.answers["tools/list"] = lambda _seen: http(
        json.dumps({"jsonrpc": "2.0", "id": 1, "result": told}).encode()
    )
    pairs = headers.said("", method="tools/list")
    answer = headers.post(scene, rpc("tools/list", {"_meta": headers.META}), pairs).json()
    check_result(answer, "ListToolsResult", modern=True)
    assert (answer["result"]["cacheScope"], answer["result"]["nextCursor"]) == ("private", "")
    assert [tool["name"] for tool in answer["result"]["tools"]] == ["read"]


UNUSABLE: dict[str, Callable[[bytes], bytes]] = {
    "a credential refused": lambda _body: http(b"", status="401 X"),
    "a list that cannot be read": lambda body: http(body.replace(b'"', b"'")),
    "a compressed list": lambda body: http(body, extra="content-encoding: gzip\r\n"),
    "no HTTP": lambda _body: b"no\r\n\r\n",
    "nothing": lambda _body: b"",
}


@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.parametrize("way", ["tools/list", "tools/call"])
def test_failure_of_the_server_is_a_valid_error_with_the_requests_id(scene: Scene, name: str, way: str) -> None:
    scene.rogue.answers[way] = lambda _seen: UNUSABLE[name](json.dumps({"result": {"tools": []}}).encode())
    response: httpx.Response = scene.post(rpc(way, {"name": "read", "arguments": {}}, "own-id"))
    assert response.json()["id"] == "own-id"
    check_error(response.json(), modern=False)
    params = {"name": "read", "arguments": {}} if way == "tools/call" else {}
    pairs = headers.said(params.get("name", ""), method=way)
    response = headers.post(scene, rpc(way, {**params, "_meta": headers.META}, "own-id"), pairs)
    assert response.json()["id"] == "own-id"
    check_error(response.json(), modern=True)


def test_method_that_a_grant_has_closed_is_a_valid_error_in_both_eras(scene: Scene) -> None:
    options = ("--server", "up", "--policy", "policy", "--policed-methods", "all", "--id", "closed-methods")
    token = scene.running.regate("grants", "create", *options).strip()
    modern = {"mcp_protocol_version": MODERN, "mcp_method": "prompts/list"}
    for params, said in (({}, {}), ({"_meta": headers.META}, modern)):
        answer = scene.post(rpc("prompts/list", params), token=token, **said).json()
        assert answer["error"]["code"] == 40301
        check_error(answer, modern=bool(said))
    assert scene.rogue.seen == []
