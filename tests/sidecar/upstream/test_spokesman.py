"""Source: mcp-gateway.md G45. The whole way, with a real server, is in tests/eras/test_transports.py."""

import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from sidecar.core import era
from sidecar.core.inventory import Inventory
from sidecar.errors import Broken, Unreachable
from sidecar.ports import Event, Headers, Outgoing, Reply
from sidecar.upstream.spokesman import Spokesman

META = {era.VERSION_KEY: "2026-07-28", era.CAPABILITIES_KEY: {}}
MIRRORED = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
UNSOUND = {"type": "object", "properties": {"region": {"type": "object", "x-mcp-header": "Region"}}}
REFUSED = json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": -32020, "message": "no"}}).encode()


class Server:
    """Keeps what it gets and answers each message with the next of `answers`."""

    def __init__(self, *answers: Reply) -> None:
        self.answers = list(answers)
        self.got: list[tuple[str, dict[bytes, bytes], str | None]] = []
        self.closed = False
        self.fault: Exception | None = None

    async def send(self, message: Outgoing) -> Reply:
        return self._answer(message.method or "", message.headers, message.session)

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        return self._answer("GET", headers, session)

    async def end(self, headers: Headers, session: str | None) -> Reply:
        return self._answer("DELETE", headers, session)

    async def close(self) -> None:
        self.closed = True

    def _answer(self, what: str, headers: Headers, session: str | None) -> Reply:
        self.got.append((what, dict(headers), session))
        if self.fault is not None:
            raise self.fault
        return self.answers.pop(0) if self.answers else Reply(202, body=b"")


class Scene:
    def __init__(self, *answers: Reply, learns: dict[str, Any] | None = None) -> None:
        self.server = Server(*answers)
        self.inventory = Inventory()
        self.relearned = 0
        self._learns = learns
        self.spokesman = Spokesman(self.server, self.inventory, self._relearn)

    async def _relearn(self) -> None:
        self.relearned += 1
        if self._learns is None:
            raise Broken("no list")
        self.inventory.learn(listing(pay=self._learns))

    async def say(
        self, method: str | None, params: Any = None, id: int | None = 1, session: str | None = None
    ) -> Reply:
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}, **({} if id is None else {"id": id})}
        modern = id is not None and "_meta" in (params or {})
        return await self.spokesman.send(Outgoing(json.dumps(message).encode(), method, id, (), session, modern))


def listing(**schemas: Any) -> bytes:
    tools = [{"name": name, "inputSchema": schema} for name, schema in schemas.items()]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).encode()


def begun(version: str = "2025-06-18") -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": version}}).encode()


def body(data: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> Reply:
    return Reply(status, headers, body=data)


def streamed(data: bytes, *headers: tuple[bytes, bytes]) -> Reply:
    async def events() -> AsyncGenerator[Event, None]:
        yield Event(data, b"data: %b\n\n" % data)

    return Reply(200, headers, events=events())


async def read(reply: Reply) -> bytes:
    if reply.body is not None:
        return reply.body
    assert reply.events is not None
    return b"".join([event.data async for event in reply.events])


@pytest.mark.parametrize("framed", [body, streamed])
async def test_legacy_session_names_the_revision_agreed_on_from_then_on(framed: Callable[..., Reply]) -> None:
    scene = Scene(framed(begun(), (b"mcp-session-id", b"s")))
    assert await read(await scene.say("initialize")) == begun()
    await scene.say("notifications/initialized", id=None, session="s")
    await scene.spokesman.listen((), "s")
    await scene.spokesman.close()
    first, *others = scene.server.got
    assert b"mcp-protocol-version" not in first[1]
    assert first[1][b"accept"] == b"application/json, text/event-stream"
    assert first[1][b"content-type"] == b"application/json"
    assert [what for what, _, _ in others] == ["notifications/initialized", "GET", "DELETE"]
    assert {(headers[b"mcp-protocol-version"], session) for _, headers, session in others} == {(b"2025-06-18", "s")}
    assert others[1][1][b"accept"] == b"text/event-stream"
    assert scene.server.closed


@pytest.mark.parametrize("fault", [Unreachable("gone"), TimeoutError()])
async def test_close_goes_on_when_the_session_cannot_be_ended(fault: Exception) -> None:
    scene = Scene(body(begun(), (b"mcp-session-id", b"s")))
    await scene.say("initialize")
    scene.server.fault = fault
    await scene.spokesman.close()
    assert scene.server.closed


async def test_session_that_the_server_has_ended_is_not_ended_again() -> None:
    scene = Scene(body(begun(), (b"mcp-session-id", b"s")), body(b"{}", status=404))
    await scene.say("initialize")
    assert (await scene.say("tools/list", session="s")).status == 404
    await scene.spokesman.close()
    assert "DELETE" not in [what for what, _, _ in scene.server.got]


LOST = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}'
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{}}'


