"""Source: mcp-gateway.md G32. How each end of a call is taken is in tests/sidecar/path/test_exchange.py."""

from datetime import UTC, datetime

import pytest

from sidecar.core.inflight import InFlight
from sidecar.core.query import Asker
from sidecar.errors import SidecarError, StoreError
from sidecar.path.judgement import Caller, Judgement, Verdict
from sidecar.path.recorder import Recorder, UnderWay
from sidecar.path.settlement import Settlement
from sidecar.ports import Grant, Reservation
from tests.fakes import ALLOWED, FakeApprovals, FakeAudit, FakeCounters, FakeDecisionPoint

VERDICT = Verdict(ALLOWED, reservation=Reservation((("k", 0, 1, "1"),)))


class Scene:
    def __init__(self) -> None:
        self.tape: list[str] = []
        self.audit, self.counters = FakeAudit(self.tape), FakeCounters(self.tape)
        judgement = Judgement(FakeDecisionPoint(self.tape, (ALLOWED,)), self.counters, FakeApprovals(self.tape))
        self.flying, self.warned, self.took = InFlight(), list[SidecarError](), list[float]()
        self.settlement = Settlement(
            judgement, Recorder(self.audit), self.flying, warn=self.warned.append, took=self.took.append
        )

    def turn(self) -> UnderWay:
        caller = Caller(Grant("g", "x", "p"), Asker(policy="p", server="x", grant="g"), "s")
        return UnderWay(caller, datetime.now(UTC), 0.0, flight=self.flying.begin("g", "s", 1), forwarded=1.0, left=3.5)


@pytest.mark.parametrize(
    ("how", "tape"),
    [
        ("error", ["rollback", "record"]),
        ("unreachable", ["rollback", "record"]),
        ("http_error", ["rollback", "record"]),
        ("result", ["record"]),
        ("tool_error", ["record"]),
        ("unknown", ["record"]),
    ],
)
async def test_finish_gives_back_what_surely_did_not_run_and_records(how: str, tape: list[str]) -> None:
    scene = Scene()
    await scene.settlement.finish(scene.turn(), VERDICT, how)
    assert (scene.tape, scene.audit.records[0].result, len(scene.flying), scene.took) == (tape, how, 0, [2.5])


async def test_finish_by_a_doubtful_error_keeps_what_was_taken_and_says_so() -> None:
    scene = Scene()
    turn = scene.turn()
    with scene.flying.meddling("g"):
        await scene.settlement.finish(turn, VERDICT, "error", "why")
    (record,) = scene.audit.records
    assert (scene.tape, record.result) == (["record"], "unknown")
    assert "may be due to the client's cancellation" in record.cause


async def test_finish_and_store_fails_is_warned_of_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()

    async def fails(*_: object) -> None:
        raise StoreError("full")

    monkeypatch.setattr(scene.counters, "rollback", fails)
    await scene.settlement.finish(scene.turn(), VERDICT, "error")
    assert [str(error) for error in scene.warned] == ["full"]
    assert scene.audit.records[0].cause == "store: not given back: full"
