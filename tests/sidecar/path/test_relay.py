"""Source: mcp-gateway.md G17, G19, G22, G25, G26, G31, G51."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from sidecar.core.inventory import Inventory
from sidecar.core.query import Asker
from sidecar.errors import Broken, OpaUnreachable, SidecarError, TimedOut
from sidecar.path.judgement import Caller
from sidecar.path.relay import JSON_HEADERS, Addressee, Relay, failure, withheld
from sidecar.path.visibility import Visibility
from sidecar.ports import Event, Grant, Headers, Reply
from tests.fakes import FakeDecisionPoint

LISTED = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"open"},{"name":"closed"}]}}'
FILTERED = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"open"}]}}'
UNREADABLE = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"closed"'
PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}'
TO = Addressee(Caller(Grant("g", "s", "p"), Asker(policy="p", server="s", grant="g")), id_raw=b"1")
HEADERS: Headers = ((b"content-type", b"application/json"), (b"mcp-session-id", b"x"))


class Desk:
    def __init__(self) -> None:
        self.opa = FakeDecisionPoint(
            listed=lambda query: [str(name) for name in json.loads(query)["tools"]], hidden=frozenset({"closed"})
        )
        self.warned: list[SidecarError] = []
        visibility = Visibility(self.opa, Inventory(), generation=lambda: 1, ttl_cap_ms=1000)
        self.relay = Relay(visibility, self.warned.append)

    async def answer(self, reply: Reply, to: Addressee = TO) -> Reply:
        return await self.relay.answer(reply, to)


class Source:
    """A stream that tells whether it was closed."""

    def __init__(self, *parts: Any, then: Exception | None = None) -> None:
        self.parts = parts
        self.then = then
        self.closed = False

    async def run(self) -> AsyncGenerator[Any, None]:
        try:
            for part in self.parts:
                yield part
            if self.then is not None:
                raise self.then
        finally:
            self.closed = True


async def lines(reply: Reply) -> bytes:
    assert reply.chunks is not None
    return b"".join([chunk async for chunk in reply.chunks])


async def raws(reply: Reply) -> list[bytes | None]:
    assert reply.events is not None
    return [event.raw async for event in reply.events]


@pytest.mark.parametrize("status", [200, 202, 301, 400, 404, 405, 418, 500])
@pytest.mark.parametrize("body", [b"", b"not JSON", b'{"jsonrpc":"2.0","id":1,"result":{}}'])
async def test_body_passes_as_it_came(status: int, body: bytes) -> None:
    reply = Reply(status, HEADERS, body=body)
    assert await Desk().answer(reply) is reply


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_body_with_tools_is_filtered_whatever_its_status_and_type(status: int) -> None:
    reply = await Desk().answer(Reply(status, ((b"content-type", b"text/html"),), body=LISTED))
    assert (reply.status, reply.headers, reply.body) == (status, ((b"content-type", b"text/html"),), FILTERED)


async def test_body_that_may_be_a_list_but_cannot_be_read_is_withheld() -> None:
    desk = Desk()
    reply = await desk.answer(Reply(200, HEADERS, body=UNREADABLE))
    assert (reply.status, reply.headers) == (200, JSON_HEADERS)
    assert json.loads(reply.body or b"")["error"]["code"] == -32603
    assert b"closed" not in (reply.body or b"")
    assert len(desk.warned) == 1


async def test_body_that_looks_like_an_event_stream_with_tools_is_withheld() -> None:
    reply = await Desk().answer(Reply(200, HEADERS, body=b"data: " + LISTED + b"\n\n"))
    assert b"closed" not in (reply.body or b"")


async def test_body_that_opa_cannot_judge_is_withheld() -> None:
    desk = Desk()
    desk.opa.error = OpaUnreachable("dead")
    reply = await desk.answer(Reply(200, HEADERS, body=LISTED))
    assert json.loads(reply.body or b"") == {
        "jsonrpc": "2.0",
        "id": 1,
        "error": {"code": 50301, "message": "Policy decision unavailable."},
    }
    assert desk.warned == [desk.opa.error]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("kind", ["body", "events", "chunks"])
async def test_refused_credential_becomes_a_bad_gateway_and_frees_the_stream(status: int, kind: str) -> None:
    desk, source = Desk(), Source(b"x")
    headers: Headers = ((b"www-authenticate", b"Bearer"), (b"mcp-session-id", b"x"))
    body: Any = {kind: b"secret" if kind == "body" else source.run()}
    reply = await desk.answer(Reply(status, headers, **body))
    assert (reply.status, reply.headers) == (502, JSON_HEADERS)
    told = json.loads(reply.body or b"")
    assert (told["id"], told["error"]["code"]) == (1, -32603)
    assert str(status) in str(desk.warned[0])
    assert source.closed is (kind != "body")


async def test_events_pass_as_they_came_and_in_order() -> None:
    events = [
        Event(b"", b"id: 1\ndata:\n\n"),
        Event(b"", b": comment\n\n"),
        Event(PROGRESS, b"event: message\r\ndata: " + PROGRESS + b"\r\n\r\n"),
        Event(PROGRESS, None),
    ]
    source = Source(*events)
    reply = await Desk().answer(Reply(200, events=source.run()))
    assert await raws(reply) == [event.raw for event in events]
    assert source.closed


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: %b\n\n", b"data: %b\n\n"),
        (b"id: 7\nevent: message\nretry: 5\ndata: %b\n\n", b"id: 7\nevent: message\nretry: 5\ndata: %b\n\n"),
        (b"\xef\xbb\xbfdata: %b\r\n\r\n", b"data: %b\n\n"),
        (b"data:%b\rid: 7\r\r", b"id: 7\ndata: %b\n\n"),
        (b": note\ndata\ndata: %b\n\n", b": note\ndata: %b\n\n"),
    ],
)
async def test_event_with_tools_keeps_all_but_its_data(raw: bytes, expected: bytes) -> None:
    reply = await Desk().answer(Reply(200, events=Source(Event(LISTED, raw % LISTED)).run()))
    assert await raws(reply) == [expected % FILTERED]


async def test_event_over_several_lines_is_filtered_and_stays_one_event() -> None:
    pretty = json.dumps(json.loads(LISTED), indent=1).encode()
    raw = b"".join(b"data: %b\n" % line for line in pretty.split(b"\n")) + b"\n"
    (filtered,) = await raws(await Desk().answer(Reply(200, events=Source(Event(pretty, raw)).run())))
    assert filtered is not None
    assert b"closed" not in filtered
    assert filtered.endswith(b"\n\n")
    assert all(line.startswith(b"data: ") for line in filtered[:-2].split(b"\n"))
    text = b"\n".join(line[6:] for line in filtered[:-2].split(b"\n"))
    assert json.loads(text) == json.loads(FILTERED)


async def test_event_of_a_line_transport_has_no_raw_form_afterwards_either() -> None:
    reply = await Desk().answer(Reply(200, events=Source(Event(LISTED)).run()))
    assert reply.events is not None
    assert [event async for event in reply.events] == [Event(FILTERED, None)]


@pytest.mark.parametrize("opa_dead", [True, False])
async def test_event_that_must_be_withheld_is_replaced_and_the_stream_goes_on(opa_dead: bool) -> None:
    desk = Desk()
    desk.opa.error = OpaUnreachable("dead") if opa_dead else None
    bad = LISTED if opa_dead else UNREADABLE
    events = Source(Event(bad, b"data: x\n\n"), Event(PROGRESS, b"data: y\n\n")).run()
    reply = await desk.answer(Reply(200, events=events))
    assert reply.events is not None
    first, second = [event async for event in reply.events]
    assert json.loads(first.data)["error"]["code"] == (50301 if opa_dead else -32603)
    assert json.loads(first.data)["id"] == 1
    assert (first.raw, second.raw) == (None, b"data: y\n\n")


@pytest.mark.parametrize("error", [Broken("cut off"), TimedOut("late")])
async def test_events_that_break_off_end_without_an_error(error: Exception) -> None:
    desk, source = Desk(), Source(Event(PROGRESS, b"data: x\n\n"), then=error)
    assert await raws(await desk.answer(Reply(200, events=source.run()))) == [b"data: x\n\n"]
    assert desk.warned == [error]
    assert source.closed


@pytest.mark.parametrize(
    "chunks",
    [
        [b'{"a":1}\n', b"\n", b'{"b":2}\n'],
        [b'{"a"', b":1}\n\n{", b'"b":2}\n'],
        [b'{"a":1}\r\n{"b"', b":2}"],
        [],
    ],
)
async def test_endless_body_passes_line_by_line(chunks: list[bytes]) -> None:
    source = Source(*chunks)
    assert await lines(await Desk().answer(Reply(200, HEADERS, chunks=source.run()))) == b"".join(chunks)
    assert source.closed


async def test_endless_body_line_is_passed_on_at_once() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield PROGRESS + b"\n"
        raise AssertionError

    reply = await Desk().answer(Reply(200, chunks=chunks()))
    assert reply.chunks is not None
    assert await anext(reply.chunks) == PROGRESS + b"\n"
    await reply.drop()


@pytest.mark.parametrize("cut", [0, 10, 40, len(LISTED), len(LISTED) + 1])
@pytest.mark.parametrize("end", [b"\n", b""])
async def test_endless_body_lists_are_filtered_however_they_are_cut(cut: int, end: bytes) -> None:
    data = PROGRESS + b"\n" + LISTED + end
    at = len(PROGRESS) + 1 + cut
    reply = await Desk().answer(Reply(200, chunks=Source(data[:at], data[at:]).run()))
    assert await lines(reply) == PROGRESS + b"\n" + FILTERED + end


@pytest.mark.parametrize("text", [UNREADABLE + b"\n", json.dumps(json.loads(LISTED), indent=1).encode()])
async def test_endless_body_list_that_cannot_be_read_ends_the_answer(text: bytes) -> None:
    desk = Desk()
    passed = await lines(await desk.answer(Reply(200, chunks=Source(text).run())))
    assert b"closed" not in passed
    assert [error.code for error in desk.warned] == ["upstream_broken"]


async def test_endless_body_line_without_end_ends_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.path.relay._LINE_BYTES", 10)
    desk = Desk()
    assert await lines(await desk.answer(Reply(200, chunks=Source(b"123\n", b"x" * 6, b"x" * 6).run()))) == b"123\n"
    assert "10 bytes" in str(desk.warned[0])


@pytest.mark.parametrize(("error", "status"), [(Broken("b"), 502), (TimedOut("t"), 504), (OpaUnreachable("o"), 502)])
def test_failure_says_what_happened(error: SidecarError, status: int) -> None:
    reply = failure(error, None)
    assert reply.status == status
    assert json.loads(reply.body or b"") == {"jsonrpc": "2.0", "error": {"code": -32603, "message": str(error)}}


def test_withheld_without_a_known_request_has_no_id() -> None:
    assert "id" not in json.loads(withheld(Broken("x"), None))
