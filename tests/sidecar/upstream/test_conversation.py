"""Source: mcp-gateway.md G41."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import Broken, TimedOut, Unreachable
from sidecar.ports import Reply
from tests.eras.schemas import LEGACY, MODERN, check

SERVERS = Path(__file__).parents[2] / "servers"
Rogue = Callable[..., Any]


@pytest.mark.parametrize(("tool", "told"), [("kill", "signal 9"), ("exit", "code 1"), ("close", "closed its")])
async def test_child_gone_in_mid_call_fails_the_call_and_ends_the_session(rogue: Rogue, tool: str, told: str) -> None:
    client = rogue(grace_s=0.1)
    session = await client.open()
    with pytest.raises(Broken, match=told) as caught:
        await client.call(tool, 1, session)
    assert not caught.value.surely_not_run
    if tool == "exit":
        assert "out of coffee" in caught.value.hint
    assert (await client.call("pid", 2, session)).status == 404


async def test_modern_child_gone_fails_all_under_way_and_is_started_again(rogue: Rogue, collected: Any) -> None:
    client = rogue()
    before = await client.text("pid")
    waiting = [asyncio.create_task(client.call("silent", n)) for n in range(5)]
    listening = await client.request("subscriptions/listen", "sub")
    with pytest.raises(Broken):
        await client.call("kill")
    failed = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in failed] == [Broken] * 5
    assert len(await collected(listening)) == 2
    assert await client.text("pid") != before


async def test_modern_child_killed_from_outside_is_started_again(rogue: Rogue) -> None:
    client = rogue()
    pid = int(await client.text("pid"))
    call = asyncio.create_task(client.call("silent"))
    await client.text("pid")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Broken, match="signal 9"):
        await call
    assert int(await client.text("pid")) != pid


async def test_command_unknown_is_unreachable(client_of: Rogue) -> None:
    client = client_of("/no/such/command")
    with pytest.raises(Unreachable, match="/no/such/command was not found"):
        await client.initialize()


async def test_command_that_exits_at_once_is_unreachable_with_its_last_words(rogue: Rogue) -> None:
    client = rogue("--crash")
    with pytest.raises(Unreachable, match="exited with code 1") as caught:
        await client.initialize()
    assert caught.value.surely_not_run
    assert "no module named spam" in caught.value.hint
    with pytest.raises(Unreachable, match="exited with code 1"):
        await client.request("server/discover")


async def test_modern_child_that_keeps_failing_is_not_started_again_at_once(rogue: Rogue) -> None:
    client = rogue("--crash")
    with pytest.raises(Unreachable, match="exited"):
        await client.request("server/discover")
    with pytest.raises(Unreachable, match="started again in"):
        await client.request("server/discover")


async def test_junk_on_stdout_is_dropped(rogue: Rogue, collected: Any) -> None:
    client = rogue()
    session = await client.open()
    listening = await client.upstream.listen((), session)
    assert await client.text("junk", 1, session) == "after the junk"
    await client.upstream.end((), session)
    assert await collected(listening) == []


async def test_answer_that_is_not_json_fails_its_own_request_only(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    listening = await client.upstream.listen((), session)
    other = asyncio.create_task(client.text("elicit", "other", session))
    asked = json.loads((await anext(listening.events)).data)
    with pytest.raises(Broken, match="not valid JSON"):
        await client.call("broken", 8, session)
    await client.respond(asked["id"], {}, session)
    assert await other == "{}"
    await listening.drop()


async def test_answer_of_megabytes_comes_through_and_one_past_the_limit_fails(rogue: Rogue) -> None:
    client = rogue(max_line_bytes=3_000_000)
    session = await client.open()
    assert len(await client.text("huge", 1, session, bytes=2_900_000)) == 2_900_000
    with pytest.raises(Broken, match="more than 3000000 bytes"):
        await client.call("huge", 2, session, bytes=3_100_000)
    assert await client.text("echo", 3, session, text="still here") == "still here"


async def test_request_of_megabytes_comes_through(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    texts = await asyncio.gather(
        *(client.text("echo", n, session, text=str(n) * 700_000) for n in range(5)),
    )
    assert [len(text) for text in texts] == [700_000] * 5


@pytest.mark.parametrize("legacy", [True, False])
async def test_answer_too_late_times_out_and_is_cancelled(rogue: Rogue, legacy: bool) -> None:
    client = rogue(answer_timeout_s=2.5)
    session = await client.open() if legacy else None
    with pytest.raises(TimedOut, match=r"2\.5 s"):
        await client.call("silent", 5, session)
    heard = json.loads(await client.text("heard", 6, session))
    calls = [m for m in heard if m.get("params", {}).get("name") == "silent"]
    cancelled = [m for m in heard if m.get("method") == "notifications/cancelled"]
    assert [m["params"]["requestId"] for m in cancelled] == [calls[0]["id"]]
    for revision in LEGACY if legacy else [MODERN]:
        check(revision, "CancelledNotification", cancelled[0])


async def test_server_that_does_not_read_is_unreachable_for_what_was_not_written(rogue: Rogue) -> None:
    client = rogue(answer_timeout_s=1.0, grace_s=0.1)
    session = await client.open()
    await client.text("deaf", 1, session)
    with pytest.raises(TimedOut):
        await client.call("echo", 2, session, text="x" * 1_000_000)
    with pytest.raises(Unreachable, match="does not read"):
        await client.call("echo", 3, session, text="y")


async def test_answer_nested_to_the_parsers_limit_is_passed_on_or_fails_alone(rogue: Rogue) -> None:
    client = rogue()
    pid = await client.text("pid")
    depths = [10, *range(900, 1010, 2), 100_000]
    ends = await asyncio.gather(*(client.call("deep", depth=depth) for depth in depths), return_exceptions=True)
    assert not isinstance(ends[0], Broken)
    assert isinstance(ends[-1], Broken)
    assert {type(end) for end in ends} == {Reply, Broken}
    assert await client.text("pid") == pid
