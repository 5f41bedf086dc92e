"""Against real sockets; a real server and client are in tests/eras/test_transports.py. Source: mcp-gateway.md G47."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from sidecar.errors import Broken, TimedOut, Unreachable
from sidecar.ports import Outgoing, Reply
from sidecar.upstream.sse import SseUpstream

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
ENDPOINT = b"event: endpoint\ndata: /messages?s=1\n\n"


class Server:
    """Opens streams with `opening`, takes messages with `status`, and answers each request on the newest stream."""

    def __init__(self, opening: bytes = STREAM + ENDPOINT, status: bytes = b"202 Accepted") -> None:
        self.opening = opening
        self.status = status
        self.quiet: set[str] = set()
        self.seen: list[tuple[str, dict[str, str], Any]] = []
        self.streams: list[asyncio.StreamWriter] = []
        self.left = asyncio.Event()
        self.news = asyncio.Event()

    async def until_told(self, method: str) -> None:
        while not any(message and message["method"] == method for _, _, message in self.seen):
            self.news.clear()
            await self.news.wait()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                message = json.loads(body) if body else None
                self.seen.append((lines[0].rsplit(" ", 1)[0], headers, message))
                self.news.set()
                if message is None:
                    self.streams.append(writer)
                    writer.write(self.opening)
                    await reader.read()
                    self.left.set()
                    return
                writer.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\n\r\n" % self.status)
                if message.get("method") not in self.quiet and "id" in message:
                    self.say({"jsonrpc": "2.0", "id": message["id"], "result": {"of": message["method"]}})
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def say(self, message: Any, kind: str = "message") -> None:
        self.streams[-1].write(f"event: {kind}\ndata: {json.dumps(message)}\n\n".encode())


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(server: Handler, **options: Any) -> AsyncIterator[SseUpstream]:
    tasks: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await server(reader, writer)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    upstream = SseUpstream(f"http://127.0.0.1:{port}/sse", **{"answer_timeout_s": 5.0, "endpoint_s": 2.0, **options})
    try:
        async with asyncio.timeout(20):
            yield upstream
    finally:
        await upstream.close()
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def say(upstream: SseUpstream, method: str, id: int | None = 1, session: str | None = None) -> Reply:
    raw = json.dumps({"jsonrpc": "2.0", "method": method, **({} if id is None else {"id": id})}).encode()
    return await upstream.send(Outgoing(raw, method, id, (), session))


async def opened(upstream: SseUpstream) -> str:
    reply = await say(upstream, "initialize")
    assert reply.status == 200
    return dict(reply.headers)[b"mcp-session-id"].decode()


async def test_session_is_a_stream_and_messages_go_to_its_endpoint_with_our_credential() -> None:
    server = Server()
    async with serving(server, credentials=lambda: ((b"authorization", b"Bearer ours"),)) as upstream:
        session = await opened(upstream)
        assert (await say(upstream, "notifications/initialized", None, session)).status == 202
        assert json.loads((await say(upstream, "tools/list", 2, session)).body or b"")["result"] == {"of": "tools/list"}
    lines = [(line, message and message["method"]) for line, _, message in server.seen]
    assert lines == [
        ("GET /sse", None),
        ("POST /messages?s=1", "initialize"),
        ("POST /messages?s=1", "notifications/initialized"),
        ("POST /messages?s=1", "tools/list"),
    ]
    assert {headers["authorization"] for _, headers, _ in server.seen} == {"bearer ours"}


async def test_listener_hears_what_the_server_says_on_its_own_and_other_events_are_none() -> None:
    server = Server()
    async with serving(server) as upstream:
        session = await opened(upstream)
        events = (await upstream.listen((), session)).events
        assert events is not None
        server.say({"jsonrpc": "2.0", "method": "notifications/other"}, kind="other")
        server.say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        assert b"list_changed" in (await anext(events)).data


async def test_end_of_a_session_closes_its_stream() -> None:
    server = Server()
    async with serving(server) as upstream:
        session = await opened(upstream)
        assert (await upstream.end((), session)).status == 204
        await server.left.wait()
        assert (await say(upstream, "tools/list", 2, session)).status == 404


async def test_modern_message_is_refused_so_that_the_client_falls_back() -> None:
    async with serving(Server()) as upstream:
        reply = await upstream.send(Outgoing(b"{}", "server/discover", 1, modern=True))
        assert (reply.status, json.loads(reply.body or b"")["error"]["code"]) == (400, -32600)


async def test_stream_that_ends_fails_what_is_under_way_and_the_session() -> None:
    server = Server()
    server.quiet.add("tools/call")
    async with serving(server) as upstream:
        session = await opened(upstream)
        calling = asyncio.create_task(say(upstream, "tools/call", 2, session))
        await server.until_told("tools/call")
        server.streams[-1].close()
        with pytest.raises(Broken, match="stream"):
            await calling
        assert (await say(upstream, "tools/list", 3, session)).status == 404


@pytest.mark.parametrize(
    ("status", "error", "not_run"), [(b"404 Not Found", Unreachable, True), (b"500 Oh", Broken, False)]
)
async def test_message_that_is_not_taken_fails_and_says_whether_it_may_have_run(
    status: bytes, error: type[Exception], not_run: bool
) -> None:
    server = Server()
    async with serving(server) as upstream:
        session = await opened(upstream)
        server.status = status
        server.quiet.add("tools/call")
        with pytest.raises(error) as caught:
            await say(upstream, "tools/call", 2, session)
        assert getattr(caught.value, "surely_not_run") is not_run  # noqa: B009 (both errors have it)


async def test_answer_that_never_comes_is_timed_out_and_the_server_told() -> None:
    server = Server()
    server.quiet.add("tools/call")
    async with serving(server, answer_timeout_s=0.3) as upstream:
        session = await opened(upstream)
        with pytest.raises(TimedOut):
            await say(upstream, "tools/call", 2, session)
        await server.until_told("notifications/cancelled")


@pytest.mark.parametrize(
    "opening",
    [
        b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n",
        STREAM + b"event: message\ndata: {}\n\n",
        STREAM + b"event: endpoint\ndata: http://elsewhere/messages\n\n",
    ],
)
async def test_url_that_opens_no_stream_is_unreachable(opening: bytes) -> None:
    async with serving(Server(opening), endpoint_s=0.3) as upstream:
        with pytest.raises(Unreachable):
            await say(upstream, "initialize")


async def test_stream_that_ends_before_its_endpoint_is_unreachable() -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(STREAM)
        writer.close()

    async with serving(server) as upstream:
        with pytest.raises(Unreachable, match="its stream ended"):
            await say(upstream, "initialize")


async def test_request_that_was_cancelled_gets_no_error_when_its_session_ends() -> None:
    server = Server()
    server.quiet.add("tools/call")
    async with serving(server) as upstream:
        session = await opened(upstream)
        calling = asyncio.create_task(say(upstream, "tools/call", 2, session))
        await server.until_told("tools/call")
        raw = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}'
        await upstream.send(Outgoing(raw, "notifications/cancelled", None, (), session))
        await upstream.end((), session)
        reply = await calling
        assert reply.events is not None
        assert [event async for event in reply.events] == []
