"""Calls that wait for a person, by real clients of both eras. Source: mcp-gateway.md G33–G36."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.eras.chatty import log, serving
from tests.eras.test_transports import ROOT, Heard, connected, text

POLICY = {"version": "1", "default": "allow", "tools": {"pay": {"require_approval": [{"message": "Ask first."}]}}}
PAIRS = ["http-http", "stdio-stdio", "http-stdio", "stdio-http"]
_IMPATIENT = "import sidecar.path.waiting as w; w.ROUND_S = 1; from sidecar.cli import main; main()"


class User(Heard):
    """Somebody before the client who answers forms."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[str] = []

    async def elicit(self, _context: Any, params: Any) -> types.ElicitResult:
        self.asked.append(params.message)
        return types.ElicitResult.model_validate(self.answers.pop(0))


@pytest.fixture(autouse=True)
def own_opa(opa_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGATE_OPA", str(opa_path))


async def regate(folder: Path, *arguments: str) -> Any:
    """What a command about the gateway's state says, as JSON."""
    state = folder / "state" if (folder / "state").exists() else folder / "gateway" / "state"
    command = [sys.executable, "-m", "sidecar", *arguments, "--state", str(state)]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()] if "audit" in arguments else done.stdout


async def pending(folder: Path) -> str:
    """The id of the one approval that waits, once there is one."""
    async with asyncio.timeout(60):
        while not (found := json.loads(await regate(folder, "approvals", "list", "--format", "json") or "[]")):
            pass
    return str(found[0]["id"])


async def people(folder: Path) -> list[tuple[str, str]]:
    """Who answered for each call of the audit log, and how it was decided."""
    records = await regate(folder, "audit", "tail", "--format", "json")
    return [(record["outcome"], record["person"]) for record in records if record["tool"] == "pay"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("pair", ["http-http", "stdio-stdio"])
async def test_call_waits_for_an_operator_and_others_do_not_wait_for_it(pair: str, mode: str, tmp_path: Path) -> None:
    async with connected(pair, mode, tmp_path, Heard(), POLICY, "--approval", "wait") as client:
        held = asyncio.create_task(client.call_tool("pay", {"amount": 1}))
        approval = await pending(tmp_path)
        assert text(await client.call_tool("echo", {"text": "meanwhile"})) == "meanwhile"
        await regate(tmp_path, "approvals", "approve", approval)
        assert text(await held) == "paid 1"
        held = asyncio.create_task(client.call_tool("pay", {"amount": 2}))
        await regate(tmp_path, "approvals", "refuse", await pending(tmp_path))
        assert text(await held) == "[POLICY DENIED] Approval was refused."
    assert [line for line in log(tmp_path) if line.startswith("pay")] == ["pay 1"]
    assert await people(tmp_path) == [("allow", "operator"), ("deny", "operator")]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("pair", PAIRS)
async def test_call_is_confirmed_by_the_clients_own_user(pair: str, mode: str, tmp_path: Path) -> None:
    yes = {"action": "accept", "content": {"decision": "approve"}}
    user = User(yes, {"action": "decline"}, {"action": "accept", "content": {"decision": "deny"}})
    async with connected(pair, mode, tmp_path, user, POLICY, "--approval", "confirm") as client:
        assert text(await client.call_tool("pay", {"amount": 1})) == "paid 1"
        for amount in (2, 3):
            denied = await client.call_tool("pay", {"amount": amount})
            assert text(denied) == "[POLICY DENIED] Approval was refused."
        assert text(await client.call_tool("echo", {"text": "after"})) == "after"
    assert user.asked == ["Policy policy asks you to confirm: pay (arguments: amount)."] * 3
    assert [line for line in log(tmp_path) if line.startswith("pay")] == ["pay 1"]
    told = await people(tmp_path)
    answered = [one for one in told if one[0] != "approval_required"]
    assert len(told) - len(answered) == (3 if mode == "auto" else 0)
    assert answered == [("allow", "user"), ("deny", "user"), ("deny", "user")]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_client_that_shows_no_form_is_told_to_come_again(mode: str, tmp_path: Path) -> None:
    class Plain(Heard):
        def client(self, transport: Any, mode: str) -> Client:
            return Client(transport, mode=mode)

    async with connected("http-http", mode, tmp_path, Plain(), POLICY, "--approval", "confirm") as client:
        assert "Approval id apr_" in text(await client.call_tool("pay", {"amount": 1}))
        await regate(tmp_path, "approvals", "approve", await pending(tmp_path))
        assert text(await client.call_tool("pay", {"amount": 1})) == "paid 1"


async def test_modern_client_comes_again_by_itself_until_it_is_decided(tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    with serving(tmp_path / "log", "stdio") as upstream:
        options = ["--policy", str(policy), "--state", str(tmp_path / "state"), "--approval", "wait", *upstream]
        command = StdioServerParameters(
            command=sys.executable, args=["-c", _IMPATIENT, "stdio", *options], env={**os.environ}, cwd=ROOT
        )
        async with Heard().client(stdio_client(command), "auto") as client:
            held = asyncio.create_task(client.call_tool("pay", {"amount": 1}))
            approval = await pending(tmp_path)
            async with asyncio.timeout(60):
                while (await people(tmp_path)).count(("approval_required", "")) < 2:
                    pass
            await regate(tmp_path, "approvals", "approve", approval)
            assert text(await held) == "paid 1"
    assert (await people(tmp_path))[-1] == ("allow", "operator")
