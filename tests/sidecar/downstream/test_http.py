"""The gateway behind a real HTTP server on a real socket. Source: mcp-gateway.md G7–G9, G18–G24, G48–G51, G54."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sidecar.core.inventory import Inventory
from sidecar.downstream import connection, listener
from sidecar.downstream.guard import Guard
from sidecar.downstream.http import Gateway
from sidecar.downstream.pages import Pages
from sidecar.downstream.request import Answering, Head, Whole
from sidecar.downstream.sessions import Sessions
from sidecar.errors import SidecarError, StoreError, Unreachable
from sidecar.path.exchange import Exchange
from sidecar.path.judgement import Judgement
from sidecar.path.relay import Relay
from sidecar.path.visibility import Visibility
from sidecar.ports import Event, Grant, Headers, Outgoing, Reply
from tests.fakes import (
    FakeApprovals,
    FakeAudit,
    FakeBearers,
    FakeClock,
    FakeCounters,
    FakeDecisionPoint,
    FakeGrants,
    FakeUpstream,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay","arguments":{"a":1}}}'
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}'
JSON_TYPE: Headers = ((b"content-type", b"application/json"),)
HEADERS = {
    "authorization": "Bearer good",
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
}
KEY = b"key"


class Upstream(FakeUpstream):
    """Keeps the headers and sessions of every kind of request."""

    def __init__(self, tape: list[str]) -> None:
        super().__init__(tape, [Reply(200, JSON_TYPE, body=RESULT)])
        self.seen: list[tuple[dict[bytes, bytes], str | None]] = []
        self.hangs = False
        self.reached, self.cancelled = asyncio.Event(), asyncio.Event()

    async def send(self, message: Outgoing) -> Reply:
        self.seen.append((dict(message.headers), message.session))
        self.reached.set()
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        return await super().send(message)

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        self.seen.append((dict(headers), session))
        return await super().listen(headers, session)

    async def end(self, headers: Headers, session: str | None) -> Reply:
        self.seen.append((dict(headers), session))
        return await super().end(headers, session)


class Desk:
    def __init__(self) -> None:
        self.tape: list[str] = []
        self.opa = FakeDecisionPoint(self.tape, listed=lambda query: [str(name) for name in json.loads(query)["tools"]])
        self.audit = FakeAudit(self.tape)
        self.upstream = Upstream(self.tape)
        self.grants = FakeGrants(
            by_token={
                b"good": Grant("g", "s", "p"),
                b"else": Grant("h", "s", "p"),
                b"other": Grant("o", "other", "p"),
                b"bare": Grant("b", "s", None),
            }
        )
        self.bearers = FakeBearers({b"theirs": Grant("t", "s", "p")}, {b"theirs", b"strange"})
        self.warned: list[SidecarError] = []
        self.port = 0

    def gateway(self) -> Gateway:
        inventory = Inventory()
        visibility = Visibility(self.opa, inventory, generation=lambda: 1, ttl_cap_ms=1000)
        exchange = Exchange(
            self.upstream,
            Judgement(self.opa, FakeCounters(self.tape), FakeApprovals(self.tape)),
            Relay(visibility, self.warned.append),
            inventory,
            self.audit,
            FakeClock(),
            warn=self.warned.append,
        )

        async def page() -> tuple[bool, Mapping[str, Any]]:
            return True, {"fine": True}

        return Gateway(
            {"/mcp/s": ("s", exchange)},
            Guard(("127.0.0.1", "gate.example"), ("https://ok.example",), self.grants, {}, 1000, self.bearers),
            Sessions(KEY),
            Pages(page, page, lambda _: None, b"operator"),
            self.audit,
            FakeClock(),
            warn=self.warned.append,
        )

    async def raw(self, request: bytes) -> bytes:
        """All that comes back for these bytes until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            return await reader.read()
        finally:
            writer.close()


