"""Calls that wait for a person while their client waits. Source: mcp-gateway.md G24, G33–G37."""

import json
from collections.abc import AsyncGenerator
from typing import Any, Literal

import pytest

from sidecar.core.decision import UNAVAILABLE, Decision
from sidecar.core.query import Asker
from sidecar.core.sealed import Seal
from sidecar.errors import StoreError, Unreachable
from sidecar.path import waiting
from sidecar.path.judgement import Caller
from sidecar.path.waiting import HELD_BY_GRANT, PATIENCE_S, ROUND_S, Waiting
from sidecar.ports import Event, Grant, Reply
from tests.fakes import events
from tests.sidecar.path.test_rounds import DENIED, DONE, LIMITED, META, Desk, error_of, question, state_of

Way = Literal["later", "wait", "confirm"]
LONG = Decision("approval_required", "/r", "Ask first.", "sha256:one", (), 3600)
REFUSED = Decision("deny", "/r", "Approval was refused.", "sha256:one", ())
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
SEAL = Seal(b"key")
APPROVE = {"action": "accept", "content": {"decision": "approve"}}
FORMS = {**META, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}


def call(*, modern: bool, state: str | None = None, answer: Any = None, **params: Any) -> bytes:
    members: dict[str, Any] = {"name": "pay", "arguments": {"n": 1}, **params}
    if modern:
        members.setdefault("_meta", FORMS)
    if state is not None:
        members["requestState"] = state
    if answer is not None:
        members["inputResponses"] = {"dev.regate/approval": answer}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": members}).encode()


class Office(Desk):
    """A desk whose clients wait. At each pause the clock goes on, and at the `due`-th somebody does something."""

    def __init__(
        self,
        *decisions: Decision,
        way: Way = "wait",
        elicits: bool = True,
        session: str | None = "session",
        replies: Any = (),
    ) -> None:
        super().__init__(*(decisions or (LONG, LONG, LIMITED)), replies=replies or [Reply(200, body=RESULT)])
        self.pauses = 0
        self.due: dict[int, Any] = {}
        grant = Grant("g", "s", "p", approval=way)
        self.caller = Caller(grant, Asker(policy="p", server="s", grant="g"), session, elicits)
        assert self.exchange._rounds is not None
        self.exchange._waiting = Waiting(
            self.approvals,
            self.exchange._rounds,
            self.clock,
            warn=self.warned.append,
            pause=self.pause,
        )

    async def pause(self, seconds: float) -> None:
        self.pauses += 1
        self.clock.advance(seconds)
        if self.pauses in self.due:
            result = self.due[self.pauses]()
            if result is not None:
                await result

    def approve(self) -> None:
        assert self.approvals.approve(self.approvals.held[-1].id, "ann", self.clock.now()) == "done"

    def refuse(self) -> None:
        assert self.approvals.refuse(self.approvals.held[-1].id, "ann", self.clock.now()) == "done"

    async def ask(self, raw: bytes, caller: Caller | None = None) -> Reply:
        return await self.exchange.handle(raw, caller or self.caller, None)

    async def told(self, raw: bytes) -> list[Any]:
        """All messages that answer a call."""
        return [json.loads(event.data) for event in await drained(await self.ask(raw)) if event.data]

    async def answer(self, result: Any, *, caller: Caller | None = None, number: int = 0) -> Reply:
        """The client's answer to the gateway's question of this number."""
        id = SEAL.name(number.to_bytes(16, "big"))
        return await self.ask(json.dumps({"jsonrpc": "2.0", "id": id, **result}).encode(), caller)


async def drained(reply: Reply) -> list[Event]:
    assert reply.events is not None, reply.body
    return [event async for event in reply.events]


# An operator decides


