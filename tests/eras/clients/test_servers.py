"""Servers of others behind the real gateway, each under a policy over its own tools: what is denied has no effect.

A client of both eras falls back by itself where the server speaks the older one only.
Source: mcp-gateway.md section 1, G15, G26, G29, G40, G41, G44, G47.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from examples import gateway, repository
from tests import npm
from tests.eras.clients import foreign

pytestmark = pytest.mark.timeout(600)

BIN = Path(sys.executable).parent
LEGACY, MODERN = "2025-11-25", "2026-07-28"
MODES = ("legacy", "auto")


@pytest.fixture
def packages() -> npm.Packages:
    try:
        return foreign.packages()
    except npm.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(autouse=True)
def own_opa(opa_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGATE_OPA", str(opa_path))


@asynccontextmanager
async def connected(running: gateway.Gateway, mode: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {running.token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(running.url, http_client=http), mode=mode) as client,
    ):
        yield client


@asynccontextmanager
async def governed(
    server: Sequence[str], policy: dict[str, Any], folder: Path, upstream: Sequence[str] = ()
) -> AsyncIterator[gateway.Gateway]:
    """A gateway before the server, which shows the server's list as it is but for what the policy hides.

    `upstream` names the server where the gateway does not start it.
    """
    file = folder / "policy.json"
    file.write_text(json.dumps({"version": "1", **policy}), encoding="utf-8")
    with gateway.running(file, ["--name", "real", *(upstream or ["--", *server])], folder / "gateway") as running:
        command = StdioServerParameters(command=server[0], args=[*server[1:]], env={**os.environ})
        async with Client(stdio_client(command), mode="legacy") as direct, connected(running, "legacy") as client:
            own, shown = (await direct.list_tools()).tools, (await client.list_tools()).tools
        left = [tool for tool in own if tool.name not in policy["hide"]]
        assert [tool.model_dump() for tool in shown] == [tool.model_dump() for tool in left]
        assert len(own) == len(left) + len(policy["hide"])
        yield running


async def text(client: Client, tool: str, **arguments: Any) -> str:
    """What an allowed call says."""
    result = await client.call_tool(tool, arguments)
    said = _said(result)
    assert not result.is_error, said
    return said


async def denied(client: Client, tool: str, **arguments: Any) -> str:
    """Why a call is denied: by the gateway, and not by the server."""
    result = await client.call_tool(tool, arguments)
    said = _said(result)
    assert result.is_error, said
    assert said.startswith("[POLICY DENIED] "), said
    return said.removeprefix("[POLICY DENIED] ")


def _said(result: types.CallToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, types.TextContent))


def revisions(found: Iterable[str]) -> dict[str, str]:
    return dict(zip(MODES, found, strict=True))


@contextmanager
def listening(server: Sequence[str], transport: str, path: str) -> Iterator[list[str]]:
    """How the gateway's command line names the server: itself, or the URL of one that listens."""
    if transport == "stdio":
        yield ["--", *server]
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*server, transport],
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until_open(port, process)
        yield ["--upstream", f"http://127.0.0.1:{port}{path}"]
    finally:
        process.terminate()
        process.wait()


