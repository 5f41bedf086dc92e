"""A call that waits for a person while its client waits for it: held, or asked about, and gone on with once decided.

What a person says is kept by the approvals, whoever asks; here is only how long a client is kept, and what it is shown.
Imports core, ports, errors and rounds; no adapter. Source: mcp-gateway.md G24, G33–G37.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol

import msgspec

from sidecar.core import asking, denial, splice
from sidecar.core.ending import ending
from sidecar.core.messages import PassThrough, ToolCall
from sidecar.errors import SidecarError, StoreError
from sidecar.path.judgement import Caller, Verdict
from sidecar.path.rounds import BY_CLIENT, Rounds
from sidecar.ports import Answers, Clock, Event, Reply

TICK_S = 0.25
ROUND_S = 45
"""How long a modern round is held, and a legacy call that shows no progress: clients commonly give up at 60 s."""
PATIENCE_S = 600
"""How long a legacy call is held that shows progress, or whose user is asked."""
SHOWN_S = 10
HELD = 256
HELD_BY_GRANT = 16


class Course(Protocol):
    """What becomes of a call that waits. Exactly one of these ends it, and writes its record."""

    async def go_on(self) -> Reply:
        """Judged once more: its denial, or its forwarded answer."""
        ...

    def denied(self) -> Reply:
        """Told to be made again once approved (G37)."""
        ...

    def put_off(self, body: bytes) -> Reply:
        """Answered with this, and made again by its client."""
        ...

    def left(self) -> None:
        """Given up by its client; the approval waits on."""
        ...


class _Question(msgspec.Struct, frozen=True):
    grant: str
    session: str | None
    approval: str


class _Held(msgspec.Struct, eq=False):
    """One call that is held. `key` is what its session's cancellation names."""

    key: tuple[str, str | None, int | str]
    cancelled: bool = False


class Waiting:
    """Keeps clients waiting. `pause` waits some seconds."""

    def __init__(
        self,
        answers: Answers,
        rounds: Rounds,
        clock: Clock,
        *,
        warn: Callable[[SidecarError], None],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._answers = answers
        self._rounds = rounds
        self._clock = clock
        self._warn = warn
        self._pause = pause
        self._questions: dict[str, _Question] = {}
        self._held: set[_Held] = set()
        self._by_grant: Counter[str] = Counter()

    async def reply(self, call: ToolCall, caller: Caller, verdict: Verdict, course: Course) -> Reply | None:
        """How this call waits for its approval; None where its client can only be told to come again (G37)."""
        way = caller.grant.approval
        if way == "later" or call.task or verdict.before is not None or not verdict.approval:
            return None
        if way == "confirm" and call.modern:
            if not asking.request_takes_forms(call.raw):
                return None
            state = await self._rounds.state("confirm", call, caller, verdict.approval, self._clock.now())
            return course.put_off(asking.modern_form(call.id_raw, state, _text(call, caller)))
        if way == "confirm" and not caller.elicits:
            return None
        if len(self._held) >= HELD or self._by_grant[caller.grant.id] >= HELD_BY_GRANT:
            return None
        return Reply(200, events=self._hold(call, caller, verdict.approval, course))

    async def hears(self, message: PassThrough, caller: Caller) -> bool:
        """Takes in a client's answer or cancellation; whether it is the gateway's own, and so not the server's to see.

        An answer counts once, and only from whom was asked.
        """
        if message.method is not None:
            self._cancel(message, caller)
            return False
        if not isinstance(message.id, str) or not self._rounds.has_asked(message.id):
            return False
        asked = self._questions.get(message.id)
        whose = (caller.grant.id, caller.session)
        if asked is not None and (asked.grant, asked.session) == whose and caller.grant.approval == "confirm":
            del self._questions[message.id]
            granted = asking.is_granted(splice.get(message.raw, "result"))
            try:
                await self._answers.answer(asked.approval, granted, BY_CLIENT, self._clock.now())
            except StoreError as error:
                self._warn(error)
        return True

    def _cancel(self, message: PassThrough, caller: Caller) -> None:
        """Lets go of the call that a session's client cancels. Nothing more is sent for it."""
        target = splice.scalar(splice.get(message.raw, "params", "requestId"))
        key = (caller.grant.id, caller.session, target)
        for held in self._held:
            if caller.session is not None and held.key == key and type(held.key[2]) is type(target):
                held.cancelled = True

    async def _hold(self, call: ToolCall, caller: Caller, approval: str, course: Course) -> AsyncGenerator[Event, None]:
        held = _Held((caller.grant.id, caller.session, call.id))
        self._held.add(held)
        self._by_grant[caller.grant.id] += 1
        question = ""
        ended = False
        try:
            yield Event(b"", b": waiting for approval\n\n")
            if caller.grant.approval == "confirm":
                question = self._rounds.question()
                self._questions[question] = _Question(caller.grant.id, caller.session, approval)
                yield Event(asking.legacy_form(question, _text(call, caller)))
            async with aclosing(self._signs(call, approval, held, patient=bool(question))) as signs:
                async for sign in signs:
                    yield sign
            if held.cancelled:
                return
            still = await self._waits(approval)
            ended = True
            async with aclosing(_told(await self._end(call, caller, approval, course, still), call)) as events:
                async for event in events:
                    yield event
        finally:
            self._questions.pop(question, None)
            self._held.discard(held)
            self._by_grant[caller.grant.id] -= 1
            if not self._by_grant[caller.grant.id]:
                del self._by_grant[caller.grant.id]
            if not ended:
                course.left()

    async def _end(self, call: ToolCall, caller: Caller, approval: str, course: Course, still: bool) -> Reply:
        if not still:
            return await course.go_on()
        if not call.modern:
            return course.denied()
        state = await self._rounds.state("wait", call, caller, approval, self._clock.now())
        return course.put_off(asking.come_again(call.id_raw, state))

    async def _signs(self, call: ToolCall, approval: str, held: _Held, *, patient: bool) -> AsyncGenerator[Event, None]:
        """Signs of life for as long as the call waits: a comment keeps proxies open, progress a client's own clock."""
        text = f"Waiting for approval {approval}."
        shows = None if call.modern else asking.progress(call.raw, 0, text)
        ticks = int((PATIENCE_S if patient or shows is not None else ROUND_S) / TICK_S)
        for tick in range(ticks):
            if held.cancelled or not await self._waits(approval):
                return
            if tick % int(SHOWN_S / TICK_S) == 0:
                sign = None if shows is None else asking.progress(call.raw, tick + 1, text)
                yield Event(b"", b": waiting\n\n") if sign is None else Event(sign)
            await self._pause(TICK_S)

    async def _waits(self, approval: str) -> bool:
        """Whether nobody has answered yet. Where that cannot be known, the judgement that follows will tell."""
        try:
            return await self._answers.waits(approval, self._clock.now())
        except StoreError:
            return False


def _text(call: ToolCall, caller: Caller) -> str:
    return asking.text(caller.grant.policy or "", call.tool, call.argument_keys)


async def _told(reply: Reply, call: ToolCall) -> AsyncGenerator[Event, None]:
    """A reply on the stream that is open already."""
    if reply.events is not None:
        async with aclosing(reply.events) as events:
            async for event in events:
                yield event
    elif reply.body and ending(reply.body, call.id) is not None:
        yield Event(reply.body)
    else:
        await reply.drop()
        text = f"The MCP server gave no answer (status {reply.status})."
        yield Event(denial.error(call.id_raw, -32603, text))
