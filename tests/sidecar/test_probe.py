"""Source: mcp-gateway.md G6, G13, G54: names and schemas are known before the first call."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from sidecar import probe
from sidecar.core.inventory import Inventory
from sidecar.errors import Broken, TimedOut, Unreachable, UpstreamError
from sidecar.ports import Event, Headers, Outgoing, Reply
from tests.eras.schemas import MODERN, check

HELLO = {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
SENT = {
    "initialize": "InitializeRequest",
    "notifications/initialized": "InitializedNotification",
    "tools/list": "ListToolsRequest",
}
NO_SUCH_METHOD = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no"}}


def page(*names: str, cursor: object = None) -> dict[str, Any]:
    result: dict[str, Any] = {"tools": [{"name": name, "inputSchema": {}} for name in names]}
    return {"jsonrpc": "2.0", "id": 1, "result": result if cursor is None else {**result, "nextCursor": cursor}}


def body(message: object, **headers: str) -> Reply:
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return Reply(200, pairs, body=message if isinstance(message, bytes) else json.dumps(message).encode())


def streamed(*messages: object) -> Reply:
    async def events() -> AsyncGenerator[Event, None]:
        for message in messages:
            yield Event(json.dumps(message).encode() if message else b"")

    return Reply(200, events=events())


class Server:
    """Answers each method in turn, and keeps what it was asked."""

    def __init__(self, **answers: object) -> None:
        self.answers = {name: list(given) if isinstance(given, list) else [given] for name, given in answers.items()}
        self.asked: list[tuple[str, dict[str, Any], str | None]] = []
        self.headers: list[dict[bytes, bytes]] = []
        self.ended: list[str | None] = []
        self.at_end: Callable[[], Any] | None = None

    async def send(self, message: Outgoing) -> Reply:
        sent = json.loads(message.raw)
        check(MODERN if message.modern else "2025-11-25", SENT[sent["method"]], sent)
        self.asked.append((sent["method"], sent.get("params", {}), message.session))
        self.headers.append(dict(message.headers))
        assert (sent["method"], sent.get("id")) == (message.method, message.id)
        if message.id is None:
            return Reply(202, body=b"")
        answers = self.answers[message.method.rpartition("/")[2]] if message.method else []
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Reply)
        return answer

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        raise AssertionError

    async def end(self, headers: Headers, session: str | None) -> Reply:
        self.ended.append(session)
        if self.at_end is not None:
            return await self.at_end()  # type: ignore[no-any-return]
        return Reply(200, body=b"")

    async def close(self) -> None:
        raise AssertionError


async def learn(server: Server, timeout_s: float = 5) -> tuple[list[str], Inventory]:
    inventory = Inventory()
    return await probe.learn(server, inventory, timeout_s=timeout_s), inventory


async def test_legacy_server_is_greeted_asked_and_left() -> None:
    server = Server(initialize=body(HELLO, mcp_session_id="s-1"), list=body(page("b", "a")))
    names, inventory = await learn(server)
    assert names == ["b", "a"]
    assert inventory.advertised("a")
    assert [(method, session) for method, _, session in server.asked] == [
        ("initialize", None),
        ("notifications/initialized", "s-1"),
        ("tools/list", "s-1"),
    ]
    assert server.ended == ["s-1"]


async def test_legacy_server_without_sessions_is_not_asked_to_end_one() -> None:
    server = Server(initialize=body(HELLO), list=body(page("a")))
    assert (await learn(server))[0] == ["a"]
    assert server.ended == []


async def test_modern_server_is_asked_without_a_greeting() -> None:
    server = Server(initialize=body(NO_SUCH_METHOD), list=body(page("a")))
    assert (await learn(server))[0] == ["a"]
    method, params, _ = server.asked[-1]
    assert (method, params["_meta"]["io.modelcontextprotocol/protocolVersion"]) == ("tools/list", "2026-07-28")
    assert server.headers[-1][b"mcp-method"] == b"tools/list"
    assert server.headers[-1][b"mcp-protocol-version"] == b"2026-07-28"
    assert b"mcp-method" not in server.headers[0]


async def test_answers_in_event_streams_are_found_among_other_messages() -> None:
    other = {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}
    server = Server(initialize=streamed(None, other, HELLO, other), list=streamed(other, page("a")))
    assert (await learn(server))[0] == ["a"]


async def test_pages_are_followed_by_their_cursor_empty_ones_too() -> None:
    pages = [body(page("a", cursor="")), body(page(cursor="x")), body(page("b"))]
    server = Server(initialize=body(HELLO), list=pages)
    names, inventory = await learn(server)
    assert names == ["a", "b"]
    assert [params for method, params, _ in server.asked if method == "tools/list"] == [
        {},
        {"cursor": ""},
        {"cursor": "x"},
    ]
    assert inventory.advertised("a")
    assert inventory.advertised("b")


async def test_pages_without_end_end() -> None:
    server = Server(initialize=body(HELLO), list=body(page("a", cursor="again")))
    assert len((await learn(server))[0]) == 100


@pytest.mark.parametrize("cursor", [7, True, {}, [], 1.5])
async def test_cursor_that_is_no_text_ends_the_list(cursor: object) -> None:
    server = Server(initialize=body(HELLO), list=body(page("a", cursor=cursor)))
    assert (await learn(server))[0] == ["a"]


@pytest.mark.parametrize(
    "odd",
    [
        b'[{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}]',
        b'{"jsonrpc":"2.0","id":1,"Result":{"tools":[{"name":"a"}]}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"Tools":[{"name":"a"}]}}',
        json.dumps(page("a")).encode("utf-16"),
    ],
)
async def test_odd_list_that_a_client_could_read_is_learnt_and_never_crashes(odd: bytes) -> None:
    names, inventory = await learn(Server(initialize=body(HELLO), list=body(odd)))
    assert names == ["a"]
    assert inventory.advertised("a")


@pytest.mark.parametrize(
    "answer",
    [
        body(b""),
        body(b"not JSON"),
        body(NO_SUCH_METHOD),
        body({"jsonrpc": "2.0", "id": 1, "result": {}}),
        body(b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"na'),
        streamed(),
        streamed({"jsonrpc": "2.0", "id": 2, "result": {"tools": []}}),
        Unreachable("gone"),
    ],
)
async def test_server_that_does_not_list_is_an_upstream_error_and_its_session_ends(answer: object) -> None:
    server = Server(initialize=body(HELLO, mcp_session_id="s"), list=answer)
    with pytest.raises(UpstreamError):
        await learn(server)
    assert server.ended == ["s"]


async def test_endless_body_is_an_upstream_error_and_is_freed() -> None:
    freed = asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x"
        finally:
            freed.set()

    with pytest.raises(Broken):
        await learn(Server(initialize=Reply(200, chunks=chunks())))
    assert freed.is_set()


@pytest.mark.parametrize("hangs", ["initialize", "list"])
async def test_server_that_hangs_is_given_up_in_time(hangs: str) -> None:
    server = Server(**{"initialize": body(HELLO, mcp_session_id="s"), "list": body(page("a")), hangs: None})
    with pytest.raises(TimedOut, match=r"within 0\.01 s"):
        await learn(server, timeout_s=0.01)


async def test_server_that_hangs_at_its_end_too_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_END_S", 0.01)
    server = Server(initialize=body(HELLO, mcp_session_id="s"), list=None)
    server.at_end = asyncio.Event().wait
    async with asyncio.timeout(5):
        with pytest.raises(TimedOut):
            await learn(server, timeout_s=0.01)
    assert server.ended == ["s"]


async def test_server_that_fails_at_its_end_has_listed_all_the_same() -> None:
    async def fail() -> Reply:
        raise Unreachable("gone")

    server = Server(initialize=body(HELLO, mcp_session_id="s"), list=body(page("a")))
    server.at_end = fail
    assert (await learn(server))[0] == ["a"]
