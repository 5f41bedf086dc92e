"""Event-stream bytes ↔ events, as they arrive. Data is not read here.

Source: WHATWG HTML, Server-sent events, section 9.2; mcp-gateway.md G22.
"""

import re
from collections.abc import Callable, Iterator

import msgspec

from sidecar.errors import Broken

DEFAULT_LIMIT_BYTES = 16 * 1024 * 1024

_line_end = re.compile(rb"\r\n|\n|\r")
_ends_line_elsewhere = re.compile(rb"[\0\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]").search
_RETRY_DIGITS = 10
_id_line = re.compile(rb"(\A(?:\xef\xbb\xbf)?|[\r\n])id: ?+([^\r\n]+)")
_BOM = b"\xef\xbb\xbf"
_FIELDS = frozenset((b"", b"id", b"event", b"retry"))


class SseEvent(msgspec.Struct, frozen=True):
    """One event, or a block of comments or a blank line (then `data` is empty).

    `raw` is the event as it came, blank line included, but without lines that only some readers could take for
    something: unknown fields, and any but data with a character that lax clients end lines at.
    `id` is None when the event has none; `kind` is its type, empty for an ordinary message.
    """

    raw: bytes
    data: bytes
    id: bytes | None = None
    kind: bytes = b""


class Decoder:
    """Takes a stream in pieces of any size, in linear time, and gives its events at once.

    Units: `limit_bytes` bounds one event.
    """

    def __init__(self, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._raw = bytearray()
        self._line_at = 0
        self._lines: list[bytes] = []
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that end in this piece. Raises: Broken (an event past the limit, once those before it are out)."""
        events: list[SseEvent] = []
        done = 0
        if self._after_cr and chunk.startswith(b"\n"):
            done = 1
            self._raw += b"\n"
            self._line_at = len(self._raw)
        for end in _line_ends(chunk, done):
            self._raw += chunk[done:end]
            done = end
            if self._line_ended():
                continue
            if len(self._raw) > self._limit_bytes:
                break
            events += self._finished()
        else:
            self._raw += chunk[done:]
            self._after_cr = chunk.endswith(b"\r") if chunk else self._after_cr
        if len(self._raw) > self._limit_bytes and not events:
            raise Broken(f"The server sent an event of more than {self._limit_bytes} bytes.")
        return events

    def rest(self) -> bytes:
        """What came after the last whole event. A stream that ends there has lost it: clients ignore it."""
        return bytes(self._raw)

    def _line_ended(self) -> bool:
        """Takes in the line that has just ended; False for the blank one that ends an event."""
        line = bytes(self._raw[self._line_at :]).rstrip(b"\r\n")
        self._line_at = len(self._raw)
        if self._at_start:
            line = line.removeprefix(_BOM)
            self._at_start = False
        if line:
            self._lines.append(line)
        return bool(line)

    def _finished(self) -> list[SseEvent]:
        event = _event(bytes(self._raw), self._lines)
        self._raw = bytearray()
        self._lines = []
        self._line_at = 0
        return [event] if event.raw else []


class Place:
    """Where a reader of a stream is: what it resumes with, and how long it is asked to wait before.

    Units: `retry_s` is None until the server has said.
    """

    def __init__(self) -> None:
        self.last_id: bytes | None = None
        self.retry_s: float | None = None

    def note(self, raw: bytes) -> None:
        """Takes in one event as it came."""
        for line in raw.removeprefix(_BOM).splitlines():
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"id" and b"\0" not in value:
                self.last_id = value or None
            elif name == b"retry" and value.isdigit() and len(value) < _RETRY_DIGITS:
                self.retry_s = int(value) / 1000


def renamed(raw: bytes, rename: Callable[[bytes], bytes]) -> bytes:
    """An event with each id in it replaced; one that is empty, and so says that there is none, stays."""
    if b"id:" not in raw:
        return raw
    return _id_line.sub(lambda found: b"%bid: %b" % (found[1], rename(found[2])), raw)


def encode(data: bytes) -> bytes:
    """An event with this data alone."""
    return b"".join(b"data: %b\n" % line for line in data.splitlines() or [b""]) + b"\n"


def _line_ends(chunk: bytes, start: int) -> Iterator[int]:
    """Where each line of the chunk ends, its terminator included."""
    if b"\r" in chunk:
        for match in _line_end.finditer(chunk, start):
            yield match.end()
    else:
        while start := chunk.find(b"\n", start) + 1:
            yield start


def _event(raw: bytes, lines: list[bytes]) -> SseEvent:
    fields: dict[bytes, bytes] = {}
    data, kept = [], []
    for line in lines:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name not in _FIELDS or _ends_line_elsewhere(line):
            continue
        else:
            fields[name] = value
        kept.append(line)
    if len(kept) < len(lines):
        raw = b"\n".join([*kept, b"", b""]) if kept else b""
    return SseEvent(raw, b"\n".join(data), fields.get(b"id"), fields.get(b"event", b""))
