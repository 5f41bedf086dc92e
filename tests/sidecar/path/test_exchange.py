"""Source: mcp-gateway.md G17, G29–G32, G51, G53; policy-semantics sections 2, 7 and 12."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from sidecar.core.decision import UNAVAILABLE, Decision, Limit
from sidecar.core.inventory import Inventory
from sidecar.core.limits import Claim
from sidecar.core.query import Asker
from sidecar.core.record import AuditRecord
from sidecar.errors import (
    Broken,
    DecisionOffShape,
    DecisionUndefined,
    OpaUnreachable,
    SidecarError,
    StoreError,
    TimedOut,
    Unreachable,
)
from sidecar.path.exchange import Exchange
from sidecar.path.judgement import WITHOUT_POLICY, Caller, Judgement
from sidecar.path.relay import Relay
from sidecar.path.visibility import Visibility
from sidecar.ports import Event, Grant, Headers, Outgoing, Refused, Reply, Reservation
from tests.fakes import ALLOWED, FakeApprovals, FakeAudit, FakeClock, FakeCounters, FakeDecisionPoint, FakeUpstream

LIMIT = Limit("/tools/pay/limits/n", "Too many.", "n", "minute", Decimal(1), "grant", [Decimal(1)])
LIMITED = Decision("allow", "", "", "sha256:one", [LIMIT])
DENIED = Decision("deny", "/tools/pay/deny_if/always", "Not today.", "sha256:one", ())
ASKS = Decision("approval_required", "/r", "Ask first.", "sha256:one", (), 60)
JSON_TYPE: Headers = ((b"content-type", b"application/json"),)
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
TOOL_ERROR = b'{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}'
ERROR = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}'
PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}'
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def call(arguments: Any = None, **params: Any) -> bytes:
    members = {"name": "pay", "arguments": {"amount": 5, "to": "secret"} if arguments is None else arguments, **params}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": members}).encode()


def message(method: str, id: int | str | None = 1, **params: Any) -> bytes:
    members: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    return json.dumps(members if id is None else {**members, "id": id}).encode()


class Desk:
    """An exchange over fakes that share one tape."""

    def __init__(self, *decisions: Decision, replies: Sequence[Reply | Exception] = (), policy: str | None = "p"):
        self.tape: list[str] = []
        self.opa = FakeDecisionPoint(self.tape, decisions or (ALLOWED,))
        self.counters = FakeCounters(self.tape)
        self.approvals = FakeApprovals(self.tape)
        self.audit = FakeAudit(self.tape)
        self.upstream = FakeUpstream(self.tape, replies or (Reply(200, JSON_TYPE, body=RESULT),))
        self.warned: list[SidecarError] = []
        self.inventory = Inventory()
        self.caller = Caller(Grant("g", "s", policy), Asker(policy=policy, server="s", grant="g"), "their-session")
        self.build()

    def build(self, *, alone: bool = True) -> None:
        visibility = Visibility(self.opa, self.inventory, generation=lambda: 1, ttl_cap_ms=1000)
        self.exchange = Exchange(
            self.upstream,
            Judgement(self.opa, self.counters, self.approvals),
            Relay(visibility, self.warned.append),
            self.inventory,
            self.audit,
            FakeClock(),
            warn=self.warned.append,
            alone=lambda: alone,
        )

    async def handle(self, raw: bytes, headers: dict[bytes, list[bytes]] | None = None) -> Reply:
        return await self.exchange.handle(raw, self.caller, headers or {}, ((b"accept", b"*/*"),))

    @property
    def record(self) -> AuditRecord:
        assert len(self.audit.records) == 1
        return self.audit.records[0]

    @property
    def counted(self) -> Decimal:
        return sum(self.counters.values.values(), Decimal(0))


def parsed(reply: Reply) -> Any:
    assert reply.body is not None
    return json.loads(reply.body)


def denial(reply: Reply) -> dict[str, Any]:
    """The decision in a denial that is a tool result."""
    assert (reply.status, reply.headers) == (200, JSON_TYPE)
    result = parsed(reply)["result"]
    assert result["isError"] is True
    assert "structuredContent" not in result
    return {"text": result["content"][0]["text"], **result["_meta"]["dev.regate/decision"]}


async def drained(reply: Reply) -> list[Event]:
    assert reply.events is not None
    return [event async for event in reply.events]


def stream(*messages: bytes, then: Exception | None = None) -> AsyncGenerator[Event, None]:
    async def events() -> AsyncGenerator[Event, None]:
        for data in messages:
            yield Event(data, b"data: " + data + b"\n\n")
        if then is not None:
            raise then

    return events()


# Calls of tools that the grant does not see


def unseeing(desk: Desk) -> Desk:
    desk.caller = Caller(
        Grant("g", "s", "p", hidden_calls="unknown"), Asker(policy="p", server="s", grant="g"), "their-session"
    )
    return desk


async def test_call_of_a_hidden_tool_is_told_that_there_is_none_and_recorded_as_it_is() -> None:
    desk = unseeing(Desk(Decision("deny", "(hidden)", 'Tool "pay" is hidden by policy', "sha256:one", ())))
    reply = await desk.handle(call())
    assert (reply.status, parsed(reply)["error"]) == (200, {"code": -32602, "message": "Unknown tool: pay"})
    assert desk.tape == ["ask", "record"]
    assert (desk.record.outcome, desk.record.rule) == ("deny", "(hidden)")


async def test_refusal_that_rests_on_a_hidden_tool_is_told_that_there_is_none() -> None:
    desk = unseeing(Desk(Decision("deny", "(hidden)", "Hidden.", "sha256:one", ())))
    listed = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"pay","inputSchema":{"properties":{"amount":{}}}}]}}'
    desk.inventory.learn(listed)
    reply = await desk.handle(call({"AMOUNT": 1}))
    assert parsed(reply)["error"]["message"] == "Unknown tool: pay"
    assert (desk.record.outcome, desk.record.cause) == ("refused", "malformed")
    assert desk.tape == ["record", "ask"]


@pytest.mark.parametrize("fails", ["opa", "audit"])
async def test_refusal_that_cannot_be_decided_is_that_of_any_call(fails: str) -> None:
    desk = unseeing(Desk())
    desk.opa.error = OpaUnreachable("no") if fails == "opa" else None
    desk.audit.healthy = fails != "audit"
    reply = await desk.handle(call(name="pay me"))
    assert denial(reply)["rule"] == UNAVAILABLE


async def test_refusal_of_a_seen_tools_call_stays_as_it_is() -> None:
    desk = unseeing(Desk())
    desk.inventory.learn(
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"pay","inputSchema":{"properties":{"amount":{}}}}]}}'
    )
    assert "looks like" in parsed(await desk.handle(call({"AMOUNT": 1})))["error"]["message"]


# What is forwarded


async def test_call_allowed_is_forwarded_byte_for_byte_and_recorded_once() -> None:
    desk = Desk(LIMITED)
    raw = b' {"id" : 1, "jsonrpc":"2.0","params":{"arguments":{"a":1.0} ,"name":"pay"},"method":"tools/call"}\n'
    reply = await desk.handle(raw)
    assert desk.tape == ["ask", "reserve", "forward", "record"]
    assert desk.upstream.sent == [Outgoing(raw, "tools/call", 1, ((b"accept", b"*/*"),), "their-session", modern=False)]
    assert reply.body == RESULT


async def test_call_record_holds_keys_and_never_values() -> None:
    desk = Desk(LIMITED)
    await desk.handle(call())
    record = desk.record
    assert (record.at, record.server, record.grant) == ("2026-03-01T12:00:00.000Z", "s", "g")
    assert (record.method, record.tool, record.argument_keys) == ("tools/call", "pay", ("amount", "to"))
    assert (record.policy, record.revision, record.session) == ("p", "sha256:one", "their-session")
    assert (record.outcome, record.rule, record.message, record.result) == ("allow", "", "", "result")
    assert record.duration_ms >= 0
    assert "secret" not in repr(record)


# How a call ends


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (Reply(400, JSON_TYPE, body=b"no"), "http_error"),
        (Reply(404, JSON_TYPE, body=RESULT), "http_error"),
        (Reply(499, body=b""), "http_error"),
        (Reply(401, body=b""), "http_error"),
        (Reply(403, body=b""), "http_error"),
        (Reply(422, events=stream(ERROR)), "http_error"),
        (Reply(200, JSON_TYPE, body=ERROR), "error"),
        (Reply(202, JSON_TYPE, body=ERROR), "error"),
        (Unreachable("no connection"), "unreachable"),
    ],
)
async def test_call_that_surely_did_not_run_is_given_back(reply: Reply | Exception, result: str) -> None:
    desk = Desk(LIMITED, replies=[reply])
    answer = await desk.handle(call())
    assert desk.tape == ["ask", "reserve", "forward", "rollback", "record"]
    assert (desk.counted, desk.record.result, desk.record.outcome) == (0, result, "allow")
    await answer.drop()


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (Reply(400, JSON_TYPE, body=b"no"), True),
        (Reply(200, JSON_TYPE, body=ERROR), True),
        (Unreachable("no connection"), False),
    ],
)
async def test_error_before_one_of_several_gateways_is_counted_for_a_cancellation_may_have_come_by_another(
    reply: Reply | Exception, kept: bool
) -> None:
    desk = Desk(LIMITED, replies=[reply])
    desk.build(alone=False)
    await desk.handle(call())
    assert ("rollback" in desk.tape, desk.record.result) == (not kept, "unknown" if kept else "unreachable")


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (Reply(200, JSON_TYPE, body=RESULT), "result"),
        (Reply(200, JSON_TYPE, body=TOOL_ERROR), "tool_error"),
        (Reply(500, JSON_TYPE, body=b"oops"), "unknown"),
        (Reply(500, JSON_TYPE, body=ERROR), "unknown"),
        (Reply(503, JSON_TYPE, body=RESULT), "result"),
        (Reply(502, events=stream(ERROR)), "unknown"),
        (Reply(202, body=b""), "unknown"),
        (Reply(307, body=b""), "unknown"),
        (Reply(200, JSON_TYPE, body=b"<html>"), "unknown"),
        (Reply(200, JSON_TYPE, body=ERROR.replace(b'"id":1', b'"id":2')), "unknown"),
        (Reply(200, JSON_TYPE, body=b"[" + ERROR + b"]"), "unknown"),
        (TimedOut("late"), "unknown"),
        (Broken("cut off"), "unknown"),
    ],
)
async def test_call_that_may_have_run_is_kept(reply: Reply | Exception, result: str) -> None:
    desk = Desk(LIMITED, replies=[reply])
    answer = await desk.handle(call())
    assert desk.tape == ["ask", "reserve", "forward", "record"]
    assert (desk.counted, desk.record.result) == (1, result)
    await answer.drop()


@pytest.mark.parametrize(
    ("messages", "tape", "result"),
    [
        ((PROGRESS, RESULT), ["record"], "result"),
        ((TOOL_ERROR,), ["record"], "tool_error"),
        ((PROGRESS, ERROR), ["record"], "unknown"),
        ((b"", PROGRESS), ["record"], "unknown"),
        ((), ["record"], "unknown"),
        ((ERROR, RESULT), ["rollback", "record"], "error"),
        ((RESULT, ERROR), ["record"], "result"),
        ((ERROR.replace(b'"id":1', b'"id":"1"'),), ["record"], "unknown"),
    ],
)
async def test_stream_first_answer_of_the_call_settles_it(
    messages: tuple[bytes, ...], tape: list[str], result: str
) -> None:
    desk = Desk(LIMITED, replies=[Reply(200, events=stream(*messages))])
    reply = await desk.handle(call())
    assert desk.tape == ["ask", "reserve", "forward"]
    assert [event.data for event in await drained(reply)] == list(messages)
    assert desk.tape[3:] == tape
    assert desk.record.result == result


async def test_stream_is_settled_before_the_client_has_the_answer() -> None:
    desk = Desk(LIMITED, replies=[Reply(200, events=stream(ERROR, PROGRESS))])
    reply = await desk.handle(call())
    assert reply.events is not None
    assert (await anext(reply.events)).data == ERROR
    assert desk.tape[3:] == ["rollback", "record"]
    await reply.drop()
    assert len(desk.audit.records) == 1


async def test_stream_lost_midway_ends_for_the_client_and_keeps_the_reservation() -> None:
    desk = Desk(LIMITED, replies=[Reply(200, events=stream(PROGRESS, then=Broken("cut off")))])
    reply = await desk.handle(call())
    assert [event.data for event in await drained(reply)] == [PROGRESS]
    assert (desk.record.result, desk.counted) == ("unknown", 1)
    assert [error.code for error in desk.warned] == ["upstream_broken"]


async def test_stream_with_an_error_in_the_servers_stead_proves_nothing_of_the_call() -> None:
    async def events() -> AsyncGenerator[Event, None]:
        yield Event(ERROR, fault="upstream_broken: the server ended")

    desk = Desk(LIMITED, replies=[Reply(200, events=events())])
    assert [event.data for event in await drained(await desk.handle(call()))] == [ERROR]
    assert (desk.record.result, desk.record.cause, desk.counted) == ("unknown", "upstream_broken: the server ended", 1)


async def test_stream_client_hangs_up_midway_keeps_the_reservation_and_closes_the_upstream() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[Event, None]:
        try:
            while True:
                yield Event(PROGRESS, b"data: x\n\n")
        finally:
            closed.set()

    desk = Desk(LIMITED, replies=[Reply(200, events=endless())])
    reply = await desk.handle(call())
    assert reply.events is not None
    await anext(reply.events)
    await reply.drop()
    assert closed.is_set()
    assert (desk.record.result, desk.counted) == ("unknown", 1)


class Hanging(FakeUpstream):
    """Never answers, and notes when it is given up."""

    reached = asyncio.Event()

    async def send(self, message: Outgoing) -> Reply:
        self.tape.append("forward")
        self.reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.tape.append("cancelled")
        raise AssertionError


async def test_call_client_hangs_up_while_the_upstream_works_keeps_the_reservation() -> None:
    desk = Desk(LIMITED)
    desk.upstream = Hanging(desk.tape)
    desk.upstream.reached = asyncio.Event()
    desk.build()
    task = asyncio.create_task(desk.handle(call()))
    async with asyncio.timeout(5):
        await desk.upstream.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert desk.tape == ["ask", "reserve", "forward", "cancelled", "record"]
    assert (desk.record.result, desk.counted) == ("unknown", 1)


async def test_call_client_hangs_up_while_opa_decides_is_not_forwarded_and_leaves_a_record() -> None:
    reached = asyncio.Event()

    class Slow(FakeDecisionPoint):
        async def decide(self, query: bytes) -> Decision:
            reached.set()
            await asyncio.Event().wait()
            return ALLOWED

    desk = Desk()
    desk.opa = Slow(desk.tape)
    desk.build()
    task = asyncio.create_task(desk.handle(call()))
    async with asyncio.timeout(5):
        await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert desk.tape == ["record"]
    assert (desk.record.outcome, desk.record.cause, desk.record.tool) == ("refused", "given_up", "pay")


async def test_call_upstream_fails_in_an_unforeseen_way_keeps_the_reservation_and_leaves_a_record() -> None:
    desk = Desk(LIMITED, replies=[ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        await desk.handle(call())
    assert desk.tape == ["ask", "reserve", "forward", "record"]
    assert (desk.record.result, desk.counted) == ("unknown", 1)


@pytest.mark.parametrize(
    ("error", "status"), [(Unreachable("down"), 502), (Broken("cut off"), 502), (TimedOut("late"), 504)]
)
async def test_call_upstream_fails_is_told_as_a_json_rpc_error_and_in_the_record(
    error: SidecarError, status: int
) -> None:
    desk = Desk(LIMITED, replies=[error])
    reply = await desk.handle(call())
    assert (reply.status, reply.headers) == (status, JSON_TYPE)
    assert parsed(reply) == {"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": str(error)}}
    assert desk.record.cause == f"{error.code}: {error}"
    assert desk.warned == [error]


async def test_call_that_cannot_be_given_back_says_so_in_the_record() -> None:
    class Failing(FakeCounters):
        async def rollback(self, reservation: Reservation, now: datetime) -> None:
            self.tape.append("rollback")
            raise StoreError("disk full")

    desk = Desk(LIMITED, replies=[Unreachable("down")])
    desk.counters = Failing(desk.tape)
    desk.build()
    reply = await desk.handle(call())
    assert reply.status == 502
    assert desk.record.cause == "upstream_unreachable: down store: not given back: disk full"
    assert [error.code for error in desk.warned] == ["upstream_unreachable", "store"]


async def test_call_given_up_while_it_is_given_back_still_leaves_a_record() -> None:
    class Stuck(FakeCounters):
        async def rollback(self, reservation: Reservation, now: datetime) -> None:
            raise asyncio.CancelledError

    desk = Desk(LIMITED, replies=[Reply(200, events=stream(ERROR))])
    desk.counters = Stuck(desk.tape)
    desk.build()
    reply = await desk.handle(call())
    with pytest.raises(asyncio.CancelledError):
        await drained(reply)
    assert (desk.record.result, desk.record.cause) == ("error", "given_up: not given back")


async def test_call_approved_that_did_not_run_gives_the_approval_back() -> None:
    desk = Desk(ASKS, ASKS, LIMITED, replies=[Unreachable("down")])
    await desk.handle(call())
    desk.approvals.held[0].state = "approved"
    desk.tape.clear()
    await desk.handle(call())
    assert desk.tape == ["ask", "find", "ask", "reserve", "take", "forward", "rollback", "give_back", "record"]
    assert desk.approvals.held[0].state == "approved"
    assert desk.audit.records[-1].approval == "apr_1"


async def test_call_approved_that_ran_uses_the_approval_up() -> None:
    desk = Desk(ASKS, ASKS, ALLOWED)
    await desk.handle(call())
    desk.approvals.held[0].state = "approved"
    await desk.handle(call())
    assert desk.approvals.held[0].state == "used"


# Denials


async def test_call_denied_is_answered_and_not_forwarded() -> None:
    desk = Desk(DENIED)
    told = denial(await desk.handle(call()))
    assert desk.tape == ["ask", "record"]
    assert told == {
        "text": "[POLICY DENIED] Not today.",
        "outcome": "deny",
        "rule": "/tools/pay/deny_if/always",
        "policy": "p@sha256:one",
    }
    assert (desk.record.outcome, desk.record.rule, desk.record.message) == ("deny", DENIED.rule, "Not today.")
    assert (desk.record.cause, desk.record.result) == ("", "")


@pytest.mark.parametrize("id_raw", [b"1", b'"a"', b'"\\u0061"', b"0", b"12345678901234567890123"])
async def test_denial_carries_the_id_as_it_was_written(id_raw: bytes) -> None:
    reply = await Desk(DENIED).handle(call().replace(b'"id": 1', b'"id": ' + id_raw))
    assert reply.body is not None
    assert reply.body.startswith(b'{"jsonrpc":"2.0","id":%b,"result":{' % id_raw)


async def test_call_over_its_limit_is_told_when_to_return() -> None:
    desk = Desk(LIMITED)
    await desk.handle(call())
    told = denial(await desk.handle(call()))
    assert (told["rule"], told["retry_at"]) == (LIMIT.rule, "2026-03-01T12:01:00Z")
    assert told["text"] == "[POLICY DENIED] Too many."
    assert desk.tape == ["ask", "reserve", "forward", "record", "ask", "reserve", "record"]


async def test_call_that_needs_approval_is_told_its_id_beside_the_message() -> None:
    desk = Desk(ASKS)
    told = denial(await desk.handle(call()))
    assert told["text"] == "[POLICY DENIED] Ask first. Approval id apr_1; retry the same call once approved."
    assert (told["outcome"], told["approval"]) == ("approval_required", "apr_1")
    assert desk.tape == ["ask", "find", "open", "record"]
    assert (desk.record.outcome, desk.record.approval, desk.record.message) == (
        "approval_required",
        "apr_1",
        "Ask first.",
    )


async def test_call_whose_approval_was_refused_is_not_invited_to_retry() -> None:
    refused = Decision("deny", "/r", "Approval was refused.", "sha256:one", ())
    desk = Desk(ASKS, ASKS, refused)
    await desk.handle(call())
    desk.approvals.held[0].state = "refused"
    told = denial(await desk.handle(call()))
    assert told["text"] == "[POLICY DENIED] Approval was refused."
    assert "approval" not in told
    assert desk.audit.records[-1].approval == "apr_1"
    assert "forward" not in desk.tape


async def test_denial_modern_is_a_complete_result_and_legacy_names_no_type() -> None:
    headers = {
        b"mcp-protocol-version": [b"2026-07-28"],
        b"mcp-method": [b"tools/call"],
        b"mcp-name": [b"pay"],
    }
    assert parsed(await Desk(DENIED).handle(call(_meta=META), headers))["result"]["resultType"] == "complete"
    assert "resultType" not in parsed(await Desk(DENIED).handle(call()))["result"]


@pytest.mark.parametrize(
    ("decision", "error", "code"), [(DENIED, None, 40301), (ASKS, None, 40301), (ALLOWED, OpaUnreachable("x"), 50301)]
)
async def test_denial_of_a_task_is_an_error(decision: Decision, error: Exception | None, code: int) -> None:
    desk = Desk(decision)
    desk.opa.error = error
    reply = await desk.handle(call(task={"ttl": 1}))
    assert (reply.status, parsed(reply)["error"]["code"], parsed(reply)["id"]) == (200, code, 1)
    assert parsed(reply)["error"]["message"].startswith("[POLICY DENIED] ")
    assert "forward" not in desk.tape


@pytest.mark.parametrize("error", [OpaUnreachable("dead"), DecisionUndefined("none"), DecisionOffShape("odd")])
async def test_call_opa_fails_is_denied_as_unavailable_with_the_cause_in_the_record_only(error: SidecarError) -> None:
    desk = Desk()
    desk.opa.error = error
    told = denial(await desk.handle(call()))
    assert told == {
        "text": "[POLICY DENIED] Policy decision unavailable.",
        "outcome": "deny",
        "rule": UNAVAILABLE,
    }
    assert desk.tape == ["ask", "record"]
    assert (desk.record.rule, desk.record.cause) == (UNAVAILABLE, f"{error.code}: {error}")


@pytest.mark.parametrize("store", ["counters", "approvals"])
async def test_call_store_fails_is_denied_as_unavailable(store: str) -> None:
    desk = Desk(LIMITED if store == "counters" else ASKS)
    getattr(desk, store).error = StoreError("gone")
    assert denial(await desk.handle(call()))["rule"] == UNAVAILABLE
    assert desk.record.cause == "store: gone"
    assert "forward" not in desk.tape


async def test_call_audit_cannot_be_written_is_denied_before_anything_is_asked() -> None:
    desk = Desk(LIMITED)
    desk.audit.healthy = False
    assert denial(await desk.handle(call()))["rule"] == UNAVAILABLE
    assert desk.tape == ["record"]
    assert desk.record.cause == "store: the audit log cannot be written"


async def test_call_policy_that_opa_does_not_hold_is_unavailable_not_without_policy() -> None:
    desk = Desk(WITHOUT_POLICY)
    assert denial(await desk.handle(call()))["rule"] == UNAVAILABLE
    assert desk.record.cause.startswith("decision_undefined: ")


# A grant without a policy


async def test_no_policy_call_is_denied() -> None:
    desk = Desk(WITHOUT_POLICY, policy=None)
    told = denial(await desk.handle(call()))
    assert told == {
        "text": "[POLICY DENIED] No policy is attached to this grant.",
        "outcome": "deny",
        "rule": "(no policy)",
    }
    assert (desk.record.policy, desk.record.rule, "forward" in desk.tape) == ("", "(no policy)", False)


@pytest.mark.parametrize("method", ["initialize", "ping", "server/discover"])
async def test_no_policy_harmless_method_passes(method: str) -> None:
    desk = Desk(policy=None)
    assert (await desk.handle(message(method))).body == RESULT
    assert desk.tape == ["forward"]


async def test_no_policy_notification_passes() -> None:
    desk = Desk(policy=None, replies=[Reply(202, body=b"")])
    assert (await desk.handle(message("notifications/initialized", None))).status == 202
    assert desk.tape == ["forward"]


@pytest.mark.parametrize(
    "method", ["resources/list", "resources/read", "prompts/get", "tasks/result", "x/unknown", "subscriptions/listen"]
)
async def test_no_policy_other_method_is_an_error_and_recorded(method: str) -> None:
    desk = Desk(policy=None)
    reply = await desk.handle(message(method, "q"))
    assert reply.status == 200
    assert parsed(reply) == {
        "jsonrpc": "2.0",
        "id": "q",
        "error": {"code": 40301, "message": "[POLICY DENIED] No policy is attached to this grant."},
    }
    assert desk.tape == ["record"]
    assert (desk.record.method, desk.record.outcome, desk.record.rule) == (method, "deny", "(no policy)")


async def test_no_policy_answer_to_the_server_is_not_forwarded() -> None:
    desk = Desk(policy=None)
    await desk.handle(b'{"jsonrpc":"2.0","id":7,"result":{}}')
    assert "forward" not in desk.tape


async def test_no_policy_list_is_empty() -> None:
    listed = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"pay","inputSchema":{}}]}}'
    desk = Desk(policy=None, replies=[Reply(200, JSON_TYPE, body=listed)])
    desk.opa.revision = ""
    assert parsed(await desk.handle(message("tools/list")))["result"]["tools"] == []


# A grant that polices all methods


def closed_desk(*replies: Reply) -> Desk:
    desk = Desk(replies=replies)
    desk.caller = msgspec.structs.replace(desk.caller, grant=Grant("g", "s", "p", "hidden", "all"))
    return desk


@pytest.mark.parametrize("method", ["resources/list", "prompts/get", "completion/complete", "x/unknown"])
async def test_all_methods_policed_what_is_not_about_tools_is_an_error_and_recorded(method: str) -> None:
    desk = closed_desk()
    reply = await desk.handle(message(method, "q"))
    assert (reply.status, parsed(reply)["error"]["code"]) == (200, 40301)
    assert desk.tape == ["record"]
    assert (desk.record.method, desk.record.outcome, desk.record.rule) == (method, "deny", "(closed)")


@pytest.mark.parametrize("method", ["initialize", "ping", "tools/list", "tasks/get", "subscriptions/listen"])
async def test_all_methods_policed_what_tools_need_passes(method: str) -> None:
    desk = closed_desk()
    assert (await desk.handle(message(method))).body == RESULT


async def test_all_methods_policed_unknown_notification_is_refused() -> None:
    desk = closed_desk()
    assert (await desk.handle(message("notifications/x", None))).status == 400
    assert "forward" not in desk.tape


async def test_all_methods_policed_answer_to_the_server_is_forwarded() -> None:
    desk = closed_desk(Reply(202, body=b""))
    await desk.handle(b'{"jsonrpc":"2.0","id":7,"result":{}}')
    assert desk.tape == ["forward"]


# What is not a call


@pytest.mark.parametrize(
    ("raw", "status", "code", "cause"),
    [
        (b"", 400, -32700, "malformed"),
        (b"\xff", 400, -32700, "malformed"),
        (b"[]", 400, -32600, "batch_refused"),
        (b"[" + call() + b"]", 400, -32600, "batch_refused"),
        (call().replace(b'"id": 1, ', b""), 400, -32600, "malformed"),
        (call().replace(b'"name": "pay"', b'"name": "pay", "name": "other"'), 400, -32600, "malformed"),
        (call().replace(b'"name": "pay"', b'"name": "pay ", "x": 1'), 400, -32602, "malformed"),
        (call([1]), 400, -32602, "malformed"),
        (message("Tools/Call", name="pay"), 400, -32601, "malformed"),
        (message("tools/call/", name="pay"), 400, -32601, "malformed"),
        (message(" tools/list"), 400, -32601, "malformed"),
    ],
)
async def test_message_that_cannot_be_judged_is_refused_and_recorded(
    raw: bytes, status: int, code: int, cause: str
) -> None:
    desk = Desk()
    reply = await desk.handle(raw)
    assert (reply.status, parsed(reply)["error"]["code"]) == (status, code)
    assert desk.tape == ["record"]
    assert (desk.record.outcome, desk.record.cause) == ("refused", cause)
    assert desk.record.message == parsed(reply)["error"]["message"]
    assert "secret" not in repr(desk.record)


async def test_refusal_names_the_call_it_is_about() -> None:
    desk = Desk()
    reply = await desk.handle(call([1]))
    assert parsed(reply)["id"] == 1
    assert (desk.record.method, desk.record.tool) == ("tools/call", "pay")


async def test_header_that_differs_from_its_body_is_refused() -> None:
    headers = {
        b"mcp-protocol-version": [b"2026-07-28"],
        b"mcp-method": [b"tools/call"],
        b"mcp-name": [b"harmless"],
    }
    desk = Desk()
    reply = await desk.handle(call(_meta=META), headers)
    assert (reply.status, parsed(reply)["error"]["code"]) == (400, -32020)
    assert (desk.tape, desk.record.cause) == (["record"], "header_mismatch")


async def test_message_on_stdio_has_no_headers_to_differ_from() -> None:
    desk = Desk()
    await desk.exchange.handle(call(_meta=META), desk.caller, None)
    assert desk.tape == ["ask", "forward", "record"]
    assert desk.upstream.sent[0].modern


@pytest.mark.parametrize(
    "raw",
    [
        message("initialize", protocolVersion="2025-11-25"),
        message("resources/read", uri="x:/y"),
        message("x/unknown", "q"),
        b'{"jsonrpc":"2.0","id":7,"result":{}}',
        b'{"jsonrpc":"2.0","id":"7","error":{"code":1,"message":"no"}}',
        message("notifications/cancelled", None, requestId=1),
    ],
)
async def test_message_that_is_no_tool_call_passes_untouched_without_a_record(raw: bytes) -> None:
    desk = Desk(replies=[Reply(418, ((b"allow", b"POST"),), body=b"as it came")])
    assert await desk.handle(raw) == Reply(418, ((b"allow", b"POST"),), body=b"as it came")
    assert desk.tape == ["forward"]
    assert desk.upstream.sent[0].raw == raw


async def test_list_is_filtered_and_taught_to_the_inventory() -> None:
    listed = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"pay"},{"name":"drop db"}],"nextCursor":""}}'
    desk = Desk(replies=[Reply(200, JSON_TYPE, body=listed)])
    desk.opa.names, desk.opa.hidden = ("pay", "drop db"), frozenset({"drop db"})
    reply = await desk.handle(message("tools/list"))
    assert reply.body == b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"pay"}],"nextCursor":""}}'
    assert desk.tape == ["forward", "list"]
    assert desk.inventory.advertised("drop db")


@pytest.mark.parametrize(("error", "code"), [(OpaUnreachable("dead"), 50301), (DecisionUndefined("none"), 50301)])
async def test_list_that_opa_cannot_judge_is_withheld(error: Exception, code: int) -> None:
    listed = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"hidden"}]}}'
    desk = Desk(replies=[Reply(200, JSON_TYPE, body=listed)])
    desk.opa.error = error
    reply = await desk.handle(message("tools/list"))
    assert (parsed(reply)["error"]["code"], b"hidden" in (reply.body or b"")) == (code, False)


@pytest.mark.parametrize("method", ["tools/list", "resources/list"])
@pytest.mark.parametrize("status", [401, 403])
async def test_upstream_refuses_our_credential_is_a_bad_gateway(method: str, status: int) -> None:
    desk = Desk(replies=[Reply(status, ((b"allow", b"x"),), body=b"get a token at evil.example")])
    reply = await desk.handle(message(method))
    assert (reply.status, reply.headers, parsed(reply)["id"]) == (502, JSON_TYPE, 1)
    assert b"evil" not in (reply.body or b"")


@pytest.mark.parametrize("method", ["tools/list", "ping"])
async def test_upstream_unreachable_is_told(method: str) -> None:
    desk = Desk(replies=[Unreachable("down")])
    reply = await desk.handle(message(method))
    assert (reply.status, parsed(reply)["error"]["message"]) == (502, "down")
    assert [error.code for error in desk.warned] == ["upstream_unreachable"]


async def test_listen_and_end_reach_the_upstream_with_the_callers_session() -> None:
    seen: list[tuple[Headers, str | None]] = []

    class Seeing(FakeUpstream):
        async def listen(self, headers: Headers, session: str | None) -> Reply:
            seen.append((headers, session))
            return await super().listen(headers, session)

        async def end(self, headers: Headers, session: str | None) -> Reply:
            seen.append((headers, session))
            return await super().end(headers, session)

    desk = Desk()
    desk.upstream = Seeing(desk.tape, [Reply(200, events=stream(PROGRESS)), Reply(405, body=b"")])
    desk.build()
    forwarded: Headers = ((b"last-event-id", b"3"),)
    assert [event.data for event in await drained(await desk.exchange.listen(desk.caller, forwarded))] == [PROGRESS]
    assert (await desk.exchange.end(desk.caller, forwarded)).status == 405
    assert seen == [(forwarded, "their-session")] * 2


async def test_listen_filters_lists_that_come_late() -> None:
    listed = b'{"jsonrpc":"2.0","id":9,"result":{"tools":[{"name":"secret_tool"}]}}'
    desk = Desk(replies=[Reply(200, events=stream(listed))])
    (event,) = await drained(await desk.exchange.listen(desk.caller, ()))
    assert json.loads(event.data)["result"]["tools"] == []
    assert b"secret_tool" not in (event.raw or b"")


# A caller whom nobody can know


async def test_unjudged_call_is_denied_and_recorded() -> None:
    desk = Desk()
    nobody = Caller(Grant("", "s", None), Asker(policy=None, server="s", grant=""))
    reply = desk.exchange.unjudged(call(), nobody, {}, StoreError("locked"))
    assert denial(reply)["rule"] == UNAVAILABLE
    assert desk.tape == ["record"]
    assert (desk.record.tool, desk.record.argument_keys) == ("pay", ("amount", "to"))
    assert desk.record.cause == "store: locked"


async def test_unjudged_message_of_another_kind_is_told_to_come_back() -> None:
    desk = Desk()
    reply = desk.exchange.unjudged(message("tools/list"), desk.caller, {}, StoreError("locked"))
    assert (reply.status, parsed(reply)["error"]["code"]) == (503, 50301)
    assert (desk.tape, desk.record.rule) == (["record"], UNAVAILABLE)


async def test_unjudged_message_that_is_malformed_is_refused() -> None:
    desk = Desk()
    assert desk.exchange.unjudged(b"[]", desk.caller, {}, StoreError("locked")).status == 400
    assert desk.record.cause == "batch_refused"


async def test_many_calls_at_once_never_pass_a_limit_together() -> None:
    class Yielding(FakeCounters):
        async def reserve(self, claims: Sequence[Claim]) -> Reservation | Refused:
            await asyncio.sleep(0)
            return await super().reserve(claims)

    three = Decision("allow", "", "", "sha256:one", [Limit("/l", "Full.", "n", 60, Decimal(3), "grant", [Decimal(1)])])
    desk = Desk(three)
    desk.counters = Yielding(desk.tape)
    desk.build()
    replies = await asyncio.gather(*(desk.handle(call()) for _ in range(10)))
    assert sum(reply.body == RESULT for reply in replies) == len(desk.upstream.sent) == 3
    assert len(desk.audit.records) == 10


@pytest.mark.parametrize("order", ["cancelled", "answered by the client", "ended"])
async def test_call_that_errs_after_the_client_meddled_keeps_its_reservation(order: str) -> None:
    gate = asyncio.Event()

    async def late() -> AsyncGenerator[Event, None]:
        await gate.wait()
        yield Event(ERROR)

    replies = [Reply(200, JSON_TYPE, events=late()), Reply(202, body=b"")]
    desk = Desk(LIMITED, replies=replies)
    reply = await desk.handle(call())
    if order == "cancelled":
        await desk.handle(message("notifications/cancelled", None, requestId=1))
    elif order == "ended":
        await desk.exchange.end(desk.caller, ())
    else:
        await desk.handle(b'{"jsonrpc":"2.0","id":"of-the-server","result":{}}')
    gate.set()
    assert reply.events is not None
    assert [event.data async for event in reply.events] == [ERROR]
    assert desk.audit.records[-1].result == "unknown"
    assert "rollback" not in desk.tape


async def test_call_with_the_id_of_a_request_given_up_keeps_its_reservation() -> None:
    desk = Desk(LIMITED, replies=[TimedOut("late"), Reply(200, JSON_TYPE, body=ERROR)])
    await desk.handle(message("completion/complete", 1))
    await desk.handle(call())
    assert desk.audit.records[-1].result == "unknown"
    assert "rollback" not in desk.tape
