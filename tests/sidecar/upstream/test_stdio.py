"""Source: mcp-gateway.md G40, G44."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import Broken, Unreachable
from sidecar.ports import Outgoing

SERVERS = Path(__file__).parents[2] / "servers"
Rogue = Callable[..., Any]


async def test_initialize_answered_mints_a_visible_session_id(rogue: Rogue) -> None:
    reply = await rogue().initialize()
    session = dict(reply.headers)[b"mcp-session-id"]
    assert reply.status == 200
    assert json.loads(reply.body)["result"]["protocolVersion"] == "2025-11-25"
    assert all(0x21 <= character <= 0x7E for character in session)
    assert len(session) >= 22


async def test_initialize_refused_opens_no_session(rogue: Rogue) -> None:
    client = rogue("--refuse", max_children=1)
    for _ in range(3):
        reply = await client.initialize()
        assert json.loads(reply.body)["error"]["code"] == -32602
        assert reply.headers == ((b"content-type", b"application/json"),)


async def test_two_sessions_have_a_process_each_and_may_share_ids(rogue: Rogue) -> None:
    client = rogue()
    first, second = await asyncio.gather(client.open(), client.open())
    pids = await asyncio.gather(client.text("pid", 1, first), client.text("pid", 1, second))
    texts = await asyncio.gather(*(client.text("echo", 1, s, text=s) for s in (first, second)))
    assert first != second
    assert pids[0] != pids[1]
    assert texts == [first, second]


@pytest.mark.parametrize("request_id", [1, "1", -4, 2**60, "é\n\"'"])
async def test_request_id_comes_back_with_its_json_type(rogue: Rogue, request_id: Any) -> None:
    client = rogue()
    session = await client.open()
    for where in (session, None):
        reply = await client.call("echo", request_id, where, text="x")
        assert json.loads(reply.body)["id"] == request_id


async def test_requests_a_hundred_at_once_each_get_their_own_answer(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    texts = await asyncio.gather(*(client.text("echo", n, session, text=f"t{n}") for n in range(100)))
    assert texts == [f"t{n}" for n in range(100)]


async def test_request_id_under_way_twice_is_refused(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    first = asyncio.create_task(client.call("silent", 5, session))
    await asyncio.sleep(0)
    second = await client.call("echo", 5, session, text="x")
    assert second.status == 400
    assert json.loads(second.body)["id"] == 5
    first.cancel()
    await asyncio.wait([first])
    assert await client.text("echo", 5, session, text="free again") == "free again"


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (Outgoing(b'{"jsonrpc":"2.0","id":1,"method":"ping"}', "ping", 1), 400),
        (Outgoing(b'{"jsonrpc":"2.0","method":"notifications/x"}', "notifications/x", None), 400),
        (Outgoing(b'{"jsonrpc":"2.0","method":"initialize"}', "initialize", None), 400),
        (Outgoing(b'{"jsonrpc":"2.0","id":1,"method":"ping"}', "ping", 1, session="unknown"), 404),
        (Outgoing(b'{"jsonrpc":"2.0","id":1,"result":{}}', None, 1, modern=True), 400),
    ],
)
async def test_message_out_of_place_is_refused_without_a_process(
    client_of: Rogue, message: Outgoing, status: int
) -> None:
    client = client_of("/no/such/command")
    reply = await client.upstream.send(message)
    assert reply.status == status
    assert json.loads(reply.body)["error"]["code"] == -32600


async def test_initialize_of_the_modern_era_is_unknown_and_no_process_hears_it(client_of: Rogue) -> None:
    """The first message may lock a server to its era, and this child is everybody's. Source: mcp-gateway.md G44."""
    initialize = Outgoing(b'{"jsonrpc":"2.0","id":1,"method":"initialize"}', "initialize", 1, modern=True)
    reply = await client_of("/no/such/command").upstream.send(initialize)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (404, -32601)


