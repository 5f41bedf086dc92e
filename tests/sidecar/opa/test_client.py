"""The client against a scripted peer; against a real OPA it is shown in test_process.py and the end-to-end tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.decision import Decision
from sidecar.errors import DecisionOffShape, DecisionUndefined, OpaUnreachable
from sidecar.http1 import Origin
from sidecar.opa.client import OpaClient

ALLOW = {"outcome": "allow", "rule": "", "message": "", "revision": "sha256:1", "limits": []}
Answer = tuple[int, Any] | None


class Peer:
    """Answers as told, notes what was asked, and can hold its answers back."""

    def __init__(self, answer: Callable[[str, Any], Answer]) -> None:
        self._answer = answer
        self.asked: list[tuple[str, int]] = []
        self.first = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
                given = json.loads(await reader.readexactly(length))["input"]
                path = head.split(" ")[1].removeprefix("/v1/data/mcp/gate/").partition("?")[0]
                self.asked.append((path, len(given.get("calls", [0]))))
                self.first.set()
                await self.go.wait()
                answer = self._answer(path, given)
                if answer is None:
                    return
                body = json.dumps(answer[1]).encode()
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (answer[0], len(body), body))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def peer(
    path: Path, answer: Callable[[str, Any], Answer], timeout_s: float = 2
) -> AsyncIterator[tuple[Peer, OpaClient]]:
    scripted = Peer(answer)
    server = await asyncio.start_unix_server(scripted.connected, path)
    client = OpaClient(Origin(socket_path=str(path)), timeout_s=timeout_s)
    try:
        yield scripted, client
    finally:
        await client.close()
        server.close()


def allow_all(path: str, given: Any) -> Answer:
    return 200, {"result": ALLOW if path == "decision" else [ALLOW for _ in given["calls"]]}


async def decide_all(client: OpaClient, count: int, size: int = 0) -> list[Decision | BaseException]:
    query = json.dumps({"tool": "t", "args": {"x": "y" * size}}).encode()
    return await asyncio.gather(*(client.decide(query) for _ in range(count)), return_exceptions=True)


async def test_decide_one_call_asks_for_one_decision(tmp_path: Path) -> None:
    async with peer(tmp_path / "s", allow_all) as (scripted, client):
        assert (await client.decide(b"{}")).outcome == "allow"
        assert scripted.asked == [("decision", 1)]


async def test_decide_calls_that_wait_share_the_next_question(tmp_path: Path) -> None:
    async with peer(tmp_path / "s", allow_all) as (scripted, client):
        scripted.go.clear()
        deciding = [asyncio.create_task(client.decide(b"{}")) for _ in range(100)]
        await scripted.first.wait()
        scripted.go.set()
        assert {(await each).outcome for each in deciding} == {"allow"}
        assert sum(count for _, count in scripted.asked) == 100
        assert max(count for _, count in scripted.asked) == 64


async def test_decide_caller_who_gives_up_leaves_the_lane_to_those_who_wait(tmp_path: Path) -> None:
    async with asyncio.timeout(10), peer(tmp_path / "s", allow_all) as (scripted, client):
        scripted.go.clear()
        deciding = [asyncio.create_task(client.decide(b"{}")) for _ in range(4)]
        await scripted.first.wait()
        deciding[0].cancel()
        deciding[2].cancel()
        scripted.go.set()
        outcomes = await asyncio.gather(*deciding, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [
            asyncio.CancelledError,
            Decision,
            asyncio.CancelledError,
            Decision,
        ]
        assert scripted.asked[-1] == ("decisions", 2)
        assert (await client.decide(b"{}")).outcome == "allow"


async def test_decide_all_who_wait_give_up_and_the_lane_is_free(tmp_path: Path) -> None:
    async with asyncio.timeout(10), peer(tmp_path / "s", allow_all) as (scripted, client):
        scripted.go.clear()
        deciding = [asyncio.create_task(client.decide(b"{}")) for _ in range(3)]
        await scripted.first.wait()
        for each in deciding:
            each.cancel()
        await asyncio.gather(*deciding, return_exceptions=True)
        scripted.go.set()
        assert (await client.decide(b"{}")).outcome == "allow"


async def test_decide_large_calls_do_not_hold_small_ones(tmp_path: Path) -> None:
    async with peer(tmp_path / "s", allow_all) as (scripted, client):
        await asyncio.gather(decide_all(client, 2, 100_000), decide_all(client, 2))
        assert ("decisions", 4) not in scripted.asked


async def test_decide_spoilt_batch_is_asked_again_one_by_one_and_only_the_culprit_fails(tmp_path: Path) -> None:
    def answer(path: str, given: Any) -> Answer:
        if path == "decisions" or given.get("bad"):
            return 500, {"code": "internal_error"}
        return 200, {"result": ALLOW}

    async with peer(tmp_path / "s", answer) as (_, client):
        queries = [b'{"n":1}', b'{"bad":true}', b'{"n":2}']
        outcomes = await asyncio.gather(*map(client.decide, queries), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Decision, DecisionOffShape, Decision]


@pytest.mark.parametrize("extra", [[], [ALLOW, ALLOW, ALLOW, ALLOW]])
async def test_decide_batch_of_another_length_decides_nobody(tmp_path: Path, extra: list[Any]) -> None:
    def answer(path: str, given: Any) -> Answer:
        return 200, {"result": extra if path == "decisions" else {"outcome": "allow"}}

    async with peer(tmp_path / "s", answer) as (_, client):
        assert {type(outcome) for outcome in await decide_all(client, 3)} == {DecisionOffShape}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, {}), DecisionUndefined),
        ((200, {"result": {"outcome": "allow"}}), DecisionOffShape),
        ((200, {"result": {**ALLOW, "outcome": "Allow"}}), DecisionOffShape),
        ((200, {"result": True}), DecisionOffShape),
        ((200, []), DecisionOffShape),
        ((400, {"result": ALLOW}), DecisionOffShape),
        ((500, {"result": ALLOW}), DecisionOffShape),
        ((204, {"result": ALLOW}), DecisionOffShape),
        (None, OpaUnreachable),
    ],
)
async def test_decide_anything_but_a_whole_decision_is_an_error(
    tmp_path: Path, answer: Answer, expected: type[Exception]
) -> None:
    async with peer(tmp_path / "s", lambda path, given: answer) as (_, client):
        with pytest.raises(expected):
            await client.decide(b"{}")
        assert {type(outcome) for outcome in await decide_all(client, 3)} == {expected}


async def test_decide_slow_opa_is_unreachable_for_everyone_who_waits(tmp_path: Path) -> None:
    async with peer(tmp_path / "s", allow_all, timeout_s=0.05) as (scripted, client):
        scripted.go.clear()
        assert {type(outcome) for outcome in await decide_all(client, 3)} == {OpaUnreachable}


async def test_decide_no_opa_is_unreachable_and_a_later_opa_answers(tmp_path: Path) -> None:
    client = OpaClient(Origin(socket_path=str(tmp_path / "s")))
    with pytest.raises(OpaUnreachable):
        await client.decide(b"{}")
    await client.close()
    async with peer(tmp_path / "s", allow_all) as (_, again):
        assert (await again.decide(b"{}")).outcome == "allow"


async def test_decide_kept_connection_that_closed_is_opened_anew(tmp_path: Path) -> None:
    asked = 0

    def answer(path: str, given: Any) -> Answer:
        nonlocal asked
        asked += 1
        return None if asked == 2 else (200, {"result": ALLOW})

    async with peer(tmp_path / "s", answer) as (_, client):
        for _ in range(3):
            assert (await client.decide(b"{}")).outcome == "allow"


async def test_close_tells_those_who_wait(tmp_path: Path) -> None:
    async with peer(tmp_path / "s", allow_all) as (scripted, client):
        scripted.go.clear()
        waiting = [asyncio.create_task(client.decide(b"{}")) for _ in range(3)]
        await scripted.first.wait()
        await client.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {OpaUnreachable}


async def test_visible_gives_names_and_revision(tmp_path: Path) -> None:
    def answer(path: str, given: Any) -> Answer:
        return 200, {"result": {"revision": "sha256:1", "names": given["tools"][:1]}}

    async with peer(tmp_path / "s", answer) as (_, client):
        seen = await client.visible(b'{"tools":["a","b"]}')
        assert (seen.names, seen.revision) == (["a"], "sha256:1")


@pytest.mark.parametrize(
    ("result", "expected"),
    [({}, DecisionUndefined), ({"result": []}, DecisionOffShape), ({"result": {"names": ["a"]}}, DecisionOffShape)],
)
async def test_visible_off_shape_is_an_error(tmp_path: Path, result: Any, expected: type[Exception]) -> None:
    async with peer(tmp_path / "s", lambda path, given: (200, result)) as (_, client):
        with pytest.raises(expected):
            await client.visible(b"{}")


async def test_decide_fault_amid_a_batch_is_told_and_leaves_the_lane_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["exception"]))

    async def fail(_self: OpaClient, _queries: list[bytes]) -> None:
        raise ZeroDivisionError

    async with asyncio.timeout(10), peer(tmp_path / "s", allow_all) as (scripted, client):
        scripted.go.clear()
        deciding = [asyncio.create_task(client.decide(b"{}")) for _ in range(100)]
        await scripted.first.wait()
        with monkeypatch.context() as patched:
            patched.setattr(OpaClient, "decide_together", fail)
            scripted.go.set()
            outcomes = await asyncio.gather(*deciding, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Decision] + [OpaUnreachable] * 99
        assert (await client.decide(b"{}")).outcome == "allow"
