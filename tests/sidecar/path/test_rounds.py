"""A call of several rounds counts once and is judged each time. Source: mcp-gateway.md G32, G38."""

import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from sidecar.core.decision import UNAVAILABLE, Decision, Limit
from sidecar.core.inventory import Inventory
from sidecar.core.query import Asker
from sidecar.core.record import AuditRecord
from sidecar.core.sealed import Seal
from sidecar.errors import SidecarError, StoreError, Unreachable
from sidecar.path.exchange import Exchange
from sidecar.path.judgement import Caller, Judgement
from sidecar.path.relay import Relay
from sidecar.path.rounds import STATE_S, Rounds
from sidecar.path.visibility import Visibility
from sidecar.ports import Event, Grant, Reply
from tests.fakes import (
    ALLOWED,
    FakeApprovals,
    FakeAudit,
    FakeClock,
    FakeCounters,
    FakeDecisionPoint,
    FakeStates,
    FakeUpstream,
    events,
)

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
LIMIT = Limit("/tools/pay/limits/n", "Too many.", "n", "day", Decimal(9), "grant", [Decimal(1)])
LIMITED = Decision("allow", "", "", "sha256:one", [LIMIT])
DENIED = Decision("deny", "/r", "No.", "sha256:two", ())
ASKS = Decision("approval_required", "/r", "Ask first.", "sha256:one", (), 60)
ASKS_ELSE = Decision("approval_required", "/other", "Ask again.", "sha256:two", (), 60)
DONE = b'{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[]}}'
ERROR = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}'
ROUND_1 = ["ask", "reserve", "forward", "record"]


def question(state: Any = "theirs") -> bytes:
    result = {"resultType": "input_required", "inputRequests": {"q": {"method": "roots/list"}}}
    if state is not None:
        result["requestState"] = state
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()


def call(state: str | None = None, tool: str = "pay", arguments: Any = None, **params: Any) -> bytes:
    members = {"name": tool, "arguments": {"n": 1} if arguments is None else arguments, "_meta": META, **params}
    if state is not None:
        members |= {"requestState": state, "inputResponses": {"q": {"roots": []}}}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": members}).encode()


class Desk:
    """An exchange over fakes that share one tape; states of one key."""

    def __init__(self, *decisions: Decision, replies: Sequence[Reply | Exception] = ()) -> None:
        self.tape: list[str] = []
        self.opa = FakeDecisionPoint(self.tape, decisions or (LIMITED,))
        self.counters = FakeCounters(self.tape)
        self.approvals = FakeApprovals(self.tape)
        self.states = FakeStates(self.tape)
        self.audit = FakeAudit(self.tape)
        self.upstream = FakeUpstream(self.tape, replies or (Reply(200, body=question()), Reply(200, body=DONE)))
        self.warned: list[SidecarError] = []
        self.clock = FakeClock()
        inventory = Inventory()
        judgement = Judgement(self.opa, self.counters, self.approvals)
        numbers = count()
        fresh = lambda size: next(numbers).to_bytes(size, "big")  # noqa: E731
        self.exchange = Exchange(
            self.upstream,
            judgement,
            Relay(Visibility(self.opa, inventory, generation=lambda: 1, ttl_cap_ms=1), self.warned.append),
            inventory,
            self.audit,
            self.clock,
            warn=self.warned.append,
            rounds=Rounds(judgement, self.approvals, Seal(b"key"), self.states, fresh),
        )

    async def handle(self, raw: bytes, grant: str = "g", server: str = "s") -> Reply:
        """The answer to a line; what was on the tape before is gone."""
        self.tape.clear()
        caller = Caller(Grant(grant, server, "p"), Asker(policy="p", server=server, grant=grant))
        return await self.exchange.handle(raw, caller, None)

    async def begun(self) -> str:
        """The state of a first round."""
        return state_of(await self.handle(call()))

    @property
    def sent(self) -> Any:
        return json.loads(self.upstream.sent[-1].raw)["params"]

    @property
    def last(self) -> AuditRecord:
        return self.audit.records[-1]

    @property
    def counted(self) -> Decimal:
        return sum(self.counters.values.values(), Decimal(0))


def state_of(reply: Reply) -> str:
    assert reply.body is not None
    result = json.loads(reply.body)["result"]
    assert result["resultType"] == "input_required"
    return str(result["requestState"])


def error_of(reply: Reply) -> Any:
    assert reply.body is not None
    return json.loads(reply.body)["error"]


async def test_two_rounds_are_judged_twice_and_counted_once() -> None:
    desk = Desk()
    state = await desk.begun()
    assert desk.tape == ROUND_1
    assert (desk.last.result, state.startswith("rg1.")) == ("input_required", True)
    reply = await desk.handle(call(state))
    assert desk.tape == ["ask", "use", "forward", "record"]
    assert (reply.body, desk.last.result, desk.counted) == (DONE, "result", 1)


