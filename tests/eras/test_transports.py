"""Each pair of transports in each era, between a real client and a server that does all a server may.

Source: mcp-gateway.md section 1, G17, G19–G25, G28, G40–G47.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from examples import gateway
from tests.eras.chatty import TOOLS, log, noted, running, serving, url

ROOT = Path(gateway.__file__).parents[1]
POLICY: dict[str, Any] = {
    "version": "1",
    "default": "allow",
    "hide": ["secret"],
    "tools": {"pay": {"deny_if": [{"path": "args.amount", "op": "gt", "value": 10, "on_deny": "Too much."}]}},
}


class Heard:
    """What the client was told or asked on the side."""

    def __init__(self) -> None:
        self.logs: list[Any] = []
        self.of_logs = asyncio.Event()
        self.of_changed_tools = asyncio.Event()

    async def log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.logs.append(params.data)
        self.of_logs.set()

    async def message(self, message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self.of_changed_tools.set()

    async def sample(self, _context: Any, _params: Any) -> types.CreateMessageResult:
        content = types.TextContent(type="text", text="a joke")
        return types.CreateMessageResult(role="assistant", content=content, model="m")

    async def elicit(self, _context: Any, _params: Any) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    async def roots(self, _context: Any) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root.model_validate({"uri": "file:///here"})])

    def client(self, transport: Any, mode: str) -> Client:
        return Client(
            transport,
            mode=mode,
            sampling_callback=self.sample,
            elicitation_callback=self.elicit,
            list_roots_callback=self.roots,
            logging_callback=self.log,
            message_handler=self.message,
        )


@asynccontextmanager
async def connected(
    pair: str, mode: str, folder: Path, heard: Heard, policy_of: Any = POLICY, *more: str
) -> AsyncIterator[Client]:
    """A client before the gateway before the server, by the transports of the pair."""
    near, far = pair.split("-")
    with serving(folder / "log", far) as upstream:
        async with before(upstream, near, mode, folder, heard, policy_of, *more) as client:
            yield client


@asynccontextmanager
async def before(
    upstream: list[str], near: str, mode: str, folder: Path, heard: Heard, policy_of: Any = POLICY, *more: str
) -> AsyncIterator[Client]:
    """A client before the gateway, by this transport, before a server as the command line names it."""
    policy = folder / "policy.json"
    policy.write_text(json.dumps(policy_of))
    if near == "stdio":
        options = ["--policy", str(policy), "--state", str(folder / "state"), "--name", "chatty", *more]
        arguments = ["-m", "sidecar", "stdio", *options, *upstream]
        parameters = StdioServerParameters(command=sys.executable, args=arguments, env={**os.environ}, cwd=ROOT)
        async with heard.client(stdio_client(parameters), mode) as client:
            yield client
        return
    with gateway.running(policy, ["--name", "chatty", *more, *upstream], folder / "gateway") as gate:
        headers = {"Authorization": f"Bearer {gate.token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            heard.client(streamable_http_client(gate.url, http_client=http), mode) as client,
        ):
            yield client


def text(result: Any) -> str:
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


@pytest.fixture(autouse=True)
def own_opa(opa_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGATE_OPA", str(opa_path))


PAIRS = ["http-http", "stdio-stdio", "http-stdio", "stdio-http", "http-sse", "stdio-sse"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("pair", PAIRS)
async def test_pair_lists_calls_denies_and_reports(pair: str, mode: str, tmp_path: Path) -> None:
    heard = Heard()
    async with connected(pair, mode, tmp_path, heard) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
        assert text(await client.call_tool("echo", {"text": "häßlich"})) == "häßlich"
        assert text(await client.call_tool("pay", {"amount": 10})) == "paid 10"
        for tool, arguments in (("pay", {"amount": 11}), ("secret", {})):
            denied = await client.call_tool(tool, arguments)
            assert denied.is_error
            assert text(denied).startswith("[POLICY DENIED]")
        progress: list[float] = []

        async def step(done: float, _total: float | None, _message: str | None) -> None:
            progress.append(done)

        assert text(await client.call_tool("steps", {}, progress_callback=step)) == "done"
        assert progress == [1, 2, 3]
        assert text(await client.call_tool("echo", {"text": "after"})) == "after"
    assert [line for line in log(tmp_path) if line.split()[0] in ("echo", "pay", "secret")] == [
        "echo häßlich",
        "pay 10",
        "echo after",
    ]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("pair", PAIRS)
async def test_pair_cancels_at_the_server(pair: str, mode: str, tmp_path: Path) -> None:
    async with connected(pair, mode, tmp_path, Heard()) as client:
        waiting = asyncio.create_task(client.call_tool("wait", {}))
        await noted(tmp_path, "wait")
        waiting.cancel()
        await noted(tmp_path, "cancelled")
        assert text(await client.call_tool("echo", {"text": "after"})) == "after"


@pytest.mark.parametrize("pair", PAIRS)
async def test_pair_lets_a_server_of_the_legacy_era_ask_and_tell(pair: str, tmp_path: Path) -> None:
    heard = Heard()
    async with connected(pair, "legacy", tmp_path, heard) as client:
        assert text(await client.call_tool("sample", {})) == "sampled a joke"
        assert text(await client.call_tool("ask", {})) == "asked {'name': 'Ada'}"
        assert text(await client.call_tool("roots", {})) == "roots ['file:///here']"
        assert text(await client.call_tool("ping", {})) == "pinged"
        assert text(await client.call_tool("talk", {})) == "talked"
        async with asyncio.timeout(20):
            await heard.of_logs.wait()
        assert heard.logs == ["talked"]


@pytest.mark.parametrize("pair", ["http-http", "stdio-http"])
async def test_pair_resumes_a_stream_that_the_server_closed(pair: str, tmp_path: Path) -> None:
    async with connected(pair, "legacy", tmp_path, Heard()) as client:
        assert text(await client.call_tool("hang_up", {})) == "came back"
    assert any(line.startswith("GET ") and line != "GET -" for line in log(tmp_path))


async def test_stdio_client_leaving_ends_its_session_upstream(tmp_path: Path) -> None:
    async with connected("stdio-http", "legacy", tmp_path, Heard()) as client:
        await client.call_tool("echo", {"text": "bye"})
    probing, ours = [line for line in log(tmp_path) if line.startswith("DELETE")]
    assert probing == ours == "DELETE -"


async def test_stdio_client_outlives_a_restart_of_its_server_and_no_call_runs_twice(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as servers:
        upstream = ["--upstream", url(listening, "http")]
        servers.enter_context(running(tmp_path / "log", listening, "http"))
        async with before(upstream, "stdio", "legacy", tmp_path, Heard()) as client:
            assert text(await client.call_tool("echo", {"text": "before"})) == "before"
            lost = asyncio.create_task(client.call_tool("wait", {}))
            await noted(tmp_path, "wait")
            servers.close()
            servers.enter_context(running(tmp_path / "log", listening, "http"))
            with pytest.raises(MCPError, match="The request may have run, so it was not sent again"):
                await lost
            assert text(await client.call_tool("echo", {"text": "after"})) == "after"
    called = [line for line in log(tmp_path) if line.split()[0] in ("echo", "wait")]
    assert called == ["echo before", "wait", "echo after"]


@pytest.mark.parametrize("pair", ["http-http", "http-stdio", "stdio-stdio", "stdio-http", "http-sse"])
async def test_legacy_client_is_told_when_a_new_policy_changes_what_it_sees(pair: str, tmp_path: Path) -> None:
    heard = Heard()
    async with connected(pair, "legacy", tmp_path, heard) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
        (tmp_path / "policy.json").write_text(json.dumps({**POLICY, "hide": ["secret", "echo"]}))
        async with asyncio.timeout(20):
            await heard.of_changed_tools.wait()
        assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS[1:]


@pytest.mark.parametrize("pair", ["http-http", "http-stdio", "stdio-stdio", "stdio-http"])
async def test_modern_subscriber_is_told_when_a_new_policy_changes_what_it_sees(pair: str, tmp_path: Path) -> None:
    async with connected(pair, "auto", tmp_path, Heard()) as client:
        async with asyncio.timeout(20), client.listen(tools_list_changed=True) as events:
            (tmp_path / "policy.json").write_text(json.dumps({**POLICY, "hide": ["secret", "echo"]}))
            async for event in events:
                assert type(event).__name__ == "ToolsListChanged"
                break
        assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS[1:]


@pytest.mark.parametrize(("options", "listed"), [((), TOOLS), (("--list", "callable"), ["echo", "pay"])])
@pytest.mark.parametrize("pair", ["http-http", "stdio-stdio"])
async def test_list_of_a_grant_holds_what_is_not_hidden_or_what_may_be_called(
    pair: str, options: tuple[str, ...], listed: list[str], tmp_path: Path
) -> None:
    policy = {"version": "1", "default": "deny", "hide": ["secret"], "tools": {"echo": {}, **POLICY["tools"]}}
    async with connected(pair, "auto", tmp_path, Heard(), policy, *options) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == listed
        assert (await client.call_tool("steps", {})).is_error


@pytest.mark.parametrize("pair", ["http-http", "stdio-stdio"])
async def test_grant_that_polices_all_methods_closes_prompts_and_resources(pair: str, tmp_path: Path) -> None:
    async with connected(pair, "auto", tmp_path, Heard(), POLICY, "--policed-methods", "all") as client:
        for ask in (client.list_prompts, client.list_resources):
            with pytest.raises(MCPError) as caught:
                await ask()
            assert caught.value.error.code == 40301
        assert text(await client.call_tool("echo", {"text": "x"})) == "x"
