"""Source: mcp-gateway.md G23, G32; MCP 2025-11-25, transports, Resumability and Redelivery."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sidecar.core.inflight import InFlight
from sidecar.core.query import Asker
from sidecar.path import late
from sidecar.path.judgement import Caller, Judgement, Verdict
from sidecar.path.late import Awaited, Late
from sidecar.path.recorder import Recorder, UnderWay
from sidecar.path.settlement import Settlement
from sidecar.ports import Event, Grant, Headers, Reply, Reservation
from tests.fakes import ALLOWED, FakeApprovals, FakeAudit, FakeCounters, FakeDecisionPoint

RESULT = b'{"jsonrpc":"2.0","id":7,"result":{"content":[]}}'
ERROR = b'{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no"}}'


def event(event_id: bytes, data: bytes = b"") -> Event:
    return Event(data, b"id: %b\ndata: %b\n\n" % (event_id, data))


def behind(event_id: bytes) -> Headers:
    return ((b"accept", b"text/event-stream"), (b"last-event-id", event_id))


class Scene:
    """Calls that took something, in one session of one grant."""

    def __init__(self) -> None:
        tape: list[str] = []
        self.audit = FakeAudit(tape)
        self.counters = FakeCounters(tape)
        judgement = Judgement(FakeDecisionPoint(tape, (ALLOWED,)), self.counters, FakeApprovals(tape))
        self.flying = InFlight()
        settlement = Settlement(judgement, Recorder(self.audit), self.flying, warn=lambda _: None, took=lambda _: None)
        self.late = Late(settlement)
        self.tape = tape

    def caller(self, session: str | None = "s", grant: str = "g") -> Caller:
        return Caller(Grant(grant, "x", "p"), Asker(policy="p", server="x", grant=grant), session)

    async def call(self, *events: Event, session: str | None = "s") -> Awaited:
        """A call whose stream broke off behind these events."""
        caller = self.caller(session)
        turn = UnderWay(caller, datetime.now(UTC), 0.0, flight=self.flying.begin("g", session, 7))
        awaited = self.late.awaited(7, turn, Verdict(ALLOWED, reservation=Reservation((("k", 0, 1, "1"),))))
        for one in events:
            await awaited.hear(one)
        await awaited.leave()
        return awaited

    async def resumed(self, place: bytes, *events: Event, caller: Caller | None = None) -> list[Event]:
        async def stream() -> AsyncGenerator[Event, None]:
            for one in events:
                yield one

        reply = self.late.overheard(Reply(200, events=stream()), caller or self.caller(), behind(place))
        assert reply.events is not None
        return [one async for one in reply.events]

    @property
    def results(self) -> list[str]:
        return [record.result for record in self.audit.records]


@pytest.fixture
async def waited(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets the time pass for which a client is waited for."""
    loop = asyncio.get_running_loop()
    call_later, waiting = loop.call_later, list[tuple[Any, ...]]()

    def later(delay_s: float, callback: Any, *arguments: Any, **options: Any) -> Any:
        if delay_s == late.WAIT_S:
            waiting.append((callback, *arguments))
        return call_later(delay_s, callback, *arguments, **options)

    monkeypatch.setattr(loop, "call_later", later)

    def pass_by() -> None:
        assert waiting
        for callback, *arguments in waiting:
            callback(*arguments)

    return pass_by


@pytest.mark.parametrize(
    ("answer", "tape", "result"), [(RESULT, ["record"], "result"), (ERROR, ["rollback", "record"], "error")]
)
@pytest.mark.parametrize("place", [b"a-0", b"a-1"])
async def test_answer_on_the_stream_that_goes_on_settles_the_call(
    place: bytes, answer: bytes, tape: list[str], result: str
) -> None:
    scene = Scene()
    await scene.call(event(b"a-0"), event(b"a-1"))
    assert scene.tape == []
    told = [event(b"a-2"), event(b"a-3", answer)]
    assert await scene.resumed(place, *told) == told
    assert (scene.tape, scene.results) == (tape, [result])


async def test_answer_behind_an_event_of_a_stream_that_went_on_and_broke_too_settles_the_call() -> None:
    scene = Scene()
    await scene.call(event(b"a-0"))
    await scene.resumed(b"a-0", event(b"a-1"))
    await scene.resumed(b"a-1", event(b"a-2", RESULT))
    assert scene.results == ["result"]


async def test_answer_that_comes_before_the_break_is_noticed_settles_the_call_once() -> None:
    scene = Scene()
    turn = UnderWay(scene.caller(), datetime.now(UTC), 0.0, flight=scene.flying.begin("g", "s", 7))
    awaited = scene.late.awaited(7, turn, Verdict(ALLOWED))
    await awaited.hear(event(b"a-0"))
    await scene.resumed(b"a-0", event(b"a-1", RESULT))
    await awaited.leave()
    assert await awaited.hear(event(b"a-2", ERROR)) is None
    assert scene.results == ["result"]


@pytest.mark.parametrize(
    ("place", "session", "grant"), [(b"b-0", "s", "g"), (b"a-0", "t", "g"), (b"a-0", "s", "h"), (b"a-0", None, "g")]
)
async def test_answer_on_any_other_stream_settles_nothing(
    place: bytes, session: str | None, grant: str, waited: Callable[[], None]
) -> None:
    scene = Scene()
    await scene.call(event(b"a-0"))
    await scene.resumed(place, event(b"b-1", ERROR), caller=scene.caller(session, grant))
    assert scene.tape == []
    waited()
    await scene.late.close()
    assert (scene.tape, scene.results) == (["record"], ["unknown"])


async def test_error_after_the_client_meddled_proves_nothing() -> None:
    scene = Scene()
    await scene.call(event(b"a-0"))
    with scene.flying.meddling("g"):
        pass
    await scene.resumed(b"a-0", event(b"a-1", ERROR))
    assert (scene.tape, scene.results) == (["record"], ["unknown"])


async def test_error_after_another_request_of_that_id_proves_nothing() -> None:
    scene = Scene()
    await scene.call(event(b"a-0"))
    scene.flying.begin("g", "s", 7)
    await scene.resumed(b"a-0", event(b"a-1", ERROR))
    assert (scene.tape, scene.results) == (["record"], ["unknown"])


@pytest.mark.parametrize(
    ("events", "session"),
    [
        ([Event(b"{}", b"data: {}\n\n")], "s"),
        ([event(b"a-0")], None),
        ([Event(b"", b"id: \ndata: \n\n")], "s"),
        ([event(b"a" * 5000)], "s"),
        ([], "s"),
    ],
)
async def test_call_that_nobody_can_come_back_to_is_settled_at_once(events: list[Event], session: str | None) -> None:
    scene = Scene()
    await scene.call(*events, session=session)
    assert scene.results == ["unknown"]
    assert len(scene.flying) == 0


async def test_calls_waited_for_are_bounded_and_the_oldest_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "KEPT_CALLS", 2)
    scene = Scene()
    for name in (b"a", b"b", b"c"):
        await scene.call(event(name))
    await asyncio.sleep(0)
    assert scene.results == ["unknown"]
    await scene.resumed(b"c", event(b"c-1", RESULT))
    await scene.late.close()
    assert scene.results == ["unknown", "result", "unknown"]
