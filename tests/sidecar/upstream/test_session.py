import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SERVERS = Path(__file__).parents[2] / "servers"
Rogue = Callable[..., Any]


async def test_listener_gets_what_was_said_before_it_came(rogue: Rogue, collected: Any) -> None:
    client = rogue("--chatty")
    session = await client.open()
    listening = await client.upstream.listen((), session)
    assert listening.status == 200
    assert json.loads((await anext(listening.events)).data)["params"]["data"] == "hello"
    await client.upstream.end((), session)
    assert await collected(listening) == []


@pytest.mark.parametrize("session", [None, "unknown"])
async def test_listener_of_no_session_is_refused(rogue: Rogue, session: str | None) -> None:
    reply = await rogue().upstream.listen((), session)
    assert reply.status == (400 if session is None else 404)


async def test_server_request_goes_to_the_listener_and_its_answer_back(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    listening = await client.upstream.listen((), session)
    call = asyncio.create_task(client.text("elicit", 9, session))
    asked = json.loads((await anext(listening.events)).data)
    assert asked["method"] == "roots/list"
    await client.respond(asked["id"], {"roots": []}, session)
    assert json.loads(await call) == {"roots": []}
    await listening.drop()


async def test_server_request_without_a_listener_goes_to_the_request_under_way(rogue: Rogue, collected: Any) -> None:
    client = rogue()
    session = await client.open()
    reply = await client.call("elicit", 9, session)
    asked = json.loads((await anext(reply.events)).data)
    await client.respond(asked["id"], {"roots": []}, session)
    assert [message["id"] for message in await collected(reply)] == [9]


async def test_second_listener_takes_the_place_of_the_first(rogue: Rogue, collected: Any) -> None:
    client = rogue()
    session = await client.open()
    first = await client.upstream.listen((), session)
    waiting = asyncio.create_task(collected(first))
    await asyncio.sleep(0)
    second = await client.upstream.listen((), session)
    assert await waiting == []
    await client.call("notify", 1, session, count=1)
    assert json.loads((await anext(second.events)).data)["params"]["data"] == 0
    await second.drop()


@pytest.mark.parametrize("token", ["t", 4, 7])
async def test_progress_comes_before_its_answer_with_its_own_token(rogue: Rogue, token: Any, collected: Any) -> None:
    client = rogue()
    session = await client.open()
    listening = await client.upstream.listen((), session)
    for where in (session, None):
        messages = await collected(await client.call("progress", 7, where, token, steps=3))
        assert [m["params"]["progress"] for m in messages[:-1]] == [0, 1, 2]
        assert {json.dumps(m["params"]["progressToken"]) for m in messages[:-1]} == {json.dumps(token)}
        assert messages[-1]["id"] == 7
    await listening.drop()


async def test_flood_nobody_reads_keeps_the_newest_and_hurts_nobody(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    listening = await client.upstream.listen((), session)
    assert await client.text("notify", 1, session, count=1500) == "notified"
    kept = [json.loads((await anext(listening.events)).data)["params"]["data"] for _ in range(1000)]
    assert kept == list(range(500, 1500))
    await listening.drop()


async def test_server_requests_nobody_reads_are_refused_past_the_limit(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    listening = await client.upstream.listen((), session)
    calls = [asyncio.create_task(client.text("elicit", n, session)) for n in range(1001)]
    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    assert [json.loads(call.result())["code"] for call in done] == [-32603]
    await client.upstream.end((), session)
    await asyncio.gather(*calls, return_exceptions=True)
    await listening.drop()


async def test_progress_nobody_asked_for_goes_to_the_listener(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    listening = await client.upstream.listen((), session)
    params = {"name": "progress", "arguments": {"steps": 1}, "_meta": {"progressToken": 1.5}}
    reply = await client.request("tools/call", 1, params, session)
    assert reply.body is not None
    assert json.loads((await anext(listening.events)).data)["params"]["progressToken"] == 1.5
    await listening.drop()


async def test_late_answer_to_a_request_given_up_goes_nowhere(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    listening = await client.upstream.listen((), session)
    call = asyncio.create_task(client.call("elicit", 1, session))
    asked = json.loads((await anext(listening.events)).data)
    call.cancel()
    await asyncio.wait([call])
    await client.respond(asked["id"], {}, session)
    assert await client.text("echo", 2, session, text="next") == "next"
    await client.upstream.end((), session)
    assert [event async for event in listening.events] == []
