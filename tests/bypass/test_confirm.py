"""Approvals in band, of a real gateway: only the answer to the very question lets the very call through, once.

Source: mcp-gateway.md G33–G36, G38, G39.
"""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.bypass.conftest import Scene, Seen, http
from tests.eras.schemas import LEGACY, check

APPROVE = {"action": "accept", "content": {"decision": "approve"}}
KEY = "dev.regate/approval"
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
}
FORMS = {"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}}


def grant(scene: Scene, way: str, name: str, tokens: dict[tuple[str, str], str] = {}) -> str:  # noqa: B006 - kept
    """The token of a grant whose calls wait in this way."""
    if (scene.running.url, name) not in tokens:
        options = ("--server", "up", "--policy", "policy", "--approval", way, "--id", name)
        tokens[scene.running.url, name] = scene.running.regate("grants", "create", *options).strip()
    return tokens[scene.running.url, name]


def modern(
    scene: Scene, token: str, state: str | None = None, *, tool: str = "risky", n: int = 1, answer: Any = None
) -> Any:
    params: dict[str, Any] = {"name": tool, "arguments": {"n": n}, "_meta": META}
    if state is not None:
        params["requestState"] = state
    if answer is not None:
        params["inputResponses"] = {KEY: answer}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": tool}
    return scene.post(message, token=token, **headers)


def asked(scene: Scene, token: str, n: int) -> str:
    """The state of a call whose user is asked."""
    result = modern(scene, token, n=n).json()["result"]
    check("2026-07-28", "InputRequiredResult", result)
    form = result["inputRequests"][KEY]["params"]
    assert form["message"] == "Policy policy asks you to confirm: risky (arguments: n)."
    return str(result["requestState"])


def test_modern_answer_lets_its_call_through_once(scene: Scene) -> None:
    token = grant(scene, "confirm", "modern-once")
    state = asked(scene, token, 1)
    assert modern(scene, token, state, answer=APPROVE).json()["result"]["content"][0]["text"] == "done"
    assert modern(scene, token, state, answer=APPROVE).status_code == 400
    assert modern(scene, token, answer=APPROVE).json()["result"]["resultType"] == "input_required"
    (seen,) = scene.rogue.seen
    assert set(seen.message["params"]) == {"name", "arguments", "_meta"}


def test_modern_answer_to_another_question_reaches_no_server(scene: Scene) -> None:
    token, other = grant(scene, "confirm", "modern-mixed"), grant(scene, "confirm", "modern-other")
    waits = grant(scene, "later", "modern-later")
    state = asked(scene, token, 2)
    for response in (
        modern(scene, token, state, n=3, answer=APPROVE),
        modern(scene, token, state, tool="read", n=2, answer=APPROVE),
        modern(scene, other, state, n=2, answer=APPROVE),
        modern(scene, waits, state, n=2, answer=APPROVE),
        modern(scene, token, state[:-4], n=2, answer=APPROVE),
        modern(scene, token, "rg1.AAAA", n=2, answer=APPROVE),
    ):
        assert (response.status_code, response.json()["error"]["code"]) == (400, -32602)
    for response in (modern(scene, token, "theirs", n=2, answer=APPROVE), modern(scene, token, n=2, answer=APPROVE)):
        assert response.json()["result"]["resultType"] == "input_required"
    assert scene.rogue.seen == []


NO_APPROVAL = [{"action": "decline"}, {"action": "accept"}, [], "approve", {**APPROVE, "action": ""}]


@pytest.mark.parametrize("which", range(len(NO_APPROVAL)))
def test_modern_answer_that_is_no_approval_denies(scene: Scene, which: int) -> None:
    token, n, answer = grant(scene, "confirm", "modern-denied"), 100 + which, NO_APPROVAL[which]
    told = modern(scene, token, asked(scene, token, n), n=n, answer=answer).json()["result"]
    assert told["content"][0]["text"] == "[POLICY DENIED] Approval was refused."
    again = modern(scene, token, n=n).json()["result"]
    assert again["content"][0]["text"] == "[POLICY DENIED] Approval was refused."
    assert scene.rogue.seen == []


# Legacy: the question comes on the call's own stream


@contextmanager
def held(scene: Scene, token: str, session: str, *, n: int) -> Iterator[Iterator[Any]]:
    """The messages on the stream of a call, as they come."""
    params = {"name": "risky", "arguments": {"n": n}, "_meta": {"progressToken": "t"}}
    body = json.dumps({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params})
    headers = {**scene.headers, "authorization": f"Bearer {token}", "mcp-session-id": session}
    with scene.client.stream("POST", scene.running.url, content=body, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield (json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: {"))


def session_of(scene: Scene, token: str) -> str:
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": FORMS}
    session = scene.post(message, token=token).headers["mcp-session-id"]
    scene.rogue.seen.clear()
    return session


def answer(scene: Scene, token: str, session: str | None, id: str, result: Any = APPROVE) -> int:
    headers = {} if session is None else {"mcp_session_id": session}
    response = scene.post({"jsonrpc": "2.0", "id": id, "result": result}, token=token, **headers)
    assert response.content == b""
    return response.status_code


def next_of(messages: Iterator[Any], method: str | None) -> Any:
    return next(message for message in messages if message.get("method") == method)


def test_legacy_answer_lets_its_call_through_once(scene: Scene) -> None:
    token = grant(scene, "confirm", "legacy-once")
    session = session_of(scene, token)
    with held(scene, token, session, n=1) as messages:
        form = next_of(messages, "elicitation/create")
        for revision in LEGACY:
            check(revision, "ElicitRequest", form)
        progress = next_of(messages, "notifications/progress")
        check("2025-11-25", "ProgressNotification", progress)
        assert progress["params"]["progress"] < 0
        assert answer(scene, token, session, form["id"]) == 202
        assert next_of(messages, None)["result"]["content"][0]["text"] == "done"
        assert answer(scene, token, session, form["id"]) == 202
    assert scene.rogue.reached() == ["risky"]
    assert len(scene.rogue.seen) == 1
    assert [row["person"] for row in scene.audit() if row["grant"] == "legacy-once"][-1] == "user"


def test_legacy_answer_of_somebody_else_is_taken_out_and_opens_nothing(scene: Scene) -> None:
    token, other = grant(scene, "confirm", "legacy-mixed"), grant(scene, "confirm", "legacy-other")
    session, second, foreign = session_of(scene, token), session_of(scene, token), session_of(scene, other)
    with held(scene, token, session, n=2) as messages:
        form = next_of(messages, "elicitation/create")
        assert answer(scene, token, second, form["id"]) == 202
        assert answer(scene, token, None, form["id"]) == 202
        assert answer(scene, other, foreign, form["id"]) == 202
        refused = scene.post(
            {"jsonrpc": "2.0", "id": form["id"], "result": APPROVE}, token=other, mcp_session_id=session
        )
        assert refused.status_code == 404
        assert scene.rogue.seen == []
        assert answer(scene, token, session, form["id"], {"action": "decline"}) == 202
        assert "refused" in next_of(messages, None)["result"]["content"][0]["text"]
    assert scene.rogue.seen == []


def last_record(scene: Scene, grant: str) -> dict[str, Any]:
    """Calls of other tests that were left may still be recorded."""
    return [row for row in scene.audit() if row["grant"] == grant][-1]


def until_left(scene: Scene, grant: str) -> None:
    """Waits until the gateway has noticed that this grant's client is gone."""
    deadline = time.monotonic() + 60
    while not any(row["grant"] == grant and row["cause"].startswith("given_up") for row in scene.audit()):
        assert time.monotonic() < deadline


def test_legacy_client_that_hangs_up_leaves_the_approval_to_an_operator(scene: Scene) -> None:
    token = grant(scene, "confirm", "legacy-left")
    session = session_of(scene, token)
    with held(scene, token, session, n=3) as messages:
        form = next_of(messages, "elicitation/create")
    until_left(scene, "legacy-left")
    waiting = json.loads(scene.running.regate("approvals", "list", "--format", "json"))
    (approval,) = [one["id"] for one in waiting if one["grant"] == "legacy-left"]
    assert answer(scene, token, session, form["id"]) == 202
    assert scene.rogue.seen == []
    scene.running.regate("approvals", "approve", approval)
    with held(scene, token, session, n=4) as messages:
        assert next_of(messages, "elicitation/create")
    params = {"name": "risky", "arguments": {"n": 3}}
    told = scene.post(
        {"jsonrpc": "2.0", "id": 6, "method": "tools/call", "params": params}, token=token, mcp_session_id=session
    )
    assert told.json()["result"]["content"][0]["text"] == "done"
    assert last_record(scene, "legacy-left")["person"] == "operator"


def test_legacy_session_whose_client_shows_no_forms_is_not_asked(scene: Scene) -> None:
    token = grant(scene, "confirm", "legacy-plain")
    told = scene.call("risky", token=token, mcp_session_id=scene.session(token)).json()["result"]
    assert "retry the same call once approved" in told["content"][0]["text"]


def test_session_that_says_by_itself_that_it_shows_forms_is_none(scene: Scene) -> None:
    """What a client can do is in its session's MAC."""
    token = grant(scene, "confirm", "legacy-plain")
    plain, able = scene.session(token), session_of(scene, token)
    mac, upstream = able.split(".")[0], plain.partition(".")[2]
    assert scene.call("risky", token=token, mcp_session_id=f"{mac}.{upstream}").status_code == 404


# Waiting for an operator


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_call_that_waits_passes_once_approved_and_not_before(scene: Scene, era: str) -> None:
    token = grant(scene, "wait", f"waits-{era}")
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 5, "method": "tools/call"}
    body["params"] = {"name": "risky", "arguments": {"n": 5}}
    headers = {**scene.headers, "authorization": f"Bearer {token}"}
    if era == "modern":
        body["params"] |= {"_meta": META, "inputResponses": {KEY: APPROVE}}
        headers |= {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "risky"}
    with scene.client.stream("POST", scene.running.url, json=body, headers=headers) as response:
        lines = response.iter_lines()
        assert next(lines).startswith(":")
        assert scene.rogue.seen == []
        waiting = json.loads(scene.running.regate("approvals", "list", "--format", "json"))
        (approval,) = [one["id"] for one in waiting if one["grant"] == f"waits-{era}"]
        scene.running.regate("approvals", "approve", approval)
        told = next(json.loads(line[6:]) for line in lines if line.startswith("data: {"))
        assert told["result"]["content"][0]["text"] == "done"
    (seen,) = scene.rogue.seen
    assert "inputResponses" not in seen.message["params"]
    assert last_record(scene, f"waits-{era}")["person"] == "operator"


def test_held_call_whose_client_hangs_up_is_never_made(scene: Scene) -> None:
    token = grant(scene, "wait", "waits-left")
    request = scene.head("POST /mcp HTTP/1.1").replace(scene.running.token, token)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "risky"}})
    with socket.create_connection(scene.address, 5) as connection:
        connection.sendall(f"{request}content-length: {len(body)}\r\n\r\n{body}".encode())
        assert b"200 OK" in connection.recv(4096)
    until_left(scene, "waits-left")
    waiting = json.loads(scene.running.regate("approvals", "list", "--format", "json"))
    (approval,) = [one["id"] for one in waiting if one["grant"] == "waits-left"]
    scene.running.regate("approvals", "approve", approval)
    scene.unharmed()
    assert scene.rogue.reached() == ["read"]