@pytest.mark.parametrize("theirs", ["theirs", "", {"odd": [1.0]}, None])
async def test_server_gets_back_what_it_gave(theirs: Any) -> None:
    desk = Desk(replies=[Reply(200, body=question(theirs)), Reply(200, body=DONE)])
    state = await desk.begun()
    raw = call(state)
    await desk.handle(raw)
    assert desk.sent.get("requestState", None) == theirs
    assert desk.sent["inputResponses"] == {"q": {"roots": []}}
    expected = raw.replace(json.dumps(state).encode(), json.dumps(theirs).encode())
    if theirs is not None:
        assert desk.upstream.sent[-1].raw == expected


async def test_question_that_comes_as_a_stream_is_sealed_with_all_else_of_its_event() -> None:
    desk = Desk(replies=[Reply(200, events=events(question())), Reply(200, body=DONE)])  # type: ignore[arg-type]
    reply = await desk.handle(call())
    assert reply.events is not None
    (event,) = [event async for event in reply.events]
    state = json.loads(event.data)["result"]["requestState"]
    assert isinstance(event, Event)
    assert event.raw == b"data: " + event.data + b"\n\n"
    await desk.handle(call(state))
    assert desk.counted == 1


async def test_many_rounds_count_once() -> None:
    desk = Desk(replies=[Reply(200, body=question(n)) for n in "abc"] + [Reply(200, body=DONE)])
    state = await desk.begun()
    for number in "abc":
        reply = await desk.handle(call(state))
        assert desk.sent["requestState"] == number
        state = "" if reply.body == DONE else state_of(reply)
    assert (state, desk.counted) == ("", 1)


async def test_state_is_good_for_one_round() -> None:
    desk = Desk()
    state = await desk.begun()
    await desk.handle(call(state))
    reply = await desk.handle(call(state))
    assert desk.tape == ["ask", "use", "record"]
    assert (reply.status, error_of(reply)["code"]) == (400, -32602)
    assert (desk.last.outcome, desk.last.cause) == ("refused", "state_refused")
    assert len(desk.upstream.sent) == 2


@pytest.mark.parametrize(
    ("raw", "grant", "server"),
    [
        ({"tool": "read"}, "g", "s"),
        ({"arguments": {"n": 2}}, "g", "s"),
        ({}, "other", "s"),
        ({}, "g", "other"),
    ],
)
async def test_state_of_another_call_is_refused_before_anything_is_asked(
    raw: dict[str, Any], grant: str, server: str
) -> None:
    desk = Desk()
    state = await desk.begun()
    reply = await desk.handle(call(state, **raw), grant, server)
    assert (error_of(reply)["code"], desk.tape) == (-32602, ["record"])


async def test_state_is_of_the_same_call_however_its_arguments_are_written() -> None:
    desk = Desk()
    state = await desk.begun()
    await desk.handle(call(state).replace(b'{"n": 1}', b'{ "n" :1.0}'))
    assert desk.last.result == "result"


async def test_state_that_expired_is_refused() -> None:
    desk = Desk()
    state = await desk.begun()
    desk.clock.at += timedelta(seconds=STATE_S)
    assert error_of(await desk.handle(call(state)))["code"] == -32602


async def test_state_of_nobody_knows_makes_a_call_like_any_other() -> None:
    desk = Desk()
    raw = call("theirs")
    await desk.handle(raw)
    assert (desk.tape, desk.upstream.sent[-1].raw) == (ROUND_1, raw)


async def test_answer_to_the_gateway_that_nobody_asked_for_is_taken_off() -> None:
    desk = Desk()
    await desk.handle(call(inputResponses={"dev.regate/approval": {"action": "accept"}}))
    assert "inputResponses" not in desk.sent
    assert desk.tape == ROUND_1


async def test_policy_edited_between_rounds_denies_and_leaves_the_state() -> None:
    desk = Desk(LIMITED, DENIED, LIMITED)
    state = await desk.begun()
    assert b"isError" in ((await desk.handle(call(state))).body or b"")
    assert desk.tape == ["ask", "record"]
    await desk.handle(call(state))
    assert (desk.last.result, desk.counted) == ("result", 1)


async def test_limit_that_came_between_rounds_is_counted() -> None:
    desk = Desk(ALLOWED, LIMITED)
    state = await desk.begun()
    assert desk.counted == 0
    await desk.handle(call(state))
    assert desk.tape == ["ask", "reserve", "use", "forward", "record"]
    assert desk.counted == 1


async def test_first_round_that_surely_did_not_run_is_given_back() -> None:
    desk = Desk(replies=[Reply(200, body=ERROR)])
    await desk.handle(call())
    assert desk.counted == 0