async def restarted(*answers: Reply) -> Scene:
    """A scene whose session `s` the server has lost, and what it answers from then on."""
    opened = body(begun(), (b"mcp-session-id", b"s")), Reply(202, body=b"")
    scene = Scene(*opened, body(LOST, status=404), *answers)
    await scene.say("initialize")
    await scene.say("notifications/initialized", id=None, session="s")
    scene.server.got.clear()
    return scene


async def test_session_that_the_server_lost_is_opened_again_and_what_it_did_not_run_is_sent_again() -> None:
    reopened = streamed(begun(), (b"mcp-session-id", b"t")), Reply(202, body=b"")
    scene = await restarted(*reopened, body(RESULT), body(RESULT))
    for _ in range(2):
        assert await read(await scene.say("tools/call", session="s")) == RESULT
    await scene.spokesman.close()
    assert [(what, session) for what, _, session in scene.server.got] == [
        ("tools/call", "s"),
        ("initialize", None),
        ("notifications/initialized", "t"),
        ("tools/call", "t"),
        ("tools/call", "t"),
        ("DELETE", "t"),
    ]


@pytest.mark.parametrize("method", [None, "notifications/cancelled"])
async def test_message_about_what_went_with_the_lost_session_is_not_sent_again(method: str | None) -> None:
    scene = await restarted(body(begun(), (b"mcp-session-id", b"t")))
    assert (await scene.say(method, id=None, session="s")).status == 202
    assert [what for what, _, _ in scene.server.got[1:]] == ["initialize", "notifications/initialized"]


async def test_call_and_session_is_lost_over_and_over_is_told() -> None:
    scene = await restarted(body(begun()), Reply(202, body=b""), body(LOST, status=404))
    assert (await scene.say("tools/call", session="s")).status == 404
    assert len(scene.server.got) == 4


async def test_call_whose_answer_is_lost_is_told_and_not_sent_again() -> None:
    async def breaks() -> AsyncGenerator[Event, None]:
        yield Event(b"", b"retry: 1\n\n")
        raise Broken("cut off.")

    scene = Scene(body(begun(), (b"mcp-session-id", b"s")), Reply(200, events=breaks()))
    await scene.say("initialize")
    reply = await scene.say("tools/call", session="s")
    assert reply.events is not None
    *_, last = [event async for event in reply.events]
    assert json.loads(last.data)["error"]["message"] == (
        "The MCP server's answer is lost: cut off. The request may have run, so it was not sent again."
    )
    assert last.fault.startswith("upstream_broken: ")
    assert [what for what, _, _ in scene.server.got] == ["initialize", "tools/call"]