class Stage:
    """The one server of this module, which serves whichever gateway a test puts there."""

    port = 0
    gateway: Gateway

    @property
    def body_limit_bytes(self) -> int:
        return self.gateway.body_limit_bytes

    def admit(self, head: Head) -> Answering:
        return self.gateway.admit(head)

    def refuse(self, head: Head | None, error: SidecarError) -> Whole:
        return self.gateway.refuse(head, error)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def stage() -> AsyncIterator[None]:
    with listener.bind("127.0.0.1", 0) as listening:
        Stage.port = listening.getsockname()[1]
        ready = asyncio.Event()
        server = asyncio.create_task(listener.serve(Stage(), listening, ready.set, grace_s=0))
        async with asyncio.timeout(10):
            await ready.wait()
        yield
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)


@asynccontextmanager
async def serving(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    desk.port, Stage.gateway = Stage.port, desk.gateway()
    async with (
        asyncio.timeout(20),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{desk.port}", trust_env=False, timeout=10) as client,
    ):
        yield client


async def post(
    desk: Desk, content: bytes = CALL, path: str = "/mcp/s", drop: tuple[str, ...] = (), **changes: str
) -> httpx.Response:
    headers = {**HEADERS, **{name.replace("_", "-"): value for name, value in changes.items()}}
    async with serving(desk) as client:
        return await client.post(
            path, content=content, headers={name: value for name, value in headers.items() if name not in drop}
        )


def wrapped(session: str, grant: str = "g") -> str:
    return Sessions(KEY).wrap(session, grant)


def place(event: bytes, session: str | None, grant: str = "g") -> str:
    return Sessions(KEY).wrap_event(event, grant, session).decode()


def told(response: httpx.Response) -> str:
    """The message of a JSON-RPC error that answers no request in particular."""
    body = response.json()
    assert body["jsonrpc"] == "2.0"
    assert "id" not in body
    return str(body["error"]["message"])


async def test_call_goes_through_and_back() -> None:
    desk = Desk()
    response = await post(desk)
    assert (response.status_code, response.content) == (200, RESULT)
    assert response.headers["content-type"] == "application/json"
    assert desk.tape == ["ask", "forward", "record"]
    assert desk.upstream.sent[0].raw == CALL


async def test_call_headers_of_the_client_pass_by_allowlist_only() -> None:
    desk = Desk()
    await post(
        desk,
        cookie="a=b",
        origin="https://ok.example",
        forwarded="for=1",
        x_forwarded_for="1",
        x_api_key="mine",
        proxy_authorization="Basic x",
        mcp_param_region="eu",
        traceparent="00-x",
        connection="mcp-param-hop, close",
        mcp_param_hop="1",
        user_agent="ua",
    )
    assert desk.upstream.seen == [
        (
            {
                b"accept": b"application/json, text/event-stream",
                b"content-type": b"application/json",
                b"mcp-param-region": b"eu",
                b"traceparent": b"00-x",
                b"user-agent": b"ua",
            },
            None,
        )
    ]


async def test_requests_alike_on_a_connection_are_checked_anew_where_anything_may_have_changed() -> None:
    desk = Desk()
    longer = CALL.replace(b'"a":1', b'"a":12345')
    async with serving(desk) as client:
        first, second = [await client.post("/mcp/s", content=body, headers=HEADERS) for body in (CALL, longer)]
        assert (first.status_code, second.status_code) == (200, 200)
        assert desk.upstream.seen[0] == desk.upstream.seen[1]
        too_long = await client.post("/mcp/s", content=b" " * 1001, headers=HEADERS)
        assert too_long.status_code == 413
        for _ in range(2):
            for changes, status in (
                ({"host": "evil.example"}, 421),
                ({"origin": "https://evil.example"}, 403),
                ({"accept": "text/html"}, 406),
                ({"content-encoding": "gzip"}, 415),
            ):
                for _ in range(2):
                    odd = await client.post("/mcp/s", content=CALL, headers={**HEADERS, **changes})
                    assert odd.status_code == status
            assert (await client.put("/mcp/s", content=CALL, headers=HEADERS)).status_code == 405
            assert (await client.post("/mcp/s", content=CALL, headers=HEADERS)).status_code == 200
            assert (await client.post("/mcp/other", content=CALL, headers=HEADERS)).status_code == 404
        del desk.grants.by_token[b"good"]
        assert (await client.post("/mcp/s", content=CALL, headers=HEADERS)).status_code == 401


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_request_whose_caller_is_known_only_later_waits_and_is_then_answered(method: str) -> None:
    desk = Desk()
    async with serving(desk) as client:
        headers = {**HEADERS, "authorization": "Bearer theirs"}
        answer = await client.request(method, "/mcp/s", content=CALL if method == "POST" else None, headers=headers)
        assert (answer.status_code, desk.bearers.settled) == (200, 1)
        again = await client.post("/mcp/s", content=CALL, headers=headers)
        assert (again.status_code, again.content, desk.bearers.settled) == (200, RESULT, 1)
    assert desk.audit.records[-1].grant == "t"


async def test_request_whose_caller_turns_out_unknown_is_refused_and_its_connection_kept() -> None:
    desk = Desk()
    async with serving(desk) as client:
        for _ in range(2):
            answer = await client.post("/mcp/s", content=CALL, headers={**HEADERS, "authorization": "Bearer strange"})
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert (await client.post("/mcp/s", content=CALL, headers=HEADERS)).status_code == 200
    assert (desk.bearers.settled, len(desk.upstream.sent)) == (1, 1)
    assert [record.cause for record in desk.audit.records][:2] == ["unknown_grant", "unknown_grant"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"content-type": "text/plain"}, 415), ({"expect": "x"}, 417), ({"content-length": "9999"}, 413)],
)
async def test_request_that_would_be_refused_anyway_does_not_wait(changes: dict[str, str], status: int) -> None:
    desk = Desk()
    head = {**HEADERS, "host": "127.0.0.1", "authorization": "Bearer theirs", "content-length": "2", **changes}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    async with serving(desk):
        answer = await desk.raw(f"POST /mcp/s HTTP/1.1\r\n{lines}connection: close\r\n\r\n{{}}".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert desk.bearers.settled == 0


@pytest.mark.parametrize("path", ["/mcp/s?token=good", "/mcp/s?"])
async def test_call_query_is_dropped(path: str) -> None:
    desk = Desk()
    assert (await post(desk, path=path)).content == RESULT
    assert (await post(desk, path="/mcp/s?token=good", drop=("authorization",))).status_code == 401


@pytest.mark.parametrize(
    "path", ["/", "/mcp", "/mcp/", "/mcp/s/", "/mcp//s", "/MCP/s", "/mcp/%73", "/mcp/other", "/x/../mcp/s"]
)
async def test_path_that_is_no_endpoint_reaches_nothing(path: str) -> None:
    desk = Desk()
    async with serving(desk):
        answer = await desk.raw(
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer good\r\nconnection: close\r\n"
            f"content-length: 0\r\n\r\n".encode()
        )
    assert answer.startswith(b"HTTP/1.1 404")
    assert desk.tape == []


@pytest.mark.parametrize(
    ("changes", "drop", "status"),
    [
        ({}, ("authorization",), 401),
        ({"authorization": "Bearer bad"}, (), 401),
        ({"authorization": "Basic good"}, (), 401),
        ({"authorization": "Bearer other"}, (), 403),
        ({"host": "evil.example"}, (), 421),
        ({"origin": "https://evil.example"}, (), 403),
        ({"origin": "null"}, (), 403),
        ({"upgrade": "websocket"}, (), 400),
        ({"upgrade": "h2c", "connection": "Upgrade, HTTP2-Settings"}, (), 400),
        ({"expect": "100-continue"}, (), 417),
        ({"content_type": "text/plain"}, (), 415),
        ({"content_type": "application/json; charset=utf-7"}, (), 415),
        ({"content_encoding": "gzip"}, (), 415),
        ({"accept": "application/json"}, (), 406),
        ({"mcp_session_id": "made-up"}, (), 404),
        ({"mcp_session_id": wrapped("x", "h")}, (), 404),
    ],
)
async def test_request_of_the_wrong_form_is_refused_recorded_and_not_forwarded(
    changes: dict[str, str], drop: tuple[str, ...], status: int
) -> None:
    desk = Desk()
    response = await post(desk, drop=drop, **changes)
    assert response.status_code == status
    assert told(response)
    assert desk.tape == ["record"]
    (record,) = desk.audit.records
    assert (record.outcome, record.message) == ("refused", told(response))
    assert record.cause in ("request_refused", "unknown_grant", "wrong_server")
    assert response.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert len(desk.warned) == 1


async def test_refusal_names_the_grant_where_it_is_known() -> None:
    for changes in ({"mcp_session_id": wrapped("x", "h")}, {"accept": "text/html"}):
        desk = Desk()
        await post(desk, **changes)
        assert (desk.audit.records[0].server, desk.audit.records[0].grant) == ("s", "g")


@pytest.mark.parametrize(
    "doubled",
    [
        b"authorization: Bearer good\r\n",
        b"authorization: Bearer bad\r\n",
        b"host: 127.0.0.1\r\n",
        b"content-type: application/json\r\n",
        b"mcp-protocol-version: 2025-11-25\r\nmcp-protocol-version: 2025-06-18\r\n",
        b"mcp-session-id: a\r\nmcp-session-id: a\r\n",
        b"content-length: 5\r\n",
        b"transfer-encoding: chunked\r\n",
        b"transfer-encoding: gzip\r\n",
    ],
)
async def test_header_given_twice_or_odd_framing_reaches_nothing(doubled: bytes) -> None:
    desk = Desk()
    head = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in HEADERS.items())
    async with serving(desk):
        answer = await desk.raw(
            b"POST /mcp/s HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: %d\r\n%b%b\r\n%b"
            % (len(CALL), head, doubled, CALL)
        )
    assert answer[9:10] == b"4"
    assert "forward" not in desk.tape