@pytest.mark.parametrize("modern", [True, False])
async def test_call_that_is_approved_while_held_goes_on_at_once(modern: bool) -> None:
    office = Office()
    office.due[7] = office.approve
    assert await office.told(call(modern=modern)) == [json.loads(RESULT)]
    assert office.tape == ["ask", "find", "open", "ask", "find", "ask", "reserve", "take", "forward", "record"]
    assert office.pauses == 7
    assert (office.last.outcome, office.last.approval, office.last.person) == ("allow", "apr_1", "operator")


@pytest.mark.parametrize("modern", [True, False])
async def test_call_that_is_refused_while_held_is_denied(modern: bool) -> None:
    office = Office(LONG, LONG, REFUSED)
    office.due[2] = office.refuse
    (answer,) = await office.told(call(modern=modern))
    assert answer["result"]["content"][0]["text"] == "[POLICY DENIED] Approval was refused."
    assert (office.last.outcome, office.last.person, office.upstream.sent) == ("deny", "operator", [])


async def test_policy_edited_while_a_call_is_held_denies() -> None:
    office = Office(LONG, DENIED)
    office.due[1] = office.approve
    (answer,) = await office.told(call(modern=True))
    assert answer["result"]["isError"] is True
    assert office.upstream.sent == []


async def test_modern_call_that_nobody_decides_is_made_again_by_its_client() -> None:
    office = Office(LONG, LONG, LONG, LIMITED)
    (asked,) = await office.told(call(modern=True))
    assert set(asked["result"]) == {"resultType", "requestState"}
    assert office.clock.now().timestamp() - office.approvals.held[0].expires.timestamp() == ROUND_S - 3600
    assert (office.last.outcome, office.upstream.sent) == ("approval_required", [])
    office.due[office.pauses + 3] = office.approve
    state = asked["result"]["requestState"]
    assert await office.told(call(modern=True, state=state)) == [json.loads(RESULT)]
    assert b"requestState" not in office.upstream.sent[0].raw
    assert len(office.approvals.held) == 1


async def test_state_of_a_call_that_waits_is_good_once() -> None:
    office = Office(LONG)
    (asked,) = await office.told(call(modern=True))
    state = asked["result"]["requestState"]
    await office.told(call(modern=True, state=state))
    assert error_of(await office.ask(call(modern=True, state=state)))["code"] == -32602


@pytest.mark.parametrize(("meta", "held_s"), [({}, ROUND_S), ({"progressToken": "t"}, PATIENCE_S)])
async def test_legacy_call_that_nobody_decides_is_denied_with_its_approval(meta: Any, held_s: int) -> None:
    office = Office(LONG)
    began = office.clock.now()
    *signs, last = await office.told(call(modern=False, _meta=meta))
    assert last["result"]["_meta"]["dev.regate/decision"]["approval"] == "apr_1"
    assert (office.clock.now() - began).total_seconds() == held_s
    assert {sign["method"] for sign in signs} == ({"notifications/progress"} if meta else set())
    numbers = [sign["params"]["progress"] for sign in signs]
    assert numbers == sorted(set(numbers))
    assert all(number < 0 for number in numbers)
    assert (office.last.outcome, office.last.approval) == ("approval_required", "apr_1")


async def test_held_stream_has_comments_that_keep_it_open() -> None:
    office = Office(LONG)
    told = await drained(await office.ask(call(modern=False)))
    assert [event.raw for event in told[:-1]] == [b": waiting for approval\n\n"] + [b": waiting\n\n"] * 5


async def test_approval_that_lapses_while_a_call_is_held_is_asked_for_anew_and_not_waited_for() -> None:
    office = Office(Decision("approval_required", "/r", "Ask first.", "sha256:one", (), 5))
    (answer,) = await office.told(call(modern=True))
    assert answer["result"]["_meta"]["dev.regate/decision"]["approval"] == "apr_2"


