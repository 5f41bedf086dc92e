import json
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from examples import stand_in

ROOT = Path(stand_in.__file__).parents[1]
CATALOGUES = sorted((ROOT / "examples" / "catalogue").glob("*.json"))


def _tools(catalogue: Path) -> list[dict[str, Any]]:
    return list(json.loads(catalogue.read_bytes())["tools"])


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.stem)
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_stand_in_lists_exactly_the_catalogue(catalogue: Path, mode: str) -> None:
    server = stand_in.build(catalogue, stand_in.recorder(None))
    async with Client(server, mode=mode) as client:
        listed = (await client.list_tools()).tools
    assert [tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in listed] == _tools(catalogue)


async def test_stand_in_over_stdio_echoes_and_logs_each_call(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    arguments = [str(ROOT / "examples" / "stand_in.py"), str(CATALOGUES[1]), "--log", str(log)]
    async with Client(StdioServerParameters(command=sys.executable, args=arguments)) as client:
        result = await client.call_tool("cancel_order", {"b": 1, "a": [2]})
    assert [part.model_dump()["text"] for part in result.content] == ['cancel_order {"a": [2], "b": 1}']
    assert log.read_text() == '{"tool": "cancel_order", "arguments": {"b": 1, "a": [2]}}\n'