async def test_notification_and_answer_are_accepted_with_an_empty_body(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    told = await client.notify("notifications/roots/list_changed", session=session)
    answered = await client.respond("nobody-asked", {}, session)
    assert [(reply.status, reply.body) for reply in (told, answered)] == [(202, b""), (202, b"")]


async def test_message_with_line_breaks_is_written_as_one_line(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    params = {"name": "echo", "arguments": {"text": "a\r\nb"}}
    raw = json.dumps({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params}, indent=2)
    message = Outgoing(raw.replace("\n", "\r\n").encode(), "tools/call", 3, session=session)
    assert json.loads((await client.upstream.send(message)).body)["result"]["content"][0]["text"] == "a\r\nb"


async def test_session_ended_is_unknown_afterwards_and_its_process_gone(
    rogue: Rogue, is_running: Callable[[int], bool], until: Any
) -> None:
    client = rogue()
    session = await client.open()
    pid = int(await client.text("pid", 1, session))
    ended = await client.upstream.end((), session)
    after = await client.call("pid", 2, session)
    assert (ended.status, ended.body) == (204, b"")
    assert after.status == 404
    assert (await client.upstream.end((), session)).status == 404
    assert (await client.upstream.end((), None)).status == 400
    await until(lambda: not is_running(pid))


async def test_sessions_over_the_cap_are_refused_until_one_ends(rogue: Rogue) -> None:
    client = rogue(max_children=2)
    first, _ = await client.open(), await client.open()
    refused = await client.initialize()
    assert refused.status == 503
    assert json.loads(refused.body)["id"] == 1
    await client.upstream.end((), first)
    assert (await client.initialize()).status == 200


async def test_session_without_traffic_is_ended(rogue: Rogue, is_running: Callable[[int], bool], until: Any) -> None:
    client = rogue(idle_s=1.0)
    listened = await client.open()
    listening = await client.upstream.listen((), listened)
    session = await client.open()
    pid = int(await client.text("pid", 1, session))
    await until(lambda: not is_running(pid))
    assert (await client.call("pid", 2, session)).status == 404
    assert (await client.call("pid", 2, listened)).status == 200
    await listening.drop()


@pytest.mark.parametrize("detached", [False, True])
async def test_close_leaves_no_grandchild_behind(
    rogue: Rogue, is_running: Callable[[int], bool], detached: bool
) -> None:
    client = rogue()
    session = await client.open()
    pids = [int(await client.text("spawn", 1, session, detached=detached)), int(await client.text("spawn", 2))]
    assert all(is_running(pid) for pid in pids)
    await client.upstream.close()
    assert not any(is_running(pid) for pid in pids)


async def test_child_killed_takes_its_grandchildren_along(rogue: Rogue, is_running: Callable[[int], bool]) -> None:
    client = rogue()
    session = await client.open()
    grandchild = int(await client.text("spawn", 1, session, detached=True))
    with pytest.raises(Broken):
        await client.call("kill", 2, session)
    await client.upstream.close()
    assert not is_running(grandchild)


async def test_close_ends_a_child_that_ignores_every_request_to_go(
    rogue: Rogue, is_running: Callable[[int], bool]
) -> None:
    client = rogue("--stubborn", grace_s=0.2)
    session = await client.open()
    pid = int(await client.text("pid", 1, session))
    await client.upstream.close()
    assert not is_running(pid)


async def test_close_fails_what_is_under_way_and_lets_nothing_more_in(rogue: Rogue) -> None:
    client = rogue()
    session = await client.open()
    call = asyncio.create_task(client.call("silent", 1, session))
    await asyncio.sleep(0)
    await client.upstream.close()
    with pytest.raises(Broken, match="ended"):
        await call
    with pytest.raises(Unreachable, match="stopping"):
        await client.initialize()
    await client.upstream.close()


async def test_initialize_given_up_leaves_no_process(rogue: Rogue, tmp_path: Path, until: Any) -> None:
    client = rogue()
    opening = asyncio.create_task(client.initialize())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    await client.upstream.close()
    await until(lambda: not _children())


def _children() -> list[int]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


async def test_sdk_server_serves_both_eras_side_by_side(client_of: Rogue, collected: Any) -> None:
    client = client_of(sys.executable, str(SERVERS / "abacus.py"))
    session, discovered = await asyncio.gather(client.open(), client.request("server/discover"))
    assert "2026-07-28" in json.loads(discovered.body)["result"]["supportedVersions"]
    sums = await asyncio.gather(
        *(client.text("add", 1, where, a=n, b=n) for n, where in enumerate((session, None, None)))
    )
    assert sums == ["0", "2", "4"]
    messages = await collected(await client.call("count", "c", None, "token", to=2))
    assert [m.get("params", {}).get("progressToken") for m in messages] == ["token", "token", None]


async def test_git_server_lists_and_calls_its_tools(client_of: Rogue, tmp_path: Path) -> None:
    git = await asyncio.create_subprocess_exec("git", "init", "-q", str(tmp_path))
    assert await git.wait() == 0
    client = client_of(sys.executable, "-m", "mcp_server_git", "--repository", str(tmp_path))
    session = await client.open()
    listed = json.loads((await client.request("tools/list", 2, {}, session)).body)
    assert "git_status" in [tool["name"] for tool in listed["result"]["tools"]]
    assert "branch" in await client.text("git_status", 3, session, repo_path=str(tmp_path))