@pytest.mark.parametrize("failure", [Unreachable("no"), Reply(400, body=b""), Reply(200, body=ERROR)])
async def test_later_round_that_surely_did_not_run_gives_back_its_state_and_no_limit(
    failure: Reply | Exception,
) -> None:
    desk = Desk(replies=[Reply(200, body=question()), failure, Reply(200, body=DONE)])
    state = await desk.begun()
    await desk.handle(call(state))
    assert desk.tape == ["ask", "use", "forward", "unuse", "record"]
    await desk.handle(call(state))
    assert (desk.last.result, desk.counted) == ("result", 1)


async def test_later_round_that_may_have_run_keeps_its_state_used() -> None:
    desk = Desk(replies=[Reply(200, body=question()), Reply(502, body=b"")])
    state = await desk.begun()
    await desk.handle(call(state))
    assert desk.tape == ["ask", "use", "forward", "record"]
    assert error_of(await desk.handle(call(state)))["code"] == -32602


async def test_replayed_round_gives_back_what_it_took_itself() -> None:
    desk = Desk(ALLOWED, LIMITED)
    state = await desk.begun()
    await desk.handle(call(state))
    await desk.handle(call(state))
    assert desk.tape == ["ask", "reserve", "use", "rollback", "record"]
    assert desk.counted == 1


async def test_store_that_fails_denies_the_round() -> None:
    desk = Desk(ALLOWED, LIMITED)
    state = await desk.begun()
    desk.states.error = StoreError("gone")
    reply = await desk.handle(call(state))
    assert desk.tape == ["ask", "reserve", "use", "rollback", "record"]
    assert json.loads(reply.body or b"")["result"]["_meta"]["dev.regate/decision"]["rule"] == UNAVAILABLE
    assert desk.last.cause == "store: gone"


# Approvals


async def approved(desk: Desk) -> str:
    """The state of a first round that used up an approval."""
    await desk.handle(call())
    desk.approvals.held[-1].state = "approved"
    return await desk.begun()


async def test_approved_call_is_approved_once_for_all_its_rounds() -> None:
    desk = Desk(ASKS, ASKS, LIMITED, ASKS, LIMITED)
    state = await approved(desk)
    assert desk.tape == ["ask", "find", "ask", "reserve", "take", "forward", "record"]
    await desk.handle(call(state))
    assert desk.tape == ["ask", "ask", "use", "forward", "record"]
    assert (desk.last.result, desk.last.approval, desk.counted) == ("result", "apr_1", 1)


async def test_approval_goes_on_through_further_rounds() -> None:
    desk = Desk(
        *(ASKS, ASKS, LIMITED, ASKS, LIMITED, ASKS, LIMITED),
        replies=[Reply(200, body=question()), Reply(200, body=question()), Reply(200, body=DONE)],
    )
    state = state_of(await desk.handle(call(await approved(desk))))
    await desk.handle(call(state))
    assert (desk.last.result, desk.last.approval, desk.counted) == ("result", "apr_1", 1)


async def test_later_round_that_surely_did_not_run_does_not_give_back_the_approval() -> None:
    desk = Desk(ASKS, ASKS, LIMITED, ASKS, LIMITED, replies=[Reply(200, body=question()), Unreachable("no")])
    await desk.handle(call(await approved(desk)))
    assert desk.tape == ["ask", "ask", "use", "forward", "unuse", "record"]
    assert desk.approvals.held[0].state == "used"


async def test_another_rule_that_asks_needs_another_approval() -> None:
    desk = Desk(ASKS, ASKS, LIMITED, ASKS_ELSE)
    await desk.handle(call(await approved(desk)))
    assert desk.tape == ["ask", "find", "open", "record"]
    assert (desk.last.outcome, desk.last.approval) == ("approval_required", "apr_2")


async def test_approval_that_came_between_rounds_is_used_and_nothing_counted_twice() -> None:
    desk = Desk(LIMITED, ASKS, ASKS, LIMITED)
    state = await desk.begun()
    await desk.handle(call(state))
    desk.approvals.held[-1].state = "approved"
    await desk.handle(call(state))
    assert desk.tape == ["ask", "find", "ask", "take", "use", "forward", "record"]
    assert (desk.last.result, desk.counted) == ("result", 1)


async def test_approved_round_that_is_denied_by_more_than_the_approval_lifts_stays_denied() -> None:
    desk = Desk(ASKS, ASKS, LIMITED, ASKS, DENIED)
    state = await approved(desk)
    await desk.handle(call(state))
    assert desk.tape == ["ask", "ask", "record"]
    assert desk.last.outcome == "deny"


# What the gateway leaves alone


@pytest.mark.parametrize(
    "answer",
    [
        b'{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":"a","requestState":"b"}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","x":1,"x":2}}',
    ],
)
async def test_question_that_two_readers_may_take_for_two_passes_as_it_came(answer: bytes) -> None:
    desk = Desk(replies=[Reply(200, body=answer)])
    assert (await desk.handle(call())).body == answer


async def test_question_in_the_legacy_era_passes_as_it_came() -> None:
    desk = Desk()
    raw = call().replace(b"io.modelcontextprotocol/", b"x/")
    assert (await desk.handle(raw)).body == question()
