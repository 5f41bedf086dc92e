"""The seeds' five policies between a real MCP client and a server that lists the real tools, over HTTP and stdio."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from examples import gateway

EXAMPLES = Path(gateway.__file__).parent
APPROVAL = "[POLICY DENIED] Requires human approval."


@dataclass(frozen=True)
class Seed:
    """A seed's policy: what it does to its one tool, and a tool of the same server that it does not name."""

    name: str
    tool: str
    other: str
    rule: str
    message: str
    hidden: bool = False
    allowed_first: int = 0

    @property
    def policy(self) -> Path:
        return EXAMPLES / "seeds" / self.name / "policy.json"

    @property
    def catalogue(self) -> Path:
        return EXAMPLES / "catalogue" / f"{self.name.partition('-')[0]}-tools.json"


SEEDS = [
    Seed(
        "bybit-wsCancelOrder",
        "wsCancelOrder",
        "getTickers",
        "(hidden)",
        'Tool "wsCancelOrder" is hidden by policy',
        True,
    ),
    Seed(
        "bybit-wsBatchCancelOrders",
        "wsBatchCancelOrders",
        "getTickers",
        "(hidden)",
        'Tool "wsBatchCancelOrders" is hidden by policy',
        True,
    ),
    Seed(
        "bybit-wsBatchAmendOrders",
        "wsBatchAmendOrders",
        "getTickers",
        "/tools/wsBatchAmendOrders/limits/wsbatchamendorders_rate",
        "Rate limit of 10 per minute reached. Try again later.",
        allowed_first=10,
    ),
    Seed(
        "ccxt-cancel_order",
        "cancel_order",
        "create_order",
        "/tools/cancel_order/deny_if/always",
        "Requires human approval.",
    ),
    Seed(
        "bybit-wsBatchCreateOrders",
        "wsBatchCreateOrders",
        "getTickers",
        "/tools/wsBatchCreateOrders/deny_if/always",
        "Requires human approval.",
    ),
]


@asynccontextmanager
async def over_http(seed: Seed, folder: Path, mode: str) -> AsyncIterator[Client]:
    with gateway.running(seed.policy, ["--", *_server(seed, folder)], folder / "gateway") as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            Client(streamable_http_client(running.url, http_client=http), mode=mode) as client,
        ):
            yield client


@asynccontextmanager
async def over_stdio(seed: Seed, folder: Path, mode: str) -> AsyncIterator[Client]:
    arguments = ["-m", "sidecar", "stdio", "--policy", str(seed.policy), "--state", str(folder / "state"), "--"]
    parameters = StdioServerParameters(
        command=sys.executable,
        args=[*arguments, *_server(seed, folder)],
        env={**os.environ},
        cwd=EXAMPLES.parent,
    )
    async with Client(stdio_client(parameters), mode=mode) as client:
        yield client


def _server(seed: Seed, folder: Path) -> list[str]:
    return [sys.executable, "-m", "examples.stand_in", str(seed.catalogue), "--log", str(folder / "reached.jsonl")]


WAYS = {"http": over_http, "stdio": over_stdio}
CASES = [
    pytest.param(seed, way, mode, id=f"{seed.name}-{name}-{mode}")
    for seed in SEEDS
    for name, way in WAYS.items()
    for mode in (("auto", "legacy") if seed.allowed_first else ("auto",))
]


@pytest.mark.parametrize(("seed", "way", "mode"), CASES)
async def test_seed_policy_holds_for_a_real_client(
    seed: Seed, way: Any, mode: str, tmp_path: Path, opa_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGATE_OPA", str(opa_path))
    monkeypatch.chdir(EXAMPLES.parent)
    names = [tool["name"] for tool in json.loads(seed.catalogue.read_text())["tools"]]
    async with way(seed, tmp_path, mode) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
        assert listed == [name for name in names if not (seed.hidden and name == seed.tool)]
        allowed, denied = await until_denied(client, seed)
        other = await client.call_tool(seed.other, {})
    assert seed.allowed_first <= allowed <= 2 * seed.allowed_first
    assert decision(denied)["rule"] == seed.rule
    assert text(denied).startswith(f"[POLICY DENIED] {seed.message}")
    assert decision(other)["rule"] == "(default deny)"
    reached = (tmp_path / "reached.jsonl").read_text().splitlines() if seed.allowed_first else []
    assert [json.loads(line)["tool"] for line in reached] == [seed.tool] * allowed
    assert (tmp_path / "reached.jsonl").exists() == bool(seed.allowed_first)


async def until_denied(client: Client, seed: Seed) -> tuple[int, types.CallToolResult]:
    """How many calls were allowed before the first denial. A minute that ends meanwhile allows as many again."""
    for allowed in range(2 * seed.allowed_first + 1):
        result = await client.call_tool(seed.tool, {})
        if result.is_error:
            return allowed, result
    raise AssertionError("the limit never held")


def decision(result: types.CallToolResult) -> dict[str, Any]:
    assert result.meta is not None
    return dict(result.meta["dev.regate/decision"])


def text(result: types.CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


def test_stdio_gateway_leaves_no_process_behind(tmp_path: Path, opa_path: Path) -> None:
    seed = SEEDS[0]
    command = [
        sys.executable,
        "-m",
        "sidecar",
        "stdio",
        "--policy",
        str(seed.policy),
        "--state",
        str(tmp_path / "state"),
    ]
    marker = tmp_path / "only-here.jsonl"
    server = [sys.executable, "-m", "examples.stand_in", str(seed.catalogue), "--log", str(marker)]
    done = subprocess.run(
        [*command, "--", *server],
        input=b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
        b'"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}\n',
        capture_output=True,
        timeout=60,
        check=True,
        cwd=EXAMPLES.parent,
        env={**os.environ, "REGATE_OPA": str(opa_path)},
    )
    assert json.loads(done.stdout)["result"]["serverInfo"]["name"] == "trading-mcp"
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]
    assert not [command for command in running if str(marker).encode() in command]


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True
