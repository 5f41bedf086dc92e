from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp import Client
from mcp.server import Server

from examples import stand_in, tour
from examples.gateway import Gateway

CATALOGUE = Path(stand_in.__file__).with_name("catalogue") / "ccxt-tools.json"
NOBODY = Gateway("http://127.0.0.1:9/mcp", "", Path(), 0)
DENIED = tour.Denied("t", "/tools/t/limits/n", "No more.", resets=True)


def _refusing(decision: dict[str, str], text: str) -> Server[Any]:
    async def call_tool(_context: Any, _params: types.CallToolRequestParams) -> types.CallToolResult:
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], is_error=True, meta={"dev.regate/decision": decision}
        )

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="t", input_schema={"type": "object"})])

    return Server("refusing", on_call_tool=call_tool, on_list_tools=list_tools)


@pytest.mark.parametrize(
    "step",
    [
        tour.Listed(18),
        tour.Listed(19, ["cancel_order"]),
        tour.Allowed("cancel_order", text="another answer"),
        tour.Denied("cancel_order", "(hidden)", "Hidden."),
        tour.Held("cancel_order", "/tools/cancel_order/deny_if/always", "Requires human approval."),
    ],
    ids=lambda step: type(step).__name__,
)
async def test_tour_past_a_server_that_nobody_governs_is_wrong(step: tour.Step) -> None:
    async with Client(stand_in.build(CATALOGUE, stand_in.recorder(None))) as client:
        with pytest.raises(tour.Wrong, match="wanted"):
            await tour.take(client, NOBODY, step)


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        ({"outcome": "deny", "rule": "(hidden)", "retry_at": "2026-01-01T00:00:00Z"}, "[POLICY DENIED] No more."),
        ({"outcome": "deny", "rule": "/tools/t/limits/n"}, "[POLICY DENIED] No more."),
        ({"outcome": "deny", "rule": "/tools/t/limits/n", "retry_at": "2026-01-01T00:00:00Z"}, "Something else."),
        ({"outcome": "approval_required", "rule": "/tools/t/limits/n"}, "[POLICY DENIED] No more."),
    ],
)
async def test_tour_denied_in_another_way_is_wrong(decision: dict[str, str], text: str) -> None:
    async with Client(_refusing(decision, text)) as client:
        with pytest.raises(tour.Wrong):
            await tour.take(client, NOBODY, DENIED)


async def test_tour_denied_as_wanted_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    decision = {"outcome": "deny", "rule": "/tools/t/limits/n", "retry_at": "2026-01-01T00:00:00Z"}
    async with Client(_refusing(decision, "[POLICY DENIED] No more.")) as client:
        await tour.take(client, NOBODY, DENIED)
    assert "until 2026-01-01T00:00:00Z" in capsys.readouterr().out
