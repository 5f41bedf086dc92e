"""Requests under way in one child and what comes back for them. No processes here, and no eras."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType

import msgspec

from sidecar.errors import TimedOut
from sidecar.ports import Event, Headers
from sidecar.upstream.mailbox import Letter, Mailbox

JSON: Headers = ((b"content-type", b"application/json"),)
EVENT_STREAM: Headers = ((b"content-type", b"text/event-stream"),)


class Message(msgspec.Struct, gc=False):
    """What is read of a server's line: its envelope. Its content stays in the line."""

    id: int | str | None = None
    method: str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_answer(self) -> bool:
        """Whether it ends a request."""
        return self.method is None and (self.result is not msgspec.UNSET or self.error is not msgspec.UNSET)


_decode = msgspec.json.Decoder(Message).decode


def read(line: bytes) -> Message | None:
    """The envelope of a line, or None when the line is not one JSON object in UTF-8."""
    try:
        if not line.isascii():
            line.decode()
        return _decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


class Call:
    """One request under way: what of it was the client's own, how far it got, and what came back.

    `written`: the server may know of it. `withdrawn`: the client has cancelled it. `streaming`: its first message
    has been passed on. `deserted`: its client went away from a stream, and may come back.
    """

    # fmt: off
    __slots__ = (
        "deserted", "id_raw", "mailbox", "method", "status", "streaming", "token_raw", "withdrawn", "written",
    )
    # fmt: on

    def __init__(self, method: str, id_raw: bytes, token_raw: bytes | None = None) -> None:
        self.method = method
        self.id_raw = id_raw
        self.token_raw = token_raw
        self.mailbox = Mailbox()
        self.status = 200
        self.written = False
        self.withdrawn = False
        self.streaming = False
        self.deserted: object | None = None

    async def next(self, timeout_s: float | None, reader: int = 0) -> Letter | None:
        """What comes next for it, or None at the end. Raises: TimedOut, Broken, Unreachable."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self.mailbox.take(reader)
        except TimeoutError as error:
            raise TimedOut(f"The MCP server did not answer within {timeout_s:g} s.") from error


class Stream(AsyncGenerator[Event, None]):
    """Letters as events. `leave` is called once, when the reader goes or the time is up before the last letter.

    A class and not a generator, because closing a generator that was never started does not run its `finally`.
    """

    def __init__(
        self,
        read_next: Callable[[], Awaitable[Letter | None]],
        leave: Callable[[BaseException], None],
        first: Letter | None = None,
    ) -> None:
        self._read_next = read_next
        self._leave = leave
        self._first = first
        self._is_open = True

    async def asend(self, _value: None, /) -> Event:
        if not self._is_open:
            raise StopAsyncIteration
        letter, self._first = self._first, None
        if letter is None:
            letter = await self._taken()
        if letter is None or letter.last:
            self._is_open = False
        if letter is None:
            raise StopAsyncIteration
        return Event(letter.line, letter.raw, letter.fault)

    async def athrow(
        self,
        kind: type[BaseException] | BaseException,
        error: BaseException | object = None,
        _traceback: TracebackType | None = None,
        /,
    ) -> Event:
        raised = error if isinstance(error, BaseException) else kind() if isinstance(kind, type) else kind
        self._close(raised)
        raise raised

    async def _taken(self) -> Letter | None:
        try:
            return await self._read_next()
        except BaseException as error:
            self._close(error)
            raise

    def _close(self, error: BaseException) -> None:
        if self._is_open:
            self._is_open = False
            self._leave(error)