async def test_unauthenticated_requests_of_every_method_are_refused_before_their_form() -> None:
    desk = Desk()
    async with serving(desk) as client:
        for method in ("POST", "GET", "DELETE", "PUT", "OPTIONS"):
            assert (await client.request(method, "/mcp/s", headers={"upgrade": "x"})).status_code == 401
    assert desk.upstream.seen == []
    assert desk.tape == ["record"]


async def test_other_methods_are_told_which_there_are() -> None:
    desk = Desk()
    async with serving(desk) as client:
        response = await client.put("/mcp/s", headers=HEADERS)
    assert (response.status_code, response.headers["allow"]) == (405, "POST, GET, DELETE")


@pytest.mark.parametrize("length", [999, 1000, 1001, 5000])
@pytest.mark.parametrize("is_chunked", [True, False])
async def test_body_is_bounded(length: int, is_chunked: bool) -> None:
    async def parts() -> AsyncGenerator[bytes, None]:
        yield CALL
        yield b" " * (length - len(CALL))

    desk = Desk()
    body = CALL + b" " * (length - len(CALL))
    async with serving(desk) as client:
        response = await client.post("/mcp/s", content=parts() if is_chunked else body, headers=HEADERS)
    assert response.status_code == (200 if length <= 1000 else 413)
    assert ("forward" in desk.tape) is (length <= 1000)
    if length > 1000:
        assert response.headers["connection"] == "close"


