"""Source: mcp-gateway.md G24, G46."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from sidecar.downstream import stdio
from sidecar.downstream.turns import InTurn
from sidecar.errors import Broken, StoreError
from sidecar.ports import Event, Headers, Outgoing, Reply

SERVERS = Path(__file__).parents[2] / "servers"
VERSION = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}


async def endless(*events: bytes) -> AsyncGenerator[Event, None]:
    for data in events:
        yield Event(data)
    await asyncio.Event().wait()


async def stream(*events: bytes) -> AsyncGenerator[Event, None]:
    for data in events:
        yield Event(data)


async def chunks(*parts: bytes) -> AsyncGenerator[bytes, None]:
    for part in parts:
        yield part


def result(request_id: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "result": {}}).encode()


class Script:
    """A peer that answers each method as told, through an upstream that writes down what would be forwarded."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[dict[str, Any]], Reply]] = {}
        self.holds: dict[str, asyncio.Event] = {}
        self.judging: dict[str, asyncio.Event] = {}
        self.forwarded: list[Any] = []
        self.news = asyncio.Event()
        self.sessions: list[str | None] = []
        self.listening: Reply | Broken = Reply(405, body=b"")
        self.upstream = InTurn(self)

    async def handle(self, line: bytes, session: str | None) -> Reply:
        self.sessions.append(session)
        message = json.loads(line)
        method = message.get("method", "")
        if method in self.judging:
            await self.judging[method].wait()
        return await self.upstream.send(Outgoing(line, method, message.get("id")))

    async def listen(self, session: str | None, _headers: Headers = ()) -> Reply:
        if isinstance(self.listening, Broken):
            raise self.listening
        return self.listening

    async def send(self, message: Outgoing) -> Reply:
        self.forwarded.append(message.method or message.id)
        self.news.set()
        if message.method in self.holds:
            await self.holds[message.method].wait()
        if message.method in self.answers:
            return self.answers[message.method](json.loads(message.raw))
        return Reply(202, body=b"") if message.id is None else Reply(200, body=result(message.id))

    async def end(self, headers: Headers, session: str | None) -> Reply:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    async def until_forwarded(self, *methods: Any) -> None:
        async with asyncio.timeout(10):
            while self.forwarded[: len(methods)] != list(methods):
                self.news.clear()
                await self.news.wait()


