"""What the demo does, as data: steps with the answer each must get, and how one step is taken and checked."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from examples.gateway import Gateway

_META = "dev.regate/decision"
_ROOM_S = 10


@dataclass(frozen=True, slots=True)
class Listed:
    """`tools/list` must show `count` tools and none of `hidden`."""

    count: int
    hidden: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Allowed:
    """The call must reach the server; its answer must hold `text`. `times` repeats it."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True)
class Denied:
    """The call must be refused by `rule` with `message`; with a reset time where `resets`."""

    tool: str
    rule: str
    message: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """The call must wait for a person; it is approved and tried again, goes through once, and is held again."""

    tool: str
    rule: str
    message: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fresh:
    """No call, no check: waits until the current minute has room for the steps that follow."""


Step = Listed | Allowed | Denied | Held | Fresh


class Wrong(Exception):
    """An answer that is not the one wanted."""

    def __init__(self, wanted: str, got: str) -> None:
        super().__init__(f"wanted {wanted}\n   got {got}")


async def walk(gateway: Gateway, steps: Sequence[Step], mode: str = "auto") -> None:
    """Takes the steps with a real client over HTTP and prints a line for each. Raises: Wrong, MCPError."""
    headers = {"Authorization": f"Bearer {gateway.token}"}
    failure: Exception | None = None
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(gateway.url, http_client=http), mode=mode) as client,
    ):
        try:
            for step in steps:
                await take(client, gateway, step)
        except (MCPError, Wrong) as error:  # raised in here, the client's task group would wrap it
            failure = error
    if failure is not None:
        raise failure


async def take(client: Client, gateway: Gateway, step: Step) -> None:
    """Takes one step, prints its line. Raises: Wrong, MCPError."""
    match step:
        case Listed():
            await _listed(client, step)
        case Allowed():
            await _allowed(client, step)
        case Denied():
            await _denied(client, step)
        case Held():
            await _held(client, gateway, step)
        case Fresh():
            left = 60 - time.time() % 60
            if left < _ROOM_S:
                await asyncio.sleep(left)


async def _listed(client: Client, step: Listed) -> None:
    names = [tool.name for tool in (await client.list_tools()).tools]
    leaked = sorted(set(names) & set(step.hidden))
    _check(not leaked, f"a list without {', '.join(step.hidden)}", f"{', '.join(leaked)} in it")
    _check(len(names) == step.count, f"{step.count} tools", f"{len(names)}: {', '.join(names[:20])}")
    hidden = f"without {', '.join(step.hidden)}" if step.hidden else "nothing hidden"
    _say("list", f"{len(names)} tools", hidden)


async def _allowed(client: Client, step: Allowed) -> None:
    for _ in range(step.times):
        result = await client.call_tool(step.tool, dict(step.arguments))
        text = _text(result)
        _check(not result.is_error and step.text in text, f"{step.tool} allowed, with {step.text!r}", text)
    _say("allowed", step.tool, f"{step.times} times" if step.times > 1 else _short(text))


async def _denied(client: Client, step: Denied) -> None:
    result = await client.call_tool(step.tool, dict(step.arguments))
    decision = _decision(result, step.tool)
    wanted = ("deny", step.rule, f"[POLICY DENIED] {step.message}")
    got = (str(decision.get("outcome")), str(decision.get("rule")), _text(result))
    _check(got == wanted, f"{step.tool}: {wanted}", str(got))
    resets = decision.get("retry_at")
    _check((resets is not None) == step.resets, f"retry_at {'set' if step.resets else 'absent'}", repr(resets))
    _say("denied", step.tool, f"{step.message} [{step.rule}]" + (f" until {resets}" if resets else ""))


async def _held(client: Client, gateway: Gateway, step: Held) -> None:
    approval = await _waiting(client, step)
    _say("held", step.tool, f"{step.message} approval {approval}")
    await asyncio.to_thread(gateway.regate, "approvals", "approve", approval)
    result = await client.call_tool(step.tool, dict(step.arguments))
    _check(not result.is_error, f"{step.tool} allowed once approved", _text(result))
    _say("allowed", step.tool, f"after `regate approvals approve {approval}`")
    _check(await _waiting(client, step) != approval, "a new approval for the next call", "the used one")
    _say("held", step.tool, "again: an approval is good for one call")


async def _waiting(client: Client, step: Held) -> str:
    result = await client.call_tool(step.tool, dict(step.arguments))
    decision = _decision(result, step.tool)
    wanted = ("approval_required", step.rule)
    got = (str(decision.get("outcome")), str(decision.get("rule")))
    text = _text(result)
    approval = str(decision.get("approval"))
    _check(got == wanted, f"{step.tool}: {wanted}", f"{got} {text}")
    _check(text.startswith(f"[POLICY DENIED] {step.message}") and approval in text, "the message and the id", text)
    return approval


def _decision(result: types.CallToolResult, tool: str) -> Mapping[str, Any]:
    _check(bool(result.is_error), f"{tool} refused", _text(result))
    decision = (result.meta or {}).get(_META)
    _check(isinstance(decision, Mapping), f"a decision under _meta[{_META!r}]", repr(result.meta))
    return dict(decision or {})


def _text(result: types.CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, types.TextContent))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 70 else line[:67] + "..."


def _check(holds: bool, wanted: str, got: str) -> None:
    if not holds:
        raise Wrong(wanted, got)


def _say(outcome: str, tool: str, detail: str) -> None:
    print(f"  ok  {outcome:<8} {tool:<21} {detail}", flush=True)
