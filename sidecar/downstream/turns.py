"""The order of lines on their way upstream: a notification neither overtakes a request nor is overtaken. No I/O.

Requests are judged at the same time, and one may take longer than the next; that is no order anyone relies on. But a
notification (initialized, a changed root) or an answer counts on what was sent before it.
"""

import asyncio
from collections.abc import Awaitable
from contextvars import ContextVar

from sidecar.ports import Headers, Outgoing, Reply, Upstream


class Turn:
    """A line's place in the order, held until the line has been forwarded or needs no forwarding."""

    def __init__(self, turns: "Turns", before: list["Turn"]) -> None:
        self._turns = turns
        self._before = before
        self._released = asyncio.Event()

    @property
    def is_released(self) -> bool:
        """Whether the line is on its way, or never will be."""
        return self._released.is_set()

    async def come(self) -> None:
        """Waits until all lines that must be ahead are; then marks this task's forwarding as that of the turn."""
        for turn in self._before:
            await turn._released.wait()
        self._before = []
        _turn.set(self)

    def release(self) -> None:
        """Lets the lines behind go on."""
        self._released.set()
        self._turns._forget(self)


_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


class Turns:
    """Gives turns: requests share theirs, everything else goes alone."""

    def __init__(self) -> None:
        self._sharing: dict[Turn, None] = {}
        self._alone: Turn | None = None

    def take(self, *, shared: bool) -> Turn:
        """The next turn."""
        before = [] if self._alone is None else [self._alone]
        if shared:
            turn = Turn(self, before)
            self._sharing[turn] = None
        else:
            turn = Turn(self, [*before, *self._sharing])
            self._sharing.clear()
            self._alone = turn
        return turn

    def _forget(self, turn: Turn) -> None:
        self._sharing.pop(turn, None)
        if self._alone is turn:
            self._alone = None


class InTurn:
    """An `Upstream` that releases the turn of each line it forwards. Wire it between the exchange and the real one.

    `waits`: each message takes a way of its own there, so the turn of what is no request lasts until it has arrived.
    """

    def __init__(self, upstream: Upstream, *, waits: bool = False) -> None:
        self._upstream = upstream
        self._waits = waits

    def send(self, message: Outgoing) -> Awaitable[Reply]:
        """Forwards one message. Raises: UpstreamError."""
        turn = _turn.get()
        if turn is not None and not (self._waits and (message.id is None or message.method is None)):
            turn.release()
        return self._upstream.send(message)

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        """As the upstream's. Raises: UpstreamError."""
        return await self._upstream.listen(headers, session)

    async def end(self, headers: Headers, session: str | None) -> Reply:
        """As the upstream's. Raises: UpstreamError."""
        return await self._upstream.end(headers, session)

    async def close(self) -> None:
        """As the upstream's."""
        await self._upstream.close()