# Grants that change while a call waits


def changed(scene: Scene, way: str, name: str) -> str:
    """The token of the grant made anew under its id, so that its calls wait in another way."""
    scene.running.regate("grants", "revoke", name)
    options = ("--server", "up", "--policy", "policy", "--approval", way, "--id", name)
    return scene.running.regate("grants", "create", *options).strip()


@pytest.mark.parametrize("way", ["later", "wait"])
def test_modern_answer_after_the_grant_was_made_to_need_an_operator_opens_nothing(scene: Scene, way: str) -> None:
    state = asked(scene, grant(scene, "confirm", f"changed-{way}"), 1)
    token = changed(scene, way, f"changed-{way}")
    headers = {**scene.headers, "authorization": f"Bearer {token}", "mcp-protocol-version": "2026-07-28"}
    headers |= {"mcp-method": "tools/call", "mcp-name": "risky"}
    params = {"name": "risky", "arguments": {"n": 1}, "_meta": META, "requestState": state}
    params["inputResponses"] = {KEY: APPROVE}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    with scene.client.stream("POST", scene.running.url, json=body, headers=headers) as response:
        waits = response.headers["content-type"].startswith("text/event-stream")
        assert waits or b"retry the same call once approved" in response.read()
    waiting = json.loads(scene.running.regate("approvals", "list", "--format", "json"))
    assert f"changed-{way}" in [one["grant"] for one in waiting]
    assert scene.rogue.seen == []