async def test_body_that_is_slow_is_refused_and_the_connection_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    head = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in HEADERS.items())
    monkeypatch.setattr(connection, "BODY_S", 0.01)
    async with serving(desk):
        for begun in (b"", b"{"):
            answer = await desk.raw(
                b"POST /mcp/s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n%b\r\n%b" % (head, begun)
            )
            assert answer.startswith(b"HTTP/1.1 408")
    assert desk.tape == ["record", "record"]


async def test_session_ids_are_wrapped_for_the_client_and_unwrapped_for_the_server() -> None:
    desk = Desk()
    desk.upstream.replies = [Reply(400, ((b"mcp-session-id", b"up.1"),), body=b"no")]
    response = await post(desk, mcp_session_id=wrapped("up.0"))
    assert desk.upstream.seen[0][1] == "up.0"
    assert response.headers["mcp-session-id"] == wrapped("up.1")
    assert desk.audit.records[0].session == "up.0"


async def test_session_of_another_grant_is_as_if_it_were_not_there() -> None:
    for method in ("POST", "GET", "DELETE"):
        desk = Desk()
        async with serving(desk) as client:
            foreign, unknown = [
                await client.request(method, "/mcp/s", content=CALL, headers={**HEADERS, "mcp-session-id": session})
                for session in (wrapped("x", "h"), "nonsense")
            ]
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content
        assert desk.upstream.seen == []


