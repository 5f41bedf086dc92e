"""Against real sockets. Source: mcp-gateway.md G15, G18, G19, G22, G25, G48, G51–G53."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from sidecar.errors import Broken, SettingsError, TimedOut, Unreachable
from sidecar.ports import Event, Headers, Outgoing, Reply
from sidecar.upstream.http import HttpUpstream

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BODY = b'{"jsonrpc":"2.0","id":1,"result":{}}'
CREDENTIAL: Headers = ((b"authorization", b"Bearer ours"), (b"x-api-key", b"ours"))
SENT = Outgoing(b'{"a": 1}', "tools/call", 1, ((b"content-type", b"application/json"), (b"accept", b"*/*")), "sess")


class Server:
    """Reads whole requests, keeps them, and answers each with the next of `answers` (None: nothing)."""

    def __init__(self, *answers: bytes | None, then_close: bool = False) -> None:
        self.answers = list(answers)
        self.then_close = then_close
        self.requests: list[tuple[bytes, dict[bytes, list[bytes]], bytes]] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.port = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
                headers: dict[bytes, list[bytes]] = {}
                for line in head[1:]:
                    name, _, value = line.partition(b": ")
                    headers.setdefault(name, []).append(value)
                body = await reader.readexactly(int(headers.get(b"content-length", [b"0"])[0]))
                self.requests.append((head[0], headers, body))
                self.asked.set()
                answer = self.answers.pop(0) if self.answers else None
                if answer is not None:
                    writer.write(answer)
                    await writer.drain()
                    if self.then_close:
                        return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: Server, **options: Any) -> AsyncIterator[HttpUpstream]:
    tasks: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await server(reader, writer)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    upstream = HttpUpstream(f"http://127.0.0.1:{server.port}/mcp/x?tenant=1", **options)
    try:
        async with asyncio.timeout(10):
            yield upstream
    finally:
        await upstream.close()
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(status: bytes = b"200 OK", body: bytes = BODY, **headers: str) -> bytes:
    lines = b"".join(b"%b: %b\r\n" % (name.replace("_", "-").encode(), text.encode()) for name, text in headers.items())
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n%b\r\n%b" % (status, len(body), lines, body)


def chunked(*chunks: bytes, kind: bytes = b"application/json", end: bool = True) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % kind
    return head + framed + (b"0\r\n\r\n" if end else b"")


async def events(reply: Reply) -> list[Event]:
    assert reply.events is not None
    return [event async for event in reply.events]


async def test_send_forwards_the_bytes_with_allowed_headers_session_and_our_credential() -> None:
    server = Server(answer(content_type="application/json"))
    async with serving(server, credentials=lambda: CREDENTIAL) as upstream:
        reply = await upstream.send(SENT)
    ((line, headers, body),) = server.requests
    assert line == b"POST /mcp/x?tenant=1 HTTP/1.1"
    assert body == SENT.raw
    assert headers == {
        b"host": [b"127.0.0.1:%d" % server.port],
        b"accept-encoding": [b"identity"],
        b"content-length": [b"8"],
        b"content-type": [b"application/json"],
        b"accept": [b"*/*"],
        b"authorization": [b"Bearer ours"],
        b"x-api-key": [b"ours"],
        b"mcp-session-id": [b"sess"],
    }
    assert (reply.status, reply.body) == (200, BODY)


async def test_send_headers_of_the_client_never_stand_in_for_ours() -> None:
    server = Server(answer())
    theirs: Headers = ((b"x-api-key", b"theirs"), (b"mcp-session-id", b"wrapped"), (b"user-agent", b"u"))
    async with serving(server, credentials=lambda: CREDENTIAL) as upstream:
        await upstream.send(Outgoing(b"{}", "ping", 1, theirs))
    headers = server.requests[0][1]
    assert headers[b"x-api-key"] == [b"ours"]
    assert b"mcp-session-id" not in headers
    assert headers[b"user-agent"] == [b"u"]


async def test_send_credential_is_read_anew_each_time() -> None:
    current = [b"one"]
    server = Server(answer(), answer())
    async with serving(server, credentials=lambda: ((b"authorization", current[0]),)) as upstream:
        await upstream.send(SENT)
        current[0] = b"two"
        await upstream.send(SENT)
    assert [headers[b"authorization"] for _, headers, _ in server.requests] == [[b"one"], [b"two"]]
    assert server.connections == 1


async def test_listen_and_end_use_their_methods_and_carry_the_session() -> None:
    server = Server(chunked(b"data: x\n\n", kind=b"text/event-stream"), answer(b"405 No", allow="POST"))
    async with serving(server, credentials=lambda: CREDENTIAL) as upstream:
        listened = await upstream.listen(((b"last-event-id", b"3"),), "sess")
        assert [event.data for event in await events(listened)] == [b"x"]
        ended = await upstream.end((), "sess")
    assert [line.split()[0] for line, _, _ in server.requests] == [b"GET", b"DELETE"]
    assert server.requests[0][1][b"last-event-id"] == [b"3"]
    assert all(headers[b"mcp-session-id"] == [b"sess"] for _, headers, _ in server.requests)
    assert (ended.status, list(ended.headers)) == (405, [(b"allow", b"POST")])


async def test_answer_passes_only_allowed_headers() -> None:
    given = answer(
        content_type="application/json",
        mcp_session_id="s",
        retry_after="3",
        set_cookie="a=b",
        www_authenticate="Bearer",
        location="http://evil.example",
        server="x",
        x_other="y",
    )
    async with serving(Server(given)) as upstream:
        reply = await upstream.send(SENT)
    assert list(reply.headers) == [
        (b"content-type", b"application/json"),
        (b"mcp-session-id", b"s"),
        (b"retry-after", b"3"),
    ]


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary", b"308 Permanent"])
async def test_redirect_is_never_followed(status: bytes) -> None:
    other = Server(answer())
    async with serving(other):
        server = Server(answer(status, b"", location=f"http://127.0.0.1:{other.port}/"))
        async with serving(server, credentials=lambda: CREDENTIAL) as upstream:
            reply = await upstream.send(SENT)
    assert reply.status == int(status[:3])
    assert (len(server.requests), other.requests) == (1, [])


@pytest.mark.parametrize("status", [b"202 Accepted", b"400 Bad", b"404 Gone", b"500 Oops"])
async def test_status_and_body_pass_as_they_are(status: bytes) -> None:
    async with serving(Server(answer(status, b""))) as upstream:
        reply = await upstream.send(SENT)
    assert (reply.status, reply.body) == (int(status[:3]), b"")


@pytest.mark.parametrize(
    "given",
    [
        answer(content_encoding="gzip"),
        answer(content_encoding="br", content_type="text/event-stream"),
        answer(content_encoding="x"),
        b"HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
async def test_compressed_answer_is_withheld(given: bytes) -> None:
    async with serving(Server(given)) as upstream:
        with pytest.raises(Broken, match="compressed"):
            await upstream.send(SENT)


async def test_identity_encoding_passes() -> None:
    async with serving(Server(answer(content_encoding="Identity"))) as upstream:
        assert (await upstream.send(SENT)).body == BODY


async def test_chunked_body_is_read_whole() -> None:
    async with serving(Server(chunked(BODY[:9], BODY[9:]))) as upstream:
        assert (await upstream.send(SENT)).body == BODY


async def test_body_over_the_limit_is_broken_off() -> None:
    server = Server(chunked(b"x" * 50, b"x" * 51, end=False))
    async with serving(server, answer_limit_bytes=100) as upstream:
        with pytest.raises(Broken, match="100 bytes"):
            await upstream.send(SENT)
        await server.left.wait()


async def test_endless_body_of_a_listen_request_comes_as_it_arrives() -> None:
    server = Server(chunked(b'{"a":1}\n', end=False))
    async with serving(server) as upstream:
        reply = await upstream.send(Outgoing(b"{}", "subscriptions/listen", 1))
        assert reply.chunks is not None
        assert await anext(reply.chunks) == b'{"a":1}\n'
        await reply.drop()
        await server.left.wait()


async def test_events_come_as_they_arrive_and_leaving_closes_the_connection() -> None:
    server = Server(chunked(b"id: 1\ndata:\n\n", b"data: a\n\nda", kind=b"Text/Event-Stream; x=y", end=False))
    async with serving(server) as upstream:
        reply = await upstream.send(SENT)
        assert reply.events is not None
        assert await anext(reply.events) == Event(b"", b"id: 1\ndata:\n\n")
        assert await anext(reply.events) == Event(b"a", b"data: a\n\n")
        await reply.drop()
        await server.left.wait()


@pytest.mark.parametrize("kind", [b"text/event-stream", b"application/json"])
async def test_stream_that_nobody_began_to_read_frees_its_connection(kind: bytes) -> None:
    server = Server(chunked(b"data: a\n\n", kind=kind, end=False))
    async with serving(server) as upstream:
        await (await upstream.listen((), None)).drop()
        await server.left.wait()


async def test_events_cut_off_are_broken_and_an_event_without_end_is_not_given() -> None:
    server = Server(chunked(b"data: a\n\ndata: b", kind=b"text/event-stream", end=False), then_close=True)
    async with serving(server) as upstream:
        reply = await upstream.send(SENT)
        assert reply.events is not None
        assert (await anext(reply.events)).data == b"a"
        with pytest.raises(Broken):
            await anext(reply.events)


async def test_event_over_the_limit_is_broken() -> None:
    server = Server(chunked(b"data: " + b"x" * 200, kind=b"text/event-stream", end=False))
    async with serving(server, answer_limit_bytes=100) as upstream:
        with pytest.raises(Broken):
            await events(await upstream.send(SENT))
        await server.left.wait()


async def test_silent_stream_is_given_up_only_where_a_bound_is_set() -> None:
    server = Server(chunked(b"data: a\n\n", kind=b"text/event-stream", end=False))
    async with serving(server, idle_s=0.01) as upstream:
        reply = await upstream.send(SENT)
        with pytest.raises(TimedOut):
            await events(reply)


async def test_no_answer_in_time_is_timed_out_and_the_request_given_up() -> None:
    server = Server(None)
    async with serving(server, first_byte_s=0.05) as upstream:
        with pytest.raises(TimedOut):
            await upstream.send(SENT)
        await server.left.wait()


async def test_body_that_stops_midway_is_timed_out() -> None:
    async with serving(Server(chunked(b"half", end=False)), first_byte_s=0.05) as upstream:
        with pytest.raises(TimedOut):
            await upstream.send(SENT)


@pytest.mark.parametrize(
    "given", [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"HTTP/1.1 200 OK\r\n", b"", b"SSH-2.0\r\n\r\n"]
)
async def test_answer_cut_off_or_not_http_is_broken(given: bytes) -> None:
    async with serving(Server(given, then_close=True)) as upstream:
        with pytest.raises(Broken):
            await upstream.send(SENT)


async def test_request_is_never_sent_twice_even_when_a_kept_connection_closes() -> None:
    server = Server(answer())
    async with serving(server) as upstream:
        await upstream.send(SENT)
        server.answers, server.then_close = [b""], True
        with pytest.raises(Broken):
            await upstream.send(SENT)
    assert len(server.requests) == 2


async def test_cancelled_request_closes_its_connection() -> None:
    server = Server(None)
    async with serving(server) as upstream:
        sending = asyncio.create_task(upstream.send(SENT))
        await server.asked.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await server.left.wait()


async def test_nobody_listening_is_unreachable() -> None:
    server = Server()
    async with serving(server):
        pass
    upstream = HttpUpstream(f"http://127.0.0.1:{server.port}/", connect_timeout_s=1)
    with pytest.raises(Unreachable):
        await upstream.send(SENT)


async def test_closed_upstream_is_unreachable() -> None:
    async with serving(Server(answer())) as upstream:
        await upstream.close()
        with pytest.raises(Unreachable):
            await upstream.send(SENT)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h/mcp",
        "ftp://h/",
        "unix:///run/x",
        "http://",
        "http:///mcp",
        "http://h:99999/",
        "http://h:x/",
        "http://[::1",
        "http://" + "a" * 64 + "/",
        "http://.h/",
        "http://user@h/",
        "http://user:secret@h/",
        "http://:secret@h/",
        "ftp://user:secret@h/",
        "http://user:secret@h:99999/",
    ],
)
def test_url_that_cannot_be_used_is_a_settings_error_without_its_secret(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        HttpUpstream(url)
    assert "secret" not in str(refused.value)


def test_url_https_gets_its_own_port_and_a_checked_certificate() -> None:
    upstream = HttpUpstream("https://h.example/mcp")
    origin = upstream._http._origin
    assert (origin.host, origin.port) == ("h.example", 443)
    assert origin.tls is not None
    assert origin.tls.check_hostname
