"""One child and what is said with it: what both eras share. How messages find their request is left to each era."""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import msgspec

from sidecar.core.lines import Overlong
from sidecar.errors import Broken, TimedOut, Unreachable, UpstreamError
from sidecar.ports import Reply
from sidecar.upstream import journal
from sidecar.upstream.calls import EVENT_STREAM, JSON, Call, Message, Stream, read
from sidecar.upstream.mailbox import Letter
from sidecar.upstream.wire import Death, Remote, Wire

_FIRST_WORDS = frozenset({"initialize", "server/discover"})
_LISTEN = "subscriptions/listen"
_ID = re.compile(rb'"id"\s*:\s*(-?[0-9]+|"(?:[^"\\]|\\.)*")')
_GUESS_BYTES = 512

Id = int | str


class Conversation(ABC):
    """The requests under way in one child. Each era routes messages and restores answers in its own way."""

    def __init__(self, remote: Remote, answer_timeout_s: float | None, ended: Callable[[], None]) -> None:
        self._remote = remote
        self._answer_timeout_s = answer_timeout_s
        self._ended = ended
        self._calls: dict[Id, Call] = {}
        self._wire: Wire | None = None
        self.last_used = monotonic()
        self.has_answered = False

    async def start(self) -> None:
        """Opens the way to the server. Raises: Unreachable."""
        self._wire = await self._remote.open(self)

    async def close(self) -> None:
        """Ends the child and whatever it started; requests under way fail."""
        if self._wire is not None:
            await self._wire.close()

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for something from this child."""
        return bool(self._calls)

    async def tell(self, message: bytes) -> None:
        """Writes a message that has no answer. Raises: Unreachable, also when the child does not read in time."""
        self.last_used = monotonic()
        assert self._wire is not None
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                await self._wire.write(message)
        except TimeoutError as error:
            raise Unreachable("The MCP server does not read its input.") from error

    async def put(self, key: Id, call: Call, message: bytes) -> None:
        """Writes a request, whose answer comes into its mailbox. Raises: Unreachable."""
        self._calls[key] = call
        try:
            await self.tell(message)
        except BaseException as error:
            self._leave(key, error)
            raise
        call.written = True

    async def ask(self, key: Id, call: Call, message: bytes) -> Reply:
        """Writes a request and waits for the first message about it.

        Raises: Unreachable (not written), TimedOut, Broken (the child died, or its answer cannot be read).
        """
        await self.put(key, call, message)
        try:
            first = await call.next(self._answer_timeout_s)
        except BaseException as error:
            self._leave(key, error)
            raise
        if first is None:
            return Reply(200, EVENT_STREAM, events=Stream(call.mailbox.take, lambda _: None))
        if first.last:
            return Reply(call.status, JSON, body=first.line)
        call.streaming = True
        limit_s = None if call.method == _LISTEN else self._answer_timeout_s
        stream = Stream(lambda: call.next(limit_s), lambda error: self._leave(key, error), first)
        return Reply(200, EVENT_STREAM, events=stream)

    def _leave(self, key: Id, error: BaseException) -> None:
        """Nobody waits for this request any more; the server is told if it may still work on it."""
        call = self._calls.pop(key, None)
        gave_up = isinstance(error, TimedOut) or not isinstance(error, UpstreamError)
        if call is not None and call.written and gave_up:
            notice = self._cancellation(key, call, timed_out=isinstance(error, TimedOut))
            if notice is not None:
                self._say(notice)

    def received(self, line: bytes) -> None:
        """Sorts a line of the child's: the answer to a request, or another message."""
        self.last_used = monotonic()
        message = read(line)
        try:
            if message is None:
                self._unreadable(line)
            else:
                self._sort(line, message)
        except (msgspec.MsgspecError, RecursionError):
            self._unreadable(line)

    def _sort(self, line: bytes, message: Message) -> None:
        if message.is_answer:
            self.has_answered = True
            self._answer(line, message)
        elif message.method is not None:
            self._route(line, message)
        else:
            self._junk(line)

    def overlong(self, line: Overlong) -> None:
        """Fails the request that a line past the limit seems to have answered."""
        self._condemn(line.head + line.tail, f"more than {self._remote.max_line_bytes} bytes in one message")

    def died(self, death: Death) -> None:
        """Fails what is under way; a listener's stream just ends, and so does that of a request that was cancelled."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            ends = call.withdrawn or (call.method == _LISTEN and call.streaming)
            call.mailbox.close(None if ends else _failure(call, death))
        self._ended()

    def _answer(self, line: bytes, message: Message) -> None:
        call = None if message.id is None else self._calls.get(message.id)
        if call is None or message.id is None:
            journal.info("The server answered a call that nobody waits for any more.", server=self._remote.name)
        else:
            letter = Letter(self._restored(line, message, call), last=True)
            del self._calls[message.id]
            call.mailbox.put(letter)

    def _unreadable(self, line: bytes) -> None:
        """A broken message fails its request at once; anything else on stdout is junk (a stray print)."""
        if line.lstrip().startswith(b"{") and b'"jsonrpc"' in line:
            self._condemn(line[:_GUESS_BYTES] + line[-_GUESS_BYTES:], "a message that is not valid JSON in UTF-8")
        else:
            self._junk(line)

    def _junk(self, line: bytes) -> None:
        journal.warning("server_junk_on_stdout", server=self._remote.name, bytes=len(line))

    def _condemn(self, fragment: bytes, fault: str) -> None:
        """Fails the request whose id stands in the fragment; when it is not clear which, all that are under way."""
        journal.warning("server_message_dropped", server=self._remote.name, fault=fault)
        suspects = self._calls.keys() & _ids(fragment)
        for key in suspects if len(suspects) == 1 else list(self._calls):
            self._calls.pop(key).mailbox.close(Broken(f"The MCP server sent {fault}."))

    def _say(self, message: bytes) -> None:
        """Tells the server something that it need not hear: nobody waits for it to be written."""
        if self._wire is not None:
            self._wire.write_soon(message)

    def _restored(self, line: bytes, _message: Message, _call: Call) -> bytes:
        """The answer in the ids of the client that asked."""
        return line

    @abstractmethod
    def _route(self, line: bytes, message: Message) -> None:
        """Brings a request or notification of the server's to whom it belongs."""

    @abstractmethod
    def _cancellation(self, key: Id, call: Call, *, timed_out: bool) -> bytes | None:
        """What tells the server that nobody waits for this request any more; None where it is not to be told."""


def _failure(call: Call, death: Death) -> UpstreamError:
    kind = Unreachable if call.method in _FIRST_WORDS else Broken
    return kind(death.message, hint=death.hint)


def _ids(fragment: bytes) -> set[Id]:
    found: set[Id] = set()
    for text in _ID.findall(fragment):
        with suppress(msgspec.MsgspecError, ValueError):
            found.add(msgspec.json.decode(text))
    return found
