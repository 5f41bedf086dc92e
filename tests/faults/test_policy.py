"""The policy file edited under a running gateway: the next call follows it, and a broken one changes nothing."""

import json
import time

import httpx

from tests.faults.conftest import POLICY, Scene


def test_policy_edited_is_in_force_without_a_restart(scene: Scene) -> None:
    assert "result" in scene.call("fetch_ticker", symbol="BTC")
    before = visible(scene)
    edited = {**POLICY, "hide": ["fetch_ticker"]}
    scene.policy.write_text(json.dumps(edited))
    deadline = time.monotonic() + 20
    while scene.call("fetch_ticker", symbol="BTC")["result"].get("isError") is not True:
        assert time.monotonic() < deadline
    assert scene.denial("fetch_ticker", symbol="BTC")[0] == "(hidden)"
    assert visible(scene) == [name for name in before if name != "fetch_ticker"]


def test_policy_broken_keeps_the_last_good_one_and_status_says_why(scene: Scene) -> None:
    scene.policy.write_text('{"version": "1", "default": "alow"}')
    deadline = time.monotonic() + 20
    while not (problem := policies(scene)[0]["problem"]):
        assert time.monotonic() < deadline
    assert "/default" in problem
    assert "result" in scene.call("fetch_ticker", symbol="BTC")
    assert scene.denial("create_order", symbol="BTC", amount=99)[1] == "[POLICY DENIED] Too much."
    assert httpx.get(f"{scene.base}/readyz").status_code == 200
    scene.policy.write_text(json.dumps(POLICY))
    while policies(scene)[0]["problem"]:
        assert time.monotonic() < deadline


def visible(scene: Scene) -> list[str]:
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = httpx.post(scene.running.url, headers=scene.headers, json=listing, timeout=20).json()
    return [tool["name"] for tool in answer["result"]["tools"]]


def policies(scene: Scene) -> list[dict[str, str]]:
    [status] = json.loads(scene.running.regate("status", "--format", "json"))
    return status["policies"]