def _until_open(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server did not start")


@pytest.mark.parametrize(("transport", "path"), [("stdio", ""), ("streamableHttp", "/mcp"), ("sse", "/sse")])
async def test_server_everything_fetches_nothing_that_policy_denies(
    transport: str, path: str, packages: npm.Packages, tmp_path: Path
) -> None:
    server = packages.command("@modelcontextprotocol/server-everything/dist/index.js")
    policy = {
        "default": "allow",
        "hide": ["get-env"],
        "tools": {
            "get-sum": {"deny_if": [{"path": "args.a", "op": "gt", "value": 100, "on_deny": "Too much."}]},
            "gzip-file-as-resource": {
                "require": [{"path": "args.data", "op": "regex", "value": "^data:", "on_deny": "Nothing is fetched."}]
            },
        },
    }
    found = []
    with socket.create_server(("127.0.0.1", 0)) as site, listening(server, transport, path) as upstream:
        url = f"http://127.0.0.1:{site.getsockname()[1]}/file"
        async with governed(server, policy, tmp_path, upstream) as running:
            for mode in MODES:
                async with connected(running, mode) as client:
                    found.append(client.protocol_version)
                    assert await text(client, "get-sum", a=100, b=2) == "The sum of 100 and 2 is 102."
                    assert await denied(client, "get-sum", a=101, b=2) == "Too much."
                    await text(client, "gzip-file-as-resource", name="a.gz", data="data:text/plain,hello")
                    said = await denied(client, "gzip-file-as-resource", name="b.gz", data=url)
                    assert said == "Nothing is fetched."
                    await denied(client, "get-env")
        site.setblocking(False)
        with pytest.raises(BlockingIOError):
            site.accept()
    assert revisions(found) == {"legacy": LEGACY, "auto": LEGACY}


async def test_server_filesystem_writes_and_moves_nothing_that_policy_denies(
    packages: npm.Packages, tmp_path: Path
) -> None:
    folder = (tmp_path / "files").resolve()
    folder.mkdir()
    server = packages.command("@modelcontextprotocol/server-filesystem/dist/index.js", str(folder))
    policy = {
        "default": "deny",
        "hide": ["move_file"],
        "tools": {
            "read_text_file": {},
            "write_file": {
                "deny_if": [{"path": "args.path", "op": "regex", "value": r"/\.[^/]*$", "on_deny": "No hidden files."}]
            },
        },
    }
    found = []
    async with governed(server, policy, tmp_path) as running:
        for mode in MODES:
            note, secret = folder / f"{mode}.txt", folder / f".{mode}"
            async with connected(running, mode) as client:
                found.append(client.protocol_version)
                await text(client, "write_file", path=str(note), content="kept")
                assert await text(client, "read_text_file", path=str(note)) == "kept"
                assert await denied(client, "write_file", path=str(secret), content="x") == "No hidden files."
                await denied(client, "edit_file", path=str(note), edits=[{"oldText": "kept", "newText": "lost"}])
                await denied(client, "create_directory", path=str(folder / "more"))
                await denied(client, "move_file", source=str(note), destination=str(folder / "gone"))
    assert {file.name: file.read_text() for file in folder.iterdir()} == {"legacy.txt": "kept", "auto.txt": "kept"}
    assert revisions(found) == {"legacy": LEGACY, "auto": LEGACY}


async def test_mcp_server_git_makes_no_branch_or_commit_that_policy_denies(tmp_path: Path) -> None:
    tree = repository.make(tmp_path / "tree")
    server = [str(BIN / "mcp-server-git"), "--repository", str(tree)]
    policy = {
        "default": "allow",
        "hide": ["git_reset"],
        "tools": {
            "git_create_branch": {
                "require": [
                    {"path": "args.branch_name", "op": "regex", "value": "^topic/", "on_deny": "Only under topic/."}
                ]
            },
            "git_commit": {
                "deny_if": [{"path": "args.message", "op": "contains", "value": "wip", "on_deny": "Finish it first."}]
            },
        },
    }
    found, before = [], git(tree, "log", "--format=%s")
    async with governed(server, policy, tmp_path) as running:
        for mode in MODES:
            here = {"repo_path": str(tree)}
            async with connected(running, mode) as client:
                found.append(client.protocol_version)
                await text(client, "git_add", **here, files=["README.md"])
                await denied(client, "git_reset", **here)
                await text(client, "git_create_branch", **here, branch_name=f"topic/{mode}")
                assert await denied(client, "git_create_branch", **here, branch_name=mode) == "Only under topic/."
                assert await denied(client, "git_commit", **here, message="wip") == "Finish it first."
    assert git(tree, "branch", "--format=%(refname:short)") == ["main", "topic/auto", "topic/legacy"]
    assert git(tree, "diff", "--cached", "--name-only") == ["README.md"], "what was added is not reset"
    assert git(tree, "log", "--format=%s") == before
    assert revisions(found) == {"legacy": LEGACY, "auto": MODERN}


def git(tree: Path, *arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], cwd=tree, check=True, capture_output=True, text=True).stdout.splitlines()


async def test_mcp_server_time_tells_only_the_zones_that_policy_allows(tmp_path: Path) -> None:
    zones = ["Etc/UTC", "Europe/Berlin"]
    policy = {
        "default": "deny",
        "hide": ["convert_time"],
        "tools": {
            "get_current_time": {
                "require": [{"path": "args.timezone", "op": "in", "value": zones, "on_deny": "Another zone, please."}]
            }
        },
    }
    found = []
    async with governed([str(BIN / "mcp-server-time"), "--local-timezone", "Etc/UTC"], policy, tmp_path) as running:
        for mode in MODES:
            async with connected(running, mode) as client:
                found.append(client.protocol_version)
                told = json.loads(await text(client, "get_current_time", timezone="Etc/UTC"))
                assert abs((datetime.fromisoformat(told["datetime"]) - datetime.now(UTC)).total_seconds()) < 120
                said = await denied(client, "get_current_time", timezone="Asia/Tokyo")
                assert said == "Another zone, please."
                more = {"source_timezone": "Etc/UTC", "target_timezone": "Europe/Berlin", "time": "12:00"}
                await denied(client, "convert_time", **more)
    assert revisions(found) == {"legacy": LEGACY, "auto": MODERN}
