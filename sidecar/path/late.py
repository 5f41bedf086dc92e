"""Calls that are answered by a stream, which may break off: their answer then comes on another stream, or never.

The client takes a stream up behind one of its events. The call is found by that event's id, which is the server's to
give, and never by a request id alone, which is the client's to choose. Imports core, settlement and ports; no adapter.
Source: mcp-gateway.md G23, G32; MCP 2025-11-25, transports, Resumability and Redelivery.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import perf_counter

from msgspec.structs import replace

from sidecar.core import sse
from sidecar.core.ending import ending
from sidecar.path.judgement import Caller, Verdict
from sidecar.path.recorder import UnderWay
from sidecar.path.settlement import Settlement
from sidecar.ports import Event, Headers, Reply

WAIT_S = 300.0
KEPT_IDS = 64
ID_BYTES = 1024
KEPT_CALLS = 256
_PLACE = b"last-event-id"

_Where = tuple[str, str]


class Awaited:
    """One call. `event_ids` are the latest of its stream, and of those that its client took up behind it."""

    def __init__(self, late: "Late", request_id: str | int, turn: UnderWay, verdict: Verdict) -> None:
        session = turn.caller.session
        self.where: _Where | None = None if session is None else (turn.caller.grant.id, session)
        self.event_ids: deque[bytes] = deque(maxlen=KEPT_IDS)
        self._late = late
        self._id = request_id
        self._turn = turn
        self._verdict = verdict
        self._place = sse.Place()
        self._has_ended = False

    async def hear(self, event: Event) -> str | None:
        """Takes in one event: how the call ended, if it says so; the call is then settled."""
        if self._has_ended:
            return None
        if self.where is not None and event.raw is not None and b"id:" in event.raw:
            self._place.note(event.raw)
            if self._place.last_id is not None and len(self._place.last_id) <= ID_BYTES:
                self._late.found_by(self, self._place.last_id)
        how = None
        if event.data:
            how = "unknown" if event.fault else ending(event.data, self._id)
            if how is None and self._turn.flight is not None:
                self._turn.flight.doubtful = True  # it has begun, so an error proves nothing any more
        if how is not None:
            await self.end(how, event.fault)
        return how

    async def leave(self) -> None:
        """Its stream is over, or its client gone. Unless it is settled, or may be answered elsewhere, nobody knows."""
        if self._has_ended:
            return
        if self.event_ids:
            self._turn.left = perf_counter()
            self._late.wait_for(self)
        else:
            await self.end("unknown")

    async def end(self, how: str, cause: str = "") -> None:
        """Settles the call, once."""
        if not self._has_ended:
            self._has_ended = True
            self._late.forget(self)
            await self._late.settlement.finish(self._turn, self._verdict, how, cause)


class Late:
    """The calls of one server that are answered by streams. Who left one may come back to it for `WAIT_S`."""

    def __init__(self, settlement: Settlement) -> None:
        self.settlement = settlement
        self._known: dict[_Where, dict[Awaited, None]] = {}
        self._left: dict[Awaited, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def awaited(self, request_id: str | int, turn: UnderWay, verdict: Verdict) -> Awaited:
        """A call that is answered by a stream."""
        return Awaited(self, request_id, turn, verdict)

    def overheard(self, reply: Reply, caller: Caller, forwarded: Headers) -> Reply:
        """A stream as it is. What it says of a call whose stream it goes on with settles that call."""
        place = next((value for name, value in forwarded if name == _PLACE), None)
        if place is None or reply.events is None or reply.status != 200 or caller.session is None:
            return reply
        return replace(reply, events=self._listened(reply.events, (caller.grant.id, caller.session), place))

    async def close(self) -> None:
        """Waits for no answer any more."""
        for awaited in tuple(self._left):
            self._give_up(awaited)
        await asyncio.gather(*self._tasks)

    def found_by(self, awaited: Awaited, event_id: bytes) -> None:
        """From now on a call is found by this event too."""
        if awaited.where is not None:
            awaited.event_ids.append(event_id)
            self._known.setdefault(awaited.where, {})[awaited] = None

    def wait_for(self, awaited: Awaited) -> None:
        """Waits for the client to come back to a call."""
        self._left[awaited] = asyncio.get_running_loop().call_later(WAIT_S, self._give_up, awaited)
        if len(self._left) > KEPT_CALLS:
            self._give_up(next(iter(self._left)))

    def forget(self, awaited: Awaited) -> None:
        """A call has come to its end."""
        timer = self._left.pop(awaited, None)
        if timer is not None:
            timer.cancel()
        known = None if awaited.where is None else self._known.get(awaited.where)
        if awaited.where is not None and known is not None:
            known.pop(awaited, None)
            if not known:
                del self._known[awaited.where]

    async def _listened(
        self, events: AsyncGenerator[Event, None], where: _Where, place: bytes
    ) -> AsyncGenerator[Event, None]:
        async with aclosing(events) as incoming:
            found = None
            async for event in incoming:
                found = found or next((call for call in self._known.get(where, ()) if place in call.event_ids), None)
                if found is not None:
                    await found.hear(event)
                yield event

    def _give_up(self, awaited: Awaited) -> None:
        task = asyncio.get_running_loop().create_task(awaited.end("unknown"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
