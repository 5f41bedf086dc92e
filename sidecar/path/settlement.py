"""How calls end: what a call took is given back or kept, and its record is written. Nothing is forwarded here.

Imports core, judgement, recorder, rounds and errors; no adapter. Source: mcp-gateway.md G32.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import perf_counter

from sidecar.core.ending import asks
from sidecar.core.inflight import InFlight
from sidecar.errors import SidecarError, StoreError
from sidecar.path.judgement import Judgement, Verdict
from sidecar.path.recorder import Recorder, UnderWay
from sidecar.path.rounds import Rounds
from sidecar.ports import Event

_NOT_RUN = frozenset({"unreachable", "http_error", "error"})
_DOUBTFUL = "an error of what had begun, or that may be due to the client's cancellation or to another of its requests"


class Settlement:
    """Ends the calls of one server. `took` is told how long the server took for each.

    Unless the gateway is `alone`, a cancellation may come by another one, so no error proves anything.

    Units: `took`, in seconds.
    """

    def __init__(
        self,
        judgement: Judgement | Rounds,
        recorder: Recorder,
        in_flight: InFlight,
        *,
        warn: Callable[[SidecarError], None],
        took: Callable[[float], None],
        alone: Callable[[], bool] = lambda: True,
    ) -> None:
        self._judgement = judgement
        self._recorder = recorder
        self._in_flight = in_flight
        self._warn = warn
        self._took = took
        self._alone = alone

    async def heard(self, events: AsyncGenerator[Event, None], grant: str) -> AsyncGenerator[Event, None]:
        """A stream as it is. Whatever runs while the server asks its client for something may fail for want of it."""
        async with aclosing(events) as incoming:
            async for event in incoming:
                if asks(event.data):
                    self._in_flight.doubt(grant)
                yield event

    async def finish(self, turn: UnderWay, verdict: Verdict, how: str, cause: str = "") -> None:
        """Gives back what a call took that surely did not run, and writes its record."""
        self._took((turn.left or perf_counter()) - turn.forwarded)
        assert turn.flight is not None
        self._in_flight.end(turn.flight, answered=how != "unknown")
        if how != "unreachable" and how in _NOT_RUN and (turn.flight.doubtful or not self._alone()):
            how, cause = "unknown", _DOUBTFUL
        if how in _NOT_RUN:
            try:
                await self._judgement.give_back(verdict, turn.now)
            except StoreError as failed:
                self._warn(failed)
                cause = f"{cause} {failed.code}: not given back: {failed}".strip()
            except BaseException:
                self._recorder.judged(turn, verdict, how, "given_up: not given back")
                raise
        self._recorder.judged(turn, verdict, how, cause)