async def test_get_relays_the_servers_stream_filtered() -> None:
    listed = b'{"jsonrpc":"2.0","id":5,"result":{"tools":[{"name":"open"},{"name":"closed"}]}}'

    async def events() -> AsyncGenerator[Event, None]:
        yield Event(b"", b"id: 1\ndata:\n\n")
        yield Event(listed, b"id: 2\ndata: " + listed + b"\n\n")
        yield Event(PROGRESS)

    desk = Desk()
    desk.opa.hidden = frozenset({"closed"})
    desk.upstream.replies = [
        Reply(200, ((b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")), events=events())
    ]
    async with serving(desk) as client:
        headers = {**HEADERS, "last-event-id": place(b"0", "up"), "mcp-session-id": wrapped("up")}
        response = await client.get("/mcp/s", headers=headers)
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["cache-control"] == "no-store"
    assert response.content == (
        b"id: " + place(b"1", "up").encode() + b"\ndata:\n\nid: " + place(b"2", "up").encode() + b"\n"
        b'data: {"jsonrpc":"2.0","id":5,"result":{"tools":[{"name":"open"}]}}\n\n'
        b"data: " + PROGRESS + b"\n\n"
    )
    assert desk.upstream.seen[0][0][b"last-event-id"] == b"0"
    assert desk.upstream.seen[0][1] == "up"


@pytest.mark.parametrize(
    ("given", "session"),
    [
        (["7"], "up"),
        ([place(b"7", "up", "h")], "up"),
        ([place(b"7", "other")], "up"),
        ([place(b"7", None)], "up"),
        ([place(b"7", "up")], None),
        ([place(b"7", "up"), place(b"7", "up")], "up"),
        ([""], "up"),
    ],
)
async def test_get_from_an_event_of_another_grant_or_session_is_refused(given: list[str], session: str | None) -> None:
    desk = Desk()
    async with serving(desk) as client:
        named = [] if session is None else [("mcp-session-id", wrapped(session))]
        headers = [*HEADERS.items(), *named, *(("last-event-id", one) for one in given)]
        response = await client.get("/mcp/s", headers=headers)
    assert response.status_code == 400
    assert "Last-Event-ID" in told(response)
    assert desk.upstream.seen == []


async def test_post_resumes_nothing() -> None:
    desk = Desk()
    async with serving(desk) as client:
        headers = {**HEADERS, "last-event-id": place(b"7", None)}
        await client.post("/mcp/s", content=b'{"jsonrpc":"2.0","id":1,"method":"ping"}', headers=headers)
    assert b"last-event-id" not in desk.upstream.seen[0][0]


async def test_post_that_opens_a_session_binds_its_events_to_it() -> None:
    async def events() -> AsyncGenerator[Event, None]:
        yield Event(RESULT, b"id: 1\ndata: " + RESULT + b"\n\n")

    desk = Desk()
    desk.upstream.replies = [Reply(200, ((b"mcp-session-id", b"up"),), events=events())]
    async with serving(desk) as client:
        body = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
        response = await client.post("/mcp/s", content=body, headers=HEADERS)
    assert response.content.startswith(b"id: " + place(b"1", "up").encode() + b"\n")


async def test_delete_ends_the_session() -> None:
    desk = Desk()
    desk.upstream.replies = [Reply(405, ((b"allow", b"POST"),), body=b"")]
    async with serving(desk) as client:
        response = await client.delete("/mcp/s", headers={**HEADERS, "mcp-session-id": wrapped("up")})
    assert (response.status_code, response.headers["allow"], response.content) == (405, "POST", b"")
    assert desk.upstream.seen[0][1] == "up"


async def test_endless_body_is_relayed_as_it_comes() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b'{"a":1}\n'
        yield b'{"b":2}\n'

    desk = Desk()
    desk.upstream.replies = [Reply(200, JSON_TYPE, chunks=chunks())]
    response = await post(desk, b'{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}')
    assert response.content == b'{"a":1}\n{"b":2}\n'
    assert response.headers["content-type"] == "application/json"


async def test_client_that_hangs_up_cancels_the_call_at_the_upstream() -> None:
    desk = Desk()
    desk.upstream.hangs = True
    async with serving(desk) as client:
        asking = asyncio.create_task(client.post("/mcp/s", content=CALL, headers=HEADERS))
        await desk.upstream.reached.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await desk.upstream.cancelled.wait()
    assert desk.audit.records[-1].result == "unknown"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_client_that_hangs_up_midway_closes_the_upstreams_stream(method: str) -> None:
    closed = asyncio.Event()

    async def events() -> AsyncGenerator[Event, None]:
        try:
            yield Event(PROGRESS, b"data: x\n\n")
            await asyncio.Event().wait()
        finally:
            closed.set()

    desk = Desk()
    desk.upstream.replies = [Reply(200, events=events())]
    async with serving(desk) as client:
        async with client.stream(method, "/mcp/s", content=CALL, headers=HEADERS) as response:
            assert await anext(response.aiter_bytes()) == b"data: x\n\n"
        await closed.wait()


@pytest.mark.parametrize("status", [401, 403])
async def test_upstreams_refusal_never_asks_the_client_for_a_token(status: int) -> None:
    desk = Desk()
    desk.upstream.replies = [Reply(status, ((b"www-authenticate", b"Bearer"),), body=b"x")]
    response = await post(desk)
    assert response.status_code == 502
    assert "www-authenticate" not in response.headers
    assert response.json()["error"]["code"] == -32603


async def test_upstream_that_is_away_is_told_with_the_requests_id() -> None:
    desk = Desk()
    desk.upstream.replies = [Unreachable("No connection.")]
    response = await post(desk)
    assert (response.status_code, response.json()["id"]) == (502, 1)


async def test_store_of_grants_away_calls_are_denied_and_the_rest_is_told_to_come_back() -> None:
    desk = Desk()
    desk.grants.error = StoreError("locked")
    async with serving(desk) as client:
        call = await client.post("/mcp/s", content=CALL, headers={**HEADERS, "mcp-session-id": wrapped("x")})
        listing = await client.post(
            "/mcp/s", content=b'{"jsonrpc":"2.0","id":2,"method":"tools/list"}', headers=HEADERS
        )
        others = [await client.request(method, "/mcp/s", headers=HEADERS) for method in ("GET", "DELETE")]
    assert call.json()["result"]["_meta"]["dev.regate/decision"]["rule"] == "(unavailable)"
    assert (listing.status_code, listing.json()["error"]["code"]) == (503, 50301)
    assert [response.status_code for response in others] == [503, 503]
    assert desk.upstream.seen == []
    assert [record.cause for record in desk.audit.records] == ["store: locked", "store: locked"]


async def test_pages_are_served_beside_the_endpoints() -> None:
    desk = Desk()
    async with serving(desk) as client:
        assert (await client.get("/healthz")).json() == {"ok": True}
        assert (await client.get("/readyz")).json() == {"fine": True}
        assert (await client.get("/status")).status_code == 404
        assert (await client.get("/status", headers={"authorization": "Bearer operator"})).json() == {"fine": True}
        assert (await client.get("/healthz", headers={"host": "evil.example"})).status_code == 421


async def test_each_grant_is_asked_for_under_its_own_policy() -> None:
    desk = Desk()
    async with serving(desk) as client:
        for token in ("good", "else", "bare", "good"):
            await client.post("/mcp/s", content=CALL, headers={**HEADERS, "authorization": f"Bearer {token}"})
    asked = [json.loads(query) for query in desk.opa.queries]
    assert [(query["grant"], query["policy"]) for query in asked] == [
        ("g", "p"),
        ("h", "p"),
        ("b", None),
        ("g", "p"),
    ]


async def test_queries_kept_per_grant_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.downstream.http._ASKERS", 1)
    await test_each_grant_is_asked_for_under_its_own_policy()


async def test_bytes_that_are_no_request_are_refused_in_json_and_told() -> None:
    desk = Desk()
    async with serving(desk):
        answer = await desk.raw(b"HELO\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"] == "This is not an HTTP request."
    assert [error.code for error in desk.warned] == ["request_refused"]
    assert desk.tape == []
