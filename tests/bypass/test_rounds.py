"""A call of several rounds, of a real gateway: no state opens anything, and none is good twice. Source: G32, G38."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from examples import gateway
from tests.bypass.conftest import POLICY, Scene, Seen, http

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
}
QUESTIONS = {"q": {"method": "roots/list"}}
ANSWERS = {"q": {"roots": []}}


def modern(scene: Scene, tool: str, state: str | None = None, arguments: Any = None, token: str | None = None) -> Any:
    params: dict[str, Any] = {"name": tool, "arguments": arguments or {"n": 1}, "_meta": META}
    if state is not None:
        params |= {"requestState": state, "inputResponses": ANSWERS}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": tool}
    return scene.post(message, token=token, **headers)


def asking(seen: Seen) -> bytes:
    """A server that asks once."""
    state = seen.message["params"].get("requestState")
    result: dict[str, Any] = {"resultType": "complete", "content": [{"type": "text", "text": "done"}]}
    if state is None:
        result = {"resultType": "input_required", "inputRequests": QUESTIONS, "requestState": "secret of the server"}
    return http(json.dumps({"jsonrpc": "2.0", "id": seen.message["id"], "result": result}).encode())


@pytest.fixture
def rounds(scene: Scene) -> Scene:
    scene.rogue.answers["tools/call"] = asking
    return scene


def begun(scene: Scene, tool: str = "read", arguments: Any = None) -> str:
    """The state of a first round."""
    result = modern(scene, tool, arguments=arguments).json()["result"]
    assert result["resultType"] == "input_required", result
    assert result["inputRequests"] == QUESTIONS
    return str(result["requestState"])


def refused(response: Any) -> bool:
    return (response.status_code, response.json()["error"]["code"]) == (400, -32602)


def test_server_gets_back_its_own_state_and_the_client_never_sees_it(rounds: Scene) -> None:
    state = begun(rounds)
    assert "secret" not in base64.urlsafe_b64decode(state[4:] + "==").decode("latin-1")
    assert modern(rounds, "read", state).json()["result"]["content"][0]["text"] == "done"
    params = rounds.rogue.seen[-1].message["params"]
    assert (params["requestState"], params["inputResponses"]) == ("secret of the server", ANSWERS)


def test_limit_and_calls_of_two_rounds_count_once_each(rounds: Scene) -> None:
    states = [begun(rounds, "limited", {"n": number}) for number in range(3)]
    assert modern(rounds, "limited").json()["result"]["isError"] is True
    for number, state in enumerate(states):
        last = modern(rounds, "limited", state, {"n": number})
        assert last.json()["result"]["content"][0]["text"] == "done"
    assert modern(rounds, "limited").json()["result"]["isError"] is True
    assert rounds.rogue.reached() == ["limited"] * 6


BENT = {
    "cut": lambda state: state[:-5],
    "first of it": lambda state: state[:30],
    "longer": lambda state: state + "AAAA",
    "one character": lambda state: state[:20] + ("A" if state[20] != "A" else "B") + state[21:],
    "prefix alone": lambda _: "rg1.",
    "made up": lambda _: "rg1." + base64.urlsafe_b64encode(bytes(200)).decode(),
}


@pytest.mark.parametrize("how", BENT)
def test_state_that_was_bent_reaches_no_server(rounds: Scene, how: str) -> None:
    state = begun(rounds)
    rounds.rogue.seen.clear()
    assert refused(modern(rounds, "read", BENT[how](state)))
    assert rounds.rogue.seen == []
    assert modern(rounds, "read", state).json()["result"]["resultType"] == "complete"


@pytest.mark.parametrize(
    ("tool", "arguments"), [("pay", {"n": 1}), ("read", {"n": 2}), ("risky", {"n": 1}), ("delete_repo", {"n": 1})]
)
def test_state_of_another_call_reaches_no_server(rounds: Scene, tool: str, arguments: Any) -> None:
    state = begun(rounds)
    rounds.rogue.seen.clear()
    assert refused(modern(rounds, tool, state, arguments))
    assert rounds.rogue.seen == []


def test_state_of_another_grant_reaches_no_server(rounds: Scene) -> None:
    state = begun(rounds)
    other = rounds.running.regate("grants", "create", "--server", "up", "--policy", "policy", "--id", "other-rounds")
    rounds.rogue.seen.clear()
    assert refused(modern(rounds, "read", state, token=other.strip()))
    assert rounds.rogue.seen == []


def test_state_is_good_once_even_at_once(rounds: Scene) -> None:
    state = begun(rounds)
    rounds.rogue.seen.clear()
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: modern(rounds, "read", state), range(8)))
    assert sorted(response.status_code for response in told) == [200] + [400] * 7
    assert rounds.rogue.reached() == ["read"]


def test_error_of_the_server_gives_no_limit_back(rounds: Scene) -> None:
    """A client that makes later rounds fail has still called as often as it may."""

    def failing(seen: Seen) -> bytes:
        if "requestState" not in seen.message["params"]:
            return asking(seen)
        error = {"code": -32602, "message": "no such answer"}
        return http(json.dumps({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}).encode())

    rounds.rogue.answers["tools/call"] = failing
    outcomes = []
    for number in range(4):
        first = modern(rounds, "limited", arguments={"again": number}, token=counted(rounds)).json()["result"]
        outcomes.append(first["resultType"])
        if first["resultType"] == "input_required":
            state = first["requestState"]
            for _ in range(2):
                again = modern(rounds, "limited", state, {"again": number}, token=counted(rounds))
                assert again.json()["error"]["message"] == "no such answer"
    assert outcomes == ["input_required"] * 3 + ["complete"]


def counted(scene: Scene, tokens: dict[str, str] = {}) -> str:  # noqa: B006 - one grant for the whole module
    """A grant whose limits nothing else has used."""
    if scene.running.url not in tokens:
        grant = ("grants", "create", "--server", "up", "--policy", "policy", "--id", "counted-rounds")
        tokens[scene.running.url] = scene.running.regate(*grant).strip()
    return tokens[scene.running.url]


def test_approved_call_of_two_rounds_is_approved_once(rounds: Scene) -> None:
    asked = modern(rounds, "risky").json()["result"]["_meta"]["dev.regate/decision"]
    rounds.running.regate("approvals", "approve", asked["approval"])
    state = begun(rounds, "risky")
    assert modern(rounds, "risky").json()["result"]["isError"] is True
    assert modern(rounds, "risky", state).json()["result"]["content"][0]["text"] == "done"
    assert refused(modern(rounds, "risky", state))
    assert modern(rounds, "risky").json()["result"]["isError"] is True
    assert rounds.rogue.reached() == ["risky", "risky"]


def test_state_is_known_to_another_gateway_on_the_same_state_and_good_once_for_both(
    rounds: Scene, tmp_path: Path
) -> None:
    states = [begun(rounds), begun(rounds)]
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    upstream = f"http://127.0.0.1:{rounds.rogue.port}/mcp"
    options = ["--upstream", upstream, "--name", "up", "--state", str(rounds.running.state)]
    with gateway.running(policy, options, tmp_path / "other") as running:
        other = Scene(running, rounds.rogue, tmp_path / "other" / "gateway.log", rounds.client)
        rounds.rogue.seen.clear()
        assert modern(other, "read", states[0]).json()["result"]["resultType"] == "complete"
        assert refused(modern(rounds, "read", states[0]))
        assert modern(rounds, "read", states[1]).json()["result"]["resultType"] == "complete"
        assert refused(modern(other, "read", states[1]))
    assert rounds.rogue.reached() == ["read", "read"]


def test_state_is_good_once_across_a_restart(rounds: Scene, tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    options = ["--upstream", f"http://127.0.0.1:{rounds.rogue.port}/mcp", "--name", "up"]
    folder = tmp_path / "gateway"
    with gateway.running(policy, options, folder) as running:
        one = Scene(running, rounds.rogue, folder / "gateway.log", rounds.client)
        used, unused = begun(one), begun(one)
        assert modern(one, "read", used).json()["result"]["resultType"] == "complete"
    (folder / "ready.json").unlink(missing_ok=True)
    with gateway.running(policy, options, folder) as running:
        again = Scene(running, rounds.rogue, folder / "gateway.log", rounds.client)
        assert refused(modern(again, "read", used))
        assert modern(again, "read", unused).json()["result"]["resultType"] == "complete"


ODD = {
    "number without end": b'{"n":1e99999999999999999999}',
    "number without beginning": b'{"n":1e-99999999999999999999}',
    "deep": b'{"n":' + b"[" * 800 + b"]" * 800 + b"}",
}


@pytest.mark.parametrize("how", ODD)
@pytest.mark.parametrize("tool", ["read", "delete_repo", "no_such_tool"])
def test_state_with_arguments_that_no_policy_takes_is_a_plain_denial(scene: Scene, how: str, tool: str) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "_meta": META}})
    body = body[:-2] + ', "requestState": "rg1.AAAA", "arguments": '
    headers = {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": tool}
    told = scene.post(body.encode() + ODD[how] + b"}}", **headers)
    assert told.json()["result"]["isError"] is True
    scene.unharmed()
    assert scene.rogue.reached() == ["read"]


def test_answers_however_deep_are_passed_or_refused(scene: Scene) -> None:
    """Readers give up at different depths."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read", "_meta": META}})
    headers = {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": "read"}
    for depth in (100, *range(940, 1000)):
        nested = b"[" * depth + b"]" * depth
        answers = b', "inputResponses": {"dev.regate/approval": 1, "q": %b}}}' % nested
        told = scene.post(body[:-2].encode() + answers, **headers)
        assert told.status_code == 400 or told.json()["result"]["content"][0]["text"] == "done"
    scene.unharmed()