def test_held_call_of_a_grant_that_was_revoked_meanwhile_is_never_made(scene: Scene) -> None:
    token = grant(scene, "wait", "waits-revoked")
    body = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "risky"}}
    headers = {**scene.headers, "authorization": f"Bearer {token}"}
    with scene.client.stream("POST", scene.running.url, json=body, headers=headers) as response:
        lines = response.iter_lines()
        assert next(lines).startswith(":")
        waiting = json.loads(scene.running.regate("approvals", "list", "--format", "json"))
        (approval,) = [one["id"] for one in waiting if one["grant"] == "waits-revoked"]
        scene.running.regate("grants", "revoke", "waits-revoked")
        scene.running.regate("approvals", "approve", approval)
        told = next(json.loads(line[6:]) for line in lines if line.startswith("data: {"))
        assert told["result"]["isError"] is True
    assert scene.rogue.seen == []
    assert last_record(scene, "waits-revoked")["outcome"] == "deny"


def erring(seen: Seen) -> bytes:
    error = {"code": -32603, "message": "not now"}
    return http(json.dumps({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}).encode())


def test_approval_that_a_user_gave_is_none_for_a_grant_that_needs_an_operator(scene: Scene) -> None:
    """It was given back, since the server did not run the call, and waits to be used."""
    token = grant(scene, "confirm", "user-gave")
    scene.rogue.answers["tools/call"] = erring
    assert modern(scene, token, asked(scene, token, 1), answer=APPROVE).json()["error"]["message"] == "not now"
    assert modern(scene, token).json()["error"]["message"] == "not now"
    scene.rogue.seen.clear()
    token = changed(scene, "later", "user-gave")
    told = modern(scene, token).json()["result"]
    assert "retry the same call once approved" in told["content"][0]["text"]
    assert scene.rogue.seen == []
    scene.running.regate("approvals", "approve", told["_meta"]["dev.regate/decision"]["approval"])
    assert modern(scene, token).json()["error"]["message"] == "not now"


def questioning(seen: Seen) -> bytes:
    result = {"resultType": "input_required", "inputRequests": {"q": {"method": "roots/list"}}, "requestState": "s"}
    return http(json.dumps({"jsonrpc": "2.0", "id": seen.message["id"], "result": result}).encode())


def test_later_round_of_a_call_that_a_user_approved_needs_the_operator_that_its_grant_needs_now(scene: Scene) -> None:
    token = grant(scene, "confirm", "user-round")
    scene.rogue.answers["tools/call"] = questioning
    state = modern(scene, token, asked(scene, token, 1), answer=APPROVE).json()["result"]["requestState"]
    scene.rogue.seen.clear()
    told = modern(scene, changed(scene, "later", "user-round"), state).json()["result"]
    assert "retry the same call once approved" in told["content"][0]["text"]
    assert scene.rogue.seen == []
