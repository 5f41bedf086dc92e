"""Whether an error proves that a request did not run: it may answer a cancellation, or another request of that id.

State without I/O. The client chooses ids and sends cancellations, so it must gain nothing by either.
Source: mcp-gateway.md G32.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import msgspec

_KEPT = 10_000
_Key: TypeAlias = tuple[str, str, int]


class Flight(msgspec.Struct, eq=False):
    """One request on its way. `doubtful`: an error in answer to it does not prove that it did not run."""

    grant: str
    key: _Key | None
    doubtful: bool


class InFlight:
    """The requests that one server works on.

    Outside a session no two requests share a wire, so there ids cannot be confused. Of ids whose answer never came,
    the latest 10,000 are known.
    """

    def __init__(self) -> None:
        self._flights: dict[str, set[Flight]] = {}
        self._by_key: dict[_Key, Flight] = {}
        self._unanswered: OrderedDict[_Key, None] = OrderedDict()
        self._meddling: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._flights.values()))

    def begin(self, grant: str, session: str | None, request_id: str | int) -> Flight:
        """A request that is about to be forwarded."""
        flight = Flight(grant, None, grant in self._meddling)
        if session is not None:
            key = flight.key = (grant, session, hash(_as_read(request_id)))
            flight.doubtful = flight.doubtful or key in self._unanswered
            twin = self._by_key.setdefault(key, flight)
            if twin is not flight:
                twin.doubtful = flight.doubtful = True
                self._keep(key)
        flights = self._flights.get(grant)
        if flights is None:
            self._flights[grant] = {flight}
        else:
            flights.add(flight)
        return flight

    def end(self, flight: Flight, *, answered: bool) -> None:
        """A request that nobody waits for any more."""
        flights = self._flights[flight.grant]
        flights.discard(flight)
        if not flights:
            del self._flights[flight.grant]
        key = flight.key
        if key is not None:
            if self._by_key.get(key) is flight:
                del self._by_key[key]
            if not answered:
                self._keep(key)

    def doubt(self, grant: str) -> None:
        """From now on, an error does not prove of any request of this grant on its way that it did not run."""
        for flight in self._flights.get(grant, ()):
            flight.doubtful = True

    @contextmanager
    def meddling(self, grant: str) -> Iterator[None]:
        """While this lasts, the server is told something that may end requests of this grant."""
        self._meddling[grant] += 1
        self.doubt(grant)
        try:
            yield
        finally:
            self._meddling[grant] -= 1
            if not self._meddling[grant]:
                del self._meddling[grant]

    def _keep(self, key: _Key) -> None:
        self._unanswered[key] = None
        self._unanswered.move_to_end(key)
        while len(self._unanswered) > _KEPT:
            self._unanswered.popitem(last=False)


def _as_read(request_id: str | int) -> tuple[type, str | float]:
    """An id as a server has it that reads numbers as doubles, as most do: there 2^53 and 2^53+1 are the same."""
    return type(request_id), request_id if isinstance(request_id, str) else float(request_id)
