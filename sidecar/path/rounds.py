"""One call in several rounds: its retry is known again, so that it is counted and approved once, and judged each time.

What a call takes, its first round takes. That round has had a result of the server's, so nothing of it is ever given
back; a later round that surely did not run gives back the state it used, and what it took itself.
Imports core, ports, errors and judgement; no adapter. Source: mcp-gateway.md G32, G38.
"""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from sidecar.core import asking, rounds
from sidecar.core.members import Ambiguous
from sidecar.core.messages import ToolCall
from sidecar.core.sealed import NONCE_BYTES, Claims, Phase, Seal
from sidecar.errors import StateRefused, StoreError
from sidecar.path.judgement import Before, Caller, Judgement, Verdict, bound_to, unavailable
from sidecar.ports import Answers, States

_ID_BYTES = 16
BY_CLIENT = "the client's user"
STATE_S = 3600
"""How long the input that a server asks for may take."""


class Rounds:
    """Judges the retries of calls, and makes their answers such that retries are known. `fresh` gives random bytes."""

    def __init__(
        self, judgement: Judgement, answers: Answers, seal: Seal, states: States, fresh: Callable[[int], bytes]
    ) -> None:
        self._answers = answers
        self._judgement = judgement
        self._seal = seal
        self._states = states
        self._fresh = fresh

    async def judge(self, call: ToolCall, caller: Caller, now: datetime) -> tuple[Verdict, bytes]:
        """The verdict on a call that carries a state or answers, and the call as the server may have it.

        A state that is not the gateway's makes the call one like any other. Raises: StateRefused.
        """
        if call.arguments_fault is not None:  # policy denies it, and no state can be bound to what it holds
            return await self._judgement.judge(call, caller, now), call.raw
        try:
            return await self._judge(call, caller, now)
        except Ambiguous as error:
            raise _refused(call) from error

    async def _judge(self, call: ToolCall, caller: Caller, now: datetime) -> tuple[Verdict, bytes]:
        state = rounds.state_in(call.raw)
        if state is None:
            raw = rounds.own_taken_off(call.raw)
            return await self._judgement.judge(call, caller, now), raw
        opened = self._seal.open(state, await bound_to(call, caller.grant))
        if opened is None or opened[0].expires_ms <= now.timestamp() * 1000:
            raise _refused(call)
        claims, nonce = opened
        raw = rounds.taken_off(call.raw, claims.theirs)
        if claims.phase != "upstream":
            try:
                await self._waited(call, caller, claims, nonce, now)
            except StoreError as error:
                return unavailable(f"{error.code}: {error}"), raw
            return await self._judgement.judge(call, caller, now), raw
        before = Before(claims.counted, claims.approval, claims.rule, claims.revision, claims.person)
        verdict = await self._judgement.judge(call, caller, now, before)
        if verdict.decision.outcome != "allow":
            return verdict, raw
        try:
            await self._use(call, verdict, nonce, claims.expires_ms, now)
        except StoreError as error:
            return unavailable(f"{error.code}: {error}"), raw
        return replace(verdict, used=nonce), raw

    async def sealed(self, answer: bytes, call: ToolCall, caller: Caller, verdict: Verdict, now: datetime) -> bytes:
        """The server's question with a state by which the retry is known; one that two readers may take for two, as it
        came: its retry is a call like any other."""
        before = verdict.before or Before()
        try:
            claims = Claims(
                "upstream",
                _expiry_ms(now),
                counted=before.counted or bool(verdict.reservation.taken),
                approval=verdict.approval,
                rule=verdict.asked,
                revision=verdict.decision.revision,
                theirs=rounds.theirs_in(answer),
                person=verdict.person,
            )
            return rounds.put_on(answer, await self._closed(claims, call, caller))
        except Ambiguous:
            return answer

    async def state(self, phase: Phase, call: ToolCall, caller: Caller, approval: str, now: datetime) -> str:
        """The state of a call that waits for an approval."""
        return await self._closed(Claims(phase, _expiry_ms(now), approval=approval), call, caller)

    def question(self) -> str:
        """The id of a new question of the gateway's own."""
        return self._seal.name(self._fresh(_ID_BYTES))

    def has_asked(self, question: str) -> bool:
        """Whether a question with this id was the gateway's own, ever."""
        return self._seal.has_named(question)

    async def give_back(self, verdict: Verdict, now: datetime) -> None:
        """Undoes what an allowed verdict took: this round surely did not run. Raises: StoreError."""
        await self._judgement.give_back(verdict, now)
        if verdict.used:
            await self._states.give_back(verdict.used)

    async def _closed(self, claims: Claims, call: ToolCall, caller: Caller) -> str:
        return self._seal.close(claims, await bound_to(call, caller.grant), self._fresh(NONCE_BYTES))

    async def _waited(self, call: ToolCall, caller: Caller, claims: Claims, nonce: bytes, now: datetime) -> None:
        """Takes in what a call that waited for an approval brings: its user's answer, if users may still answer.

        Raises: StateRefused, StoreError.
        """
        if not await self._states.use(nonce, claims.expires_ms, now):
            raise _refused(call)
        if claims.phase == "confirm" and caller.grant.approval == "confirm":
            granted = asking.is_granted(rounds.answer_in(call.raw))
            await self._answers.answer(claims.approval, granted, BY_CLIENT, now)

    async def _use(self, call: ToolCall, verdict: Verdict, nonce: bytes, expires_ms: int, now: datetime) -> None:
        """Uses the state up. If it was before, or that cannot be known, what the verdict took goes back.

        Raises: StateRefused, StoreError.
        """
        used = False
        try:
            used = await self._states.use(nonce, expires_ms, now)
            if not used:
                raise _refused(call)
        finally:
            if not used:
                await self._judgement.give_back(verdict, now)


def _expiry_ms(now: datetime) -> int:
    return int((now.timestamp() + STATE_S) * 1000)


def _refused(call: ToolCall) -> StateRefused:
    error = StateRefused("This requestState is not valid for this call, or not any more; make the call without it.")
    return error.about(id_raw=call.id_raw, method="tools/call", tool=call.tool)