async def test_news_of_a_lost_session_go_on_in_the_new_one() -> None:
    note = b'{"jsonrpc":"2.0","method":"notifications/x"}'

    async def first() -> AsyncGenerator[Event, None]:
        yield Event(note, b"retry: 1\nid: 9\ndata: %b\n\n" % note)

    scene = Scene(
        body(begun(), (b"mcp-session-id", b"s")),
        Reply(200, events=first()),
        body(LOST, status=404),
        body(begun(), (b"mcp-session-id", b"t")),
        streamed(note),
        Reply(405, body=b""),
    )
    await scene.say("initialize")
    reply = await scene.spokesman.listen((), "s")
    assert reply.events is not None
    assert [event.data async for event in reply.events] == [note, note]
    asked = [(session, headers.get(b"last-event-id")) for what, headers, session in scene.server.got if what == "GET"]
    assert asked[:3] == [("s", None), ("s", b"9"), ("t", None)]


async def test_answer_that_agrees_on_no_known_revision_names_none() -> None:
    scene = Scene(body(begun("1999-01-01")), body(b"{}"))
    await scene.say("initialize")
    await scene.say("ping")
    assert b"mcp-protocol-version" not in scene.server.got[1][1]


async def test_modern_call_carries_the_headers_that_mirror_it() -> None:
    scene = Scene(body(b"{}"))
    scene.inventory.learn(listing(pay=MIRRORED))
    await scene.say("tools/call", {"name": "pay", "arguments": {"region": "süd"}, "_meta": META})
    (_, headers, session) = scene.server.got[0]
    mirrored = {name: value for name, value in headers.items() if name.startswith(b"mcp-")}
    assert mirrored == {
        b"mcp-protocol-version": b"2026-07-28",
        b"mcp-method": b"tools/call",
        b"mcp-name": b"pay",
        b"mcp-param-region": b"=?base64?c8O8ZA==?=",
    }
    assert session is None


@pytest.mark.parametrize("learns", [MIRRORED, None])
async def test_modern_call_refused_for_its_headers_is_sent_once_more_with_what_is_then_known(
    learns: dict[str, Any] | None,
) -> None:
    scene = Scene(body(REFUSED, status=400), body(REFUSED, status=400), learns=learns)
    params = {"name": "pay", "arguments": {"region": "x"}, "_meta": META}
    assert (await scene.say("tools/call", params)).body == REFUSED
    assert scene.relearned == 1
    assert [headers.get(b"mcp-param-region") for _, headers, _ in scene.server.got] == [None, b"x" if learns else None]


async def test_modern_request_that_is_no_call_is_sent_once() -> None:
    scene = Scene(body(REFUSED, status=400))
    assert (await scene.say("ping", {"_meta": META})).status == 400
    assert scene.relearned == 0


@pytest.mark.parametrize("framed", [body, streamed])
async def test_modern_list_leaves_out_tools_with_invalid_annotations(framed: Callable[..., Reply]) -> None:
    scene = Scene(framed(listing(good=MIRRORED, bad=UNSOUND, plain={})))
    answer = json.loads(await read(await scene.say("tools/list", {"_meta": META})))
    assert [tool["name"] for tool in answer["result"]["tools"]] == ["good", "plain"]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"result":{"tools":[', listing(plain={})])
@pytest.mark.parametrize("framed", [body, streamed])
async def test_modern_list_is_otherwise_left_as_it_came(framed: Callable[..., Reply], data: bytes) -> None:
    scene = Scene(framed(data))
    assert await read(await scene.say("tools/list", {"_meta": META})) == data


async def test_modern_client_that_cancels_has_hung_up_before_so_nothing_is_sent() -> None:
    scene = Scene(body(b"{}"))
    await scene.say("ping", {"_meta": META})
    assert (await scene.say("notifications/cancelled", {"requestId": 1}, id=None)).status == 202
    await scene.say("notifications/other", id=None)
    assert [what for what, _, _ in scene.server.got] == ["ping", "notifications/other"]
    assert scene.server.got[1][1][b"mcp-method"] == b"notifications/other"
    assert scene.server.got[1][1][b"mcp-protocol-version"] == b"2026-07-28"
