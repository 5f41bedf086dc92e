"""Source: mcp-gateway.md G24, G41–G44."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.ports import Outgoing

SERVERS = Path(__file__).parents[2] / "servers"
Rogue = Callable[..., Any]


async def test_modern_requests_share_one_process(rogue: Rogue) -> None:
    client = rogue()
    pids = await asyncio.gather(*(client.text("pid", 1) for _ in range(20)))
    session = await client.open()
    assert len(set(pids)) == 1
    assert await client.text("pid", 1, session) != pids[0]


async def test_modern_clients_with_the_same_id_and_token_do_not_meet(rogue: Rogue, collected: Any) -> None:
    client = rogue()
    replies = await asyncio.gather(*(client.call("progress", 1, token="t", steps=n) for n in range(1, 31)))
    for steps, reply in enumerate(replies, 1):
        messages = await collected(reply)
        assert [m["params"]["progress"] for m in messages[:-1]] == list(range(steps))
        assert messages[-1]["id"] == 1


async def test_modern_request_keeps_every_byte_but_its_ids(rogue: Rogue) -> None:
    client = rogue()
    kept = b'{"name": "heard",  "arguments":{"n":1.50, "e":1E2,"s":"\\u00e9"},"_meta":{"progressToken":"p"}}'
    await client.upstream.send(
        Outgoing(b'{"jsonrpc":"2.0","id":"x","method":"tools/call","params":%b}' % kept, "tools/call", "x", modern=True)
    )
    (heard,) = json.loads(await client.text("heard"))[:1]
    number = heard["id"]
    assert isinstance(number, int)
    assert heard["params"] == json.loads(kept) | {"_meta": {"progressToken": number}}


@pytest.mark.parametrize(
    ("method", "params", "status"),
    [("nothing/known", {}, 404), ("tools/call", {"name": "unknown"}, 400), ("server/discover", {}, 200)],
)
async def test_modern_status_follows_the_error_code(
    rogue: Rogue, method: str, params: dict[str, Any], status: int
) -> None:
    reply = await rogue().request(method, "id", params)
    assert (reply.status, json.loads(reply.body)["id"]) == (status, "id")


async def test_legacy_server_refuses_discover_and_then_serves_a_session(rogue: Rogue) -> None:
    client = rogue("--legacy")
    refused = await client.request("server/discover")
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (404, -32601)
    assert (await client.initialize()).status == 200


@pytest.mark.parametrize("how", ["result", "cancelled"])
async def test_subscription_carries_its_clients_id_until_the_server_ends_it(
    rogue: Rogue, how: str, collected: Any
) -> None:
    messages = await collected(await rogue().request("subscriptions/listen", "sub", {"end": how}))
    methods = [message.get("method") for message in messages[:2]]
    ids = [m["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] for m in messages[:2]]
    assert methods == ["notifications/subscriptions/acknowledged", "notifications/tools/list_changed"]
    assert ids == ["sub", "sub"]
    if how == "result":
        assert messages[2]["id"] == "sub"
        assert messages[2]["result"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": "sub"}
    else:
        assert messages[2]["params"] == {"requestId": "sub"}
    assert len(messages) == 3


async def test_subscription_left_is_cancelled_at_the_server(rogue: Rogue) -> None:
    client = rogue()
    reply = await client.request("subscriptions/listen", "sub")
    await anext(reply.events)
    await reply.drop()
    listen, cancelled = json.loads(await client.text("heard"))[:2]
    assert cancelled["method"] == "notifications/cancelled"
    assert cancelled["params"]["requestId"] == listen["id"]


async def test_modern_hang_up_cancels_the_request_at_the_server(rogue: Rogue) -> None:
    client = rogue()
    await client.text("pid")
    hung_up = asyncio.create_task(client.call("silent", "mine"))
    await asyncio.sleep(0)
    hung_up.cancel()
    await asyncio.wait([hung_up])
    _, call, cancelled = json.loads(await client.text("heard"))[:3]
    assert call["params"]["name"] == "silent"
    assert cancelled["params"]["requestId"] == call["id"]


async def test_legacy_hang_up_is_no_cancel(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    hung_up = asyncio.create_task(client.call("silent", "mine", session))
    await asyncio.sleep(0)
    hung_up.cancel()
    await asyncio.wait([hung_up])
    heard = json.loads(await client.text("heard", 1, session))
    assert "notifications/cancelled" not in [message.get("method") for message in heard]


@pytest.mark.parametrize("sole_client", [True, False])
async def test_modern_cancellation_by_id_counts_only_with_a_sole_client(rogue: Rogue, sole_client: bool) -> None:
    client = rogue(sole_client=sole_client)
    call = asyncio.create_task(client.call("silent", "mine"))
    await client.text("pid")
    told = await client.notify("notifications/cancelled", {"requestId": "mine"}, session=None)
    heard = json.loads(await client.text("heard"))
    cancelled = [m["params"]["requestId"] for m in heard if m["method"] == "notifications/cancelled"]
    silent = [m["id"] for m in heard if m.get("params", {}).get("name") == "silent"]
    assert told.status == 202
    assert cancelled == (silent if sole_client else [])
    call.cancel()
    await asyncio.wait([call])


@pytest.mark.parametrize("sole_client", [True, False])
async def test_modern_message_of_no_request_reaches_only_a_sole_client(
    rogue: Rogue, sole_client: bool, collected: Any
) -> None:
    reply = await rogue(sole_client=sole_client).call("notify", 1, count=2)
    if sole_client:
        assert [m.get("params", {}).get("data") for m in await collected(reply)] == [0, 1, None]
    else:
        assert json.loads(reply.body)["id"] == 1


async def test_modern_server_request_is_answered_with_an_error(rogue: Rogue) -> None:
    assert json.loads(await rogue().text("elicit"))["code"] == -32601
