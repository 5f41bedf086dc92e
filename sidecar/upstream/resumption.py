"""The event streams of one session, kept so that a client whose connection broke can take them up again.

Source: mcp-gateway.md G22–G24, G40; 2025-11-25, basic/transports, section Resumability and Redelivery.
"""

import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count

from sidecar.core import denial, sse
from sidecar.errors import UpstreamError
from sidecar.ports import Headers
from sidecar.upstream.calls import Call
from sidecar.upstream.mailbox import Letter

RETRY_MS = 1000
KEPT_STREAMS = 16
KEPT_BYTES = 1024 * 1024
"""What is kept of all streams that have ended, except the newest; and of one that has not."""

_VERSION, _LAST_EVENT = b"mcp-protocol-version", b"last-event-id"
_KNOWING = frozenset({b"2025-11-25"})
_event_id = re.compile(rb"([0-9]{1,9})-([0-9]{1,9})").fullmatch


def is_known_to(headers: Headers) -> bool:
    """Whether a client that sends these can read an event without data, which older ones stumble over."""
    return any(name == _VERSION and value in _KNOWING for name, value in headers)


class Track:
    """One stream. Event 0 only tells its id; the first message is event 1.

    One reader at a time: who comes takes the place of who was there.
    """

    def __init__(self, number: int, call: Call, ended: Callable[[], None]) -> None:
        self.call = call
        self.reader = 0
        self._told_bytes = 0
        self._number = number
        self._ended = ended
        self._told: deque[Letter] = deque()
        self._oldest = 1

    @property
    def held_bytes(self) -> int:
        """What was told and is kept, and what no one has read yet."""
        return self._told_bytes + self.call.mailbox.held_bytes

    def follow(self, after: int, timeout_s: float | None) -> Callable[[], Awaitable[Letter | None]]:
        """Gives what comes after an event, one at each call: first what was told before, then what is new."""
        reader = self.reader = self.call.mailbox.attach()
        at = min(after, self._oldest + len(self._told) - 1)

        async def take() -> Letter | None:
            nonlocal at
            if at < 0:
                at = 0
                return Letter(b"", raw=b"id: %d-0\nretry: %d\ndata: \n\n" % (self._number, RETRY_MS))
            at = max(at + 1, self._oldest)
            if at >= self._oldest + len(self._told):
                letter = await self.call.next(timeout_s, reader)
                if letter is None:
                    return None
                self._note(letter)
            return self._told[at - self._oldest]

        return take

    def fail(self, error: UpstreamError) -> Letter:
        """The end of a stream that the server's answer will not come on: it says so, in the server's stead."""
        text = denial.error(self.call.id_raw, -32603, str(error))
        self._note(Letter(text, last=True, fault=f"{error.code}: {error}"))
        return self._told[-1]

    def _note(self, letter: Letter) -> None:
        number = self._oldest + len(self._told)
        raw = b"id: %d-%d\n%b" % (self._number, number, sse.encode(letter.line))
        self._told.append(replace(letter, raw=raw))
        self._told_bytes += len(raw)
        while self._told_bytes > KEPT_BYTES and len(self._told) > 1:
            self._told_bytes -= len(self._told.popleft().raw or b"")
            self._oldest += 1
        if letter.last:
            self._ended()


class Tracks:
    """The streams of a session, by number."""

    def __init__(self) -> None:
        self._tracks: dict[int, Track] = {}
        self._numbers = count(1)

    def begin(self, call: Call) -> Track:
        """A new stream for what comes of a request."""
        self._forget_old()
        number = next(self._numbers)
        track = self._tracks[number] = Track(number, call, self._forget_old)
        return track

    def named(self, headers: Headers) -> tuple[Track, int] | None:
        """The stream that a client takes up again and its last event there, or None where it names none of ours."""
        for name, value in headers:
            found = _event_id(value) if name == _LAST_EVENT else None
            if found is not None and int(found[1]) in self._tracks:
                return self._tracks[int(found[1])], int(found[2])
        return None

    def _forget_old(self) -> None:
        ended = {number: track.held_bytes for number, track in self._tracks.items() if track.call.mailbox.has_ended}
        for number in list(ended)[:-1]:
            if len(ended) <= KEPT_STREAMS and sum(ended.values()) <= KEPT_BYTES:
                break
            del self._tracks[number], ended[number]