async def test_client_that_leaves_keeps_its_approval_waiting() -> None:
    office = Office()
    reply = await office.ask(call(modern=False))
    await reply.drop()
    assert [one.state for one in office.approvals.held] == ["pending"]
    assert (office.last.outcome, office.last.cause[:8]) == ("approval_required", "given_up")
    assert office.upstream.sent == []
    assert office.exchange._waiting is not None
    assert office.exchange._waiting._held == set()


async def test_call_that_its_session_cancels_is_let_go_and_told_nothing() -> None:
    office = Office(replies=[Reply(202, body=b"")])
    notice = json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}).encode()
    office.due[3] = lambda: office.ask(notice)
    assert await office.told(call(modern=False)) == []
    assert [one.raw for one in office.upstream.sent] == [notice]
    assert [one.state for one in office.approvals.held] == ["pending"]


@pytest.mark.parametrize(
    ("session", "target"), [("other", 1), (None, 1), ("session", "1"), ("session", 2), ("session", None)]
)
async def test_cancellation_of_another_call_lets_nothing_go(session: str | None, target: Any) -> None:
    office = Office(replies=[Reply(202, body=b""), Reply(200, body=RESULT)])
    other = Caller(office.caller.grant, office.caller.asker, session)
    notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": target}}
    office.due[3] = lambda: office.ask(json.dumps(notice).encode(), other)
    office.due[5] = office.approve
    assert await office.told(call(modern=False)) == [json.loads(RESULT)]


async def test_calls_held_are_bounded_and_further_ones_are_denied_at_once() -> None:
    office = Office(LONG)
    held: list[AsyncGenerator[Event, None]] = []
    for _ in range(HELD_BY_GRANT):
        reply = await office.ask(call(modern=False))
        assert reply.events is not None
        await anext(reply.events)
        held.append(reply.events)
    assert b'"approval":"apr_1"' in ((await office.ask(call(modern=False))).body or b"")
    for one in held:
        await one.aclose()
    assert (await office.ask(call(modern=False))).events is not None


async def test_calls_held_of_all_grants_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "HELD", 0)
    assert (await Office(LONG).ask(call(modern=True))).body is not None


async def test_store_that_fails_while_a_call_is_held_denies_it() -> None:
    office = Office()

    def fail() -> None:
        office.approvals.error = StoreError("gone")

    office.due[2] = fail
    (answer,) = await office.told(call(modern=True))
    assert answer["result"]["_meta"]["dev.regate/decision"]["rule"] == UNAVAILABLE


async def test_answer_that_comes_as_a_stream_goes_on_the_stream_that_is_open() -> None:
    office = Office(replies=[Reply(200, events=events(b'{"jsonrpc":"2.0","method":"x"}', RESULT))])  # type: ignore[arg-type]
    office.due[1] = office.approve
    told = await office.told(call(modern=False))
    assert [message.get("method") for message in told] == ["x", None]


@pytest.mark.parametrize("reply", [Reply(404, body=b"gone"), Reply(502, body=b""), Unreachable("no")])
async def test_answer_that_is_none_becomes_an_error_on_the_open_stream(reply: Any) -> None:
    office = Office(replies=[reply])
    office.due[1] = office.approve
    (answer,) = await office.told(call(modern=False))
    assert (answer["id"], answer["error"]["code"]) == (1, -32603)


async def test_question_of_the_servers_after_an_approval_is_sealed_and_counts_once() -> None:
    office = Office(LONG, LONG, LIMITED, LONG, LIMITED, replies=[Reply(200, body=question()), Reply(200, body=DONE)])
    office.due[1] = office.approve
    (asked,) = await office.told(call(modern=True))
    reply = await office.ask(call(modern=True, state=asked["result"]["requestState"]))
    assert (reply.body, office.counted, office.last.person) == (DONE, 1, "operator")


async def test_approval_that_a_later_round_needs_anew_is_not_waited_for() -> None:
    office = Office(LIMITED, LONG, replies=[Reply(200, body=question())])
    state = state_of(await office.ask(call(modern=True)))
    reply = await office.ask(call(modern=True, state=state))
    assert b'"approval":"apr_1"' in (reply.body or b"")