class Wire:
    """A client's end of the wire."""

    def __init__(self, script: Script, **options: Any) -> None:
        self.script = script
        read_fd, self._in = os.pipe()
        self._out, write_fd = os.pipe()
        self._open = True
        self.serving = asyncio.create_task(stdio.serve(script, read_fd, write_fd, **options))

    async def connect(self) -> "Wire":
        self._reader = asyncio.StreamReader(2**24)
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(self._out, "rb", buffering=0)
        )
        return self

    def say(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            self.raw(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def raw(self, data: bytes) -> None:
        os.write(self._in, data)

    async def hear(self) -> Any:
        line = await asyncio.wait_for(self._reader.readline(), 10)
        assert line.endswith(b"\n"), "the wire ended"
        return json.loads(line)

    async def rest(self) -> list[Any]:
        self.hang_up()
        rest = await asyncio.wait_for(self._reader.read(), 10)
        return [json.loads(line) for line in rest.splitlines()]

    def stop_reading(self) -> None:
        self._transport.close()

    def hang_up(self) -> None:
        if self._open:
            os.close(self._in)
            self._open = False

    async def close(self) -> None:
        self.hang_up()
        with suppress(Broken):
            await asyncio.wait_for(self.serving, 20)
        self._transport.close()


@pytest.fixture
async def wire() -> AsyncIterator[Callable[..., Any]]:
    made: list[Wire] = []

    async def make(script: Script, **options: Any) -> Wire:
        made.append(await Wire(script, **options).connect())
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def test_serve_answers_lines_and_ends_with_the_input(wire: Callable[..., Any]) -> None:
    client = await wire(Script())
    client.raw(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\r\n\n{"jsonrpc":"2.0",')
    client.raw(b'"id":"2","method":"ping"}\n{"jsonrpc":"2.0","id":3,"method":"ping"}')
    answers = await client.rest()
    assert [answer["id"] for answer in answers] == [1, "2", 3]
    await client.serving


async def test_serve_slow_call_does_not_hold_up_others(wire: Callable[..., Any]) -> None:
    script = Script()
    script.holds["slow"] = asyncio.Event()
    client = await wire(script)
    client.say({"id": 1, "method": "slow"}, {"method": "notifications/x"}, {"id": 2, "method": "quick"})
    assert (await client.hear())["id"] == 2
    script.holds["slow"].set()
    assert (await client.hear())["id"] == 1


async def test_serve_notification_waits_for_a_request_that_is_still_judged(wire: Callable[..., Any]) -> None:
    script = Script()
    script.judging["tools/call"] = asyncio.Event()
    client = await wire(script)
    client.say({"id": 1, "method": "tools/call"}, {"method": "notifications/x"}, {"id": 2, "method": "ping"})
    client.say({"id": "s", "result": {}})
    for _ in range(5):
        await asyncio.sleep(0)
    assert script.forwarded == []
    script.judging["tools/call"].set()
    await script.until_forwarded("tools/call", "notifications/x", "ping", "s")


async def test_serve_pretty_answer_becomes_one_line(wire: Callable[..., Any]) -> None:
    script = Script()
    script.answers["ping"] = lambda m: Reply(
        200, body=b'{\r\n "jsonrpc": "2.0",\n "id": 1,\n "result": {"a":"b\\n"}}\n'
    )
    client = await wire(script)
    client.say({"id": 1, "method": "ping"})
    assert await client.hear() == {"jsonrpc": "2.0", "id": 1, "result": {"a": "b\n"}}


async def test_serve_relays_streams_and_stops_at_the_answer(wire: Callable[..., Any]) -> None:
    script = Script()
    note = b'{"jsonrpc":"2.0","method":"notifications/message"}'
    script.answers["events"] = lambda m: Reply(200, events=stream(b"", note, result(m["id"])))
    script.answers["chunks"] = lambda m: Reply(200, chunks=chunks(note[:9], note[9:] + b"\n", result(m["id"])))
    client = await wire(script)
    for method in ("events", "chunks"):
        client.say({"id": method, "method": method})
        assert [(await client.hear()).get("id") for _ in range(2)] == [None, method]


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (lambda: Reply(202, body=b""), "no answer .status 202"),
        (lambda: Reply(502, body=b"<html>Bad gateway</html>"), "not a JSON-RPC message .status 502"),
        (lambda: Reply(200, body=b"[]"), "not a JSON-RPC message"),
        (lambda: Reply(200, events=stream()), "no answer"),
        (lambda: Reply(200, events=stream(b'{"jsonrpc":"2.0","method":"notifications/x"}')), "no answer"),
        (lambda: Reply(200, chunks=chunks(b"x" * (16 * 1024 * 1024 + 1))), "more than 16777216 bytes"),
    ],
)
async def test_serve_request_without_a_readable_answer_gets_an_error(
    wire: Callable[..., Any], reply: Callable[[], Reply], told: str
) -> None:
    script = Script()
    script.answers["ping"] = lambda m: reply()
    client = await wire(script)
    client.say({"id": 1, "method": "ping"})
    message = await client.hear()
    while "id" not in message:
        message = await client.hear()
    assert message["id"] == 1
    assert message["error"]["code"] == -32603
    assert message["error"]["message"].startswith("The MCP server")


@pytest.mark.parametrize("request_id", [1, "a"])
async def test_serve_error_without_its_id_gets_the_request_id(wire: Callable[..., Any], request_id: object) -> None:
    script = Script()
    error = b'{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad"}}'
    script.answers["ping"] = lambda m: Reply(400, body=error)
    client = await wire(script)
    client.say({"id": request_id, "method": "ping"})
    assert (await client.hear())["id"] == request_id


@pytest.mark.parametrize("error", [StoreError("The store is full."), ValueError("secret")])
async def test_serve_peer_that_fails_is_an_error_without_details(wire: Callable[..., Any], error: Exception) -> None:
    def fail(message: dict[str, Any]) -> Reply:
        raise error

    script = Script()
    script.answers["ping"] = fail
    client = await wire(script)
    client.say({"method": "ping"}, {"id": 1, "method": "ping"}, {"id": 2, "method": "other"})
    answers = {(answer := await client.hear())["id"]: answer for _ in range(2)}
    assert "secret" not in json.dumps(answers)
    assert answers[1]["error"]["code"] == -32603
    assert answers[2]["result"] == {}


@pytest.mark.parametrize("message", [{"method": "notifications/x"}, {"id": 1, "result": {}}, {"id": 1, "error": {}}])
async def test_serve_line_that_is_owed_no_answer_gets_no_error_either(
    wire: Callable[..., Any], message: dict[str, Any]
) -> None:
    script = Script()
    error = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Bad"}}'
    script.answers["notifications/x"] = script.answers[""] = lambda m: Reply(400, body=error)
    client = await wire(script)
    client.say(message, {"id": 2, "method": "ping"})
    assert [answer.get("id") for answer in await client.rest()] == [2]


async def test_serve_request_without_a_method_gets_its_error(wire: Callable[..., Any]) -> None:
    script = Script()
    error = b'{"jsonrpc":"2.0","error":{"code":-32600,"message":"Bad"}}'
    script.answers[""] = lambda m: Reply(400, body=error)
    client = await wire(script)
    client.say({"id": 5})
    assert (await client.hear())["id"] == 5


async def test_serve_line_that_is_no_message_gets_the_peers_error(wire: Callable[..., Any]) -> None:
    class Refusing(Script):
        async def handle(self, line: bytes, session: str | None) -> Reply:
            return Reply(400, body=b'{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"}}')

    client = await wire(Refusing())
    client.raw(b"hello\n")
    assert (await client.hear())["error"]["code"] == -32700


async def test_serve_line_past_the_limit_is_refused_and_the_next_served(wire: Callable[..., Any]) -> None:
    client = await wire(Script(), max_line_bytes=1000)
    client.say({"id": 1, "method": "ping", "params": {"x": "y" * 2000}}, {"id": 2, "method": "ping"})
    assert "longer than 1000 bytes" in (await client.hear())["error"]["message"]
    assert (await client.hear())["id"] == 2


async def test_serve_pauses_reading_while_too_much_is_under_way(
    wire: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio, "MAX_UNDER_WAY", 2)
    script = Script()
    script.holds["slow"] = asyncio.Event()
    client = await wire(script)
    client.say(*({"id": n, "method": "slow"} for n in range(5)))
    await script.until_forwarded("slow", "slow")
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(script.forwarded) == 2
    script.holds["slow"].set()
    assert sorted([(await client.hear())["id"] for _ in range(5)]) == list(range(5))


# Cancelling


async def test_serve_cancelled_while_judged_is_never_forwarded(wire: Callable[..., Any]) -> None:
    script = Script()
    script.judging["tools/call"] = asyncio.Event()
    client = await wire(script)
    client.say({"id": 1, "method": "tools/call"})
    client.say({"method": "notifications/cancelled", "params": {"requestId": 1}}, {"id": 2, "method": "ping"})
    assert [answer["id"] for answer in await client.rest()] == [2]
    assert script.forwarded == ["ping"]


@pytest.mark.parametrize(("params", "told"), [({}, ["notifications/cancelled"]), (VERSION, [])])
async def test_serve_cancelled_after_it_was_forwarded_gets_no_answer(
    wire: Callable[..., Any], params: dict[str, Any], told: list[str]
) -> None:
    script = Script()
    script.holds["tools/call"] = asyncio.Event()
    client = await wire(script)
    client.say({"id": 1, "method": "tools/call", "params": params})
    await script.until_forwarded("tools/call")
    client.say({"method": "notifications/cancelled", "params": {"requestId": 1}}, {"id": 2, "method": "ping"})
    assert (await client.hear())["id"] == 2
    assert script.forwarded == ["tools/call", *told, "ping"]
    script.holds["tools/call"].set()
    assert await client.rest() == []


@pytest.mark.parametrize("target", [7, "1", None])
async def test_serve_cancelled_that_names_no_request_is_passed_on(wire: Callable[..., Any], target: object) -> None:
    script = Script()
    script.holds["slow"] = asyncio.Event()
    client = await wire(script)
    client.say({"id": 1, "method": "slow"})
    client.say({"method": "notifications/cancelled", "params": {"requestId": target}})
    await script.until_forwarded("slow", "notifications/cancelled")
    script.holds["slow"].set()
    assert (await client.hear())["id"] == 1


async def test_serve_initialize_cannot_be_cancelled(wire: Callable[..., Any]) -> None:
    script = Script()
    script.holds["initialize"] = asyncio.Event()
    client = await wire(script)
    client.say({"id": 1, "method": "initialize"})
    client.say({"method": "notifications/cancelled", "params": {"requestId": 1}})
    await script.until_forwarded("initialize")
    script.holds["initialize"].set()
    assert (await client.hear())["id"] == 1
    await script.until_forwarded("initialize", "notifications/cancelled")


# Sessions


def opened(message: dict[str, Any]) -> Reply:
    return Reply(200, ((b"content-type", b"application/json"), (b"mcp-session-id", b"s1")), body=result(message["id"]))


async def test_serve_session_is_kept_and_listened_to(wire: Callable[..., Any]) -> None:
    script = Script()
    script.answers["initialize"] = opened
    script.listening = Reply(200, events=endless(b'{"jsonrpc":"2.0","id":"q","method":"roots/list"}'))
    client = await wire(script)
    client.say({"id": 1, "method": "initialize"})
    heard = [(await client.hear())["id"] for _ in range(2)]
    client.say({"id": 2, "method": "ping"})
    assert (await client.hear())["id"] == 2
    assert sorted(map(str, heard)) == ["1", "q"]
    assert script.sessions == [None, "s1"]


async def test_serve_lines_right_behind_initialize_belong_to_its_session(wire: Callable[..., Any]) -> None:
    script = Script()
    script.answers["initialize"] = opened
    client = await wire(script)
    client.say({"id": 1, "method": "initialize"}, {"method": "notifications/initialized"}, {"id": 2, "method": "ping"})
    assert [answer["id"] for answer in await client.rest()] == [1, 2]
    assert script.sessions == [None, "s1", "s1"]


@pytest.mark.parametrize("listening", [Reply(405, body=b""), Broken("gone")])
async def test_serve_session_without_a_listening_stream_goes_on(
    wire: Callable[..., Any], listening: Reply | Broken
) -> None:
    script = Script()
    script.answers["initialize"] = opened
    script.listening = listening
    client = await wire(script)
    client.say({"id": 1, "method": "initialize"}, {"id": 2, "method": "ping"})
    assert sorted([(await client.hear())["id"] for _ in range(2)]) == [1, 2]


async def test_serve_session_gone_answers_and_ends(wire: Callable[..., Any]) -> None:
    script = Script()
    script.answers["initialize"] = opened
    script.answers["ping"] = lambda m: Reply(404, body=b"")
    client = await wire(script)
    client.say({"id": 1, "method": "initialize"})
    await client.hear()
    client.say({"id": 2, "method": "ping"})
    assert (await client.hear())["error"]["code"] == -32603
    with pytest.raises(Broken, match="ended the session"):
        await client.serving


# The end


async def test_serve_end_of_input_gives_up_what_does_not_end(wire: Callable[..., Any]) -> None:
    script = Script()
    ack = b'{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged"}'
    script.answers["subscriptions/listen"] = lambda m: Reply(200, events=endless(ack))
    script.holds["slow"] = asyncio.Event()
    client = await wire(script, drain_s=0.05)
    client.say({"id": 1, "method": "subscriptions/listen"}, {"id": 2, "method": "slow"})
    assert "method" in await client.hear()
    assert await client.rest() == []
    await client.serving


async def test_serve_client_that_reads_no_more_ends_it(wire: Callable[..., Any]) -> None:
    script = Script()
    script.holds["slow"] = asyncio.Event()
    client = await wire(script)
    client.say({"id": 1, "method": "slow"})
    await script.until_forwarded("slow")
    client.stop_reading()
    await asyncio.wait_for(client.serving, 10)


async def test_serve_cancelled_stops_what_is_under_way(wire: Callable[..., Any]) -> None:
    script = Script()
    script.holds["slow"] = asyncio.Event()
    client = await wire(script)
    client.say({"id": 1, "method": "slow"})
    await script.until_forwarded("slow")
    client.serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.serving
    assert await client.rest() == []
    client.serving = asyncio.create_task(asyncio.sleep(0))


# Both adapters, a real client and a real server


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_real_client_reaches_a_real_server_through_both_adapters(mode: str) -> None:
    command = [str(SERVERS / "passage.py"), sys.executable, str(SERVERS / "abacus.py")]
    seen: list[float] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        seen.append(done)

    parameters = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
    async with Client(stdio_client(parameters), mode=mode) as client:  # type: ignore[arg-type]
        tools = await client.list_tools()
        sums = await asyncio.gather(*(client.call_tool("add", {"a": n, "b": n}) for n in range(20)))
        counted = await client.call_tool("count", {"to": 3}, progress_callback=progress)
    assert [tool.name for tool in tools.tools] == ["add", "process_id", "count"]
    assert [found.content[0].text for found in sums] == [str(2 * n) for n in range(20)]
    assert not counted.is_error
    assert seen == [0, 1, 2]