@pytest.mark.parametrize(
    ("way", "raw"),
    [
        ("later", call(modern=True)),
        ("wait", call(modern=False, task={"ttl": 1})),
        ("confirm", call(modern=True, _meta=META)),
        ("confirm", call(modern=False)),
    ],
)
async def test_client_that_cannot_wait_or_be_asked_is_told_to_come_again(way: Way, raw: bytes) -> None:
    office = Office(LONG, way=way, elicits=False)
    reply = await office.ask(raw)
    assert b"retry the same call once approved" in (reply.body or b"")


# The client's own user confirms


async def test_modern_user_is_asked_and_confirms() -> None:
    office = Office(way="confirm")
    asked = json.loads((await office.ask(call(modern=True))).body or b"")["result"]
    form = asked["inputRequests"]["dev.regate/approval"]["params"]
    assert form["message"] == "Policy p asks you to confirm: pay (arguments: n)."
    reply = await office.ask(call(modern=True, state=asked["requestState"], answer=APPROVE))
    assert (reply.body, office.last.person, office.counted) == (RESULT, "user", 1)
    assert json.loads(office.upstream.sent[0].raw) == json.loads(call(modern=True))


@pytest.mark.parametrize("answer", [None, {"action": "decline"}, {"action": "accept", "content": {"decision": "deny"}}])
async def test_modern_user_who_does_not_confirm_is_denied(answer: Any) -> None:
    office = Office(LONG, LONG, REFUSED, way="confirm")
    state = state_of(await office.ask(call(modern=True)))
    reply = await office.ask(call(modern=True, state=state, answer=answer))
    assert b"Approval was refused." in (reply.body or b"")
    assert (office.last.person, office.upstream.sent) == ("user", [])


async def test_modern_answer_without_the_question_confirms_nothing() -> None:
    office = Office(LONG, way="confirm")
    for state in (None, "theirs"):
        reply = await office.ask(call(modern=True, state=state, answer=APPROVE))
        assert state_of(reply)
    assert (office.upstream.sent, office.approvals.held[0].state) == ([], "pending")


async def test_modern_answer_after_users_may_no_longer_answer_confirms_nothing() -> None:
    office = Office(LONG, way="confirm")
    state = state_of(await office.ask(call(modern=True)))
    later = Caller(Grant("g", "s", "p"), office.caller.asker, "session")
    await office.ask(call(modern=True, state=state, answer=APPROVE), later)
    assert (office.upstream.sent, office.approvals.held[0].state) == ([], "pending")


async def test_state_of_a_wait_confirms_nothing() -> None:
    """An answer put beside a state that asked nobody."""
    office = Office(LONG)
    (asked,) = await office.told(call(modern=True))
    await office.told(call(modern=True, state=asked["result"]["requestState"], answer=APPROVE))
    assert (office.upstream.sent, office.approvals.held[0].state) == ([], "pending")


async def test_modern_user_comes_too_late_for_an_operators_refusal() -> None:
    office = Office(LONG, LONG, REFUSED, way="confirm")
    state = state_of(await office.ask(call(modern=True)))
    office.refuse()
    await office.ask(call(modern=True, state=state, answer=APPROVE))
    assert (office.last.outcome, office.last.person, office.upstream.sent) == ("deny", "operator", [])


async def test_modern_answer_that_cannot_be_kept_is_denied() -> None:
    office = Office(LONG, way="confirm")
    state = state_of(await office.ask(call(modern=True)))
    office.approvals.error = StoreError("gone")
    await office.ask(call(modern=True, state=state, answer=APPROVE))
    assert (office.last.rule, office.upstream.sent) == (UNAVAILABLE, [])


async def test_legacy_user_is_asked_on_the_calls_own_stream_and_confirms() -> None:
    office = Office(way="confirm")
    heard: list[Reply] = []

    async def confirm() -> None:
        heard.append(await office.answer({"result": APPROVE}))

    office.due[4] = confirm
    form, answer = await office.told(call(modern=False))
    assert (form["method"], form["id"]) == ("elicitation/create", SEAL.name(bytes(16)))
    assert form["params"]["message"] == "Policy p asks you to confirm: pay (arguments: n)."
    assert (answer, heard[0].status, heard[0].body) == (json.loads(RESULT), 202, b"")
    assert (len(office.upstream.sent), office.last.person) == (1, "user")


@pytest.mark.parametrize(
    "result", [{"result": {"action": "decline"}}, {"error": {"code": -1, "message": "no"}}, {"result": {}}]
)
async def test_legacy_user_who_does_not_confirm_is_denied(result: Any) -> None:
    office = Office(LONG, LONG, REFUSED, way="confirm")

    async def answer() -> None:
        await office.answer(result)

    office.due[4] = answer
    _, told = await office.told(call(modern=False))
    assert told["result"]["content"][0]["text"] == "[POLICY DENIED] Approval was refused."
    assert office.upstream.sent == []


async def test_legacy_answer_of_somebody_else_is_taken_out_and_confirms_nothing() -> None:
    office = Office(LONG, way="confirm")
    grant, asker = office.caller.grant, office.caller.asker

    async def answer() -> None:
        others = [
            Caller(Grant("other", "s", "p", approval="confirm"), asker, "session"),
            Caller(grant, asker, "another session"),
            Caller(grant, asker),
        ]
        for other in others:
            assert (await office.answer({"result": APPROVE}, caller=other)).status == 202
        assert (await office.answer({"result": APPROVE}, number=7)).status == 202

    office.due[4] = answer
    await office.told(call(modern=False))
    assert (office.upstream.sent, office.approvals.held[0].state) == ([], "pending")


async def test_legacy_answer_counts_once() -> None:
    office = Office(LONG, LONG, REFUSED, way="confirm")

    async def twice() -> None:
        await office.answer({"result": {"action": "decline"}})
        await office.answer({"result": APPROVE})

    office.due[4] = twice
    await office.told(call(modern=False))
    assert (office.approvals.held[0].state, office.upstream.sent) == ("refused", [])


async def test_legacy_answer_after_the_client_left_confirms_nothing() -> None:
    office = Office(way="confirm")
    reply = await office.ask(call(modern=False))
    assert reply.events is not None
    await anext(reply.events)
    await anext(reply.events)
    await reply.events.aclose()
    assert (await office.answer({"result": APPROVE})).status == 202
    assert office.approvals.held[0].state == "pending"


async def test_legacy_answer_that_cannot_be_kept_is_told_to_the_operator() -> None:
    office = Office(LONG, way="confirm")

    async def answer() -> None:
        office.approvals.error = StoreError("gone")
        await office.answer({"result": APPROVE})

    office.due[4] = answer
    _, told = await office.told(call(modern=False))
    assert told["result"]["_meta"]["dev.regate/decision"]["rule"] == UNAVAILABLE
    assert [str(error) for error in office.warned] == ["gone"]


async def test_answer_to_the_servers_question_goes_to_the_server() -> None:
    office = Office(way="confirm", replies=[Reply(202, body=b"")])
    for id in (7, "theirs", "gw-1", Seal(b"another gateway's").name(bytes(16))):
        raw = json.dumps({"jsonrpc": "2.0", "id": id, "result": APPROVE}).encode()
        await office.ask(raw)
        assert office.upstream.sent[-1].raw == raw


async def test_operator_answers_a_call_whose_user_is_asked() -> None:
    office = Office(way="confirm")
    office.due[4] = office.approve
    _, answer = await office.told(call(modern=False))
    assert (answer, office.last.person) == (json.loads(RESULT), "operator")
