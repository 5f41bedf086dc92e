"""The handshake era over stdio: one child for one session, its messages as they are. Source: mcp-gateway.md G40."""

import asyncio
from collections.abc import Callable

import msgspec

from sidecar.core import denial, splice
from sidecar.errors import Broken, TimedOut, UpstreamError
from sidecar.ports import Headers, Outgoing, Reply
from sidecar.upstream import journal, resumption
from sidecar.upstream.calls import EVENT_STREAM, JSON, Call, Message, Stream
from sidecar.upstream.conversation import Conversation, Id
from sidecar.upstream.mailbox import Letter, Mailbox
from sidecar.upstream.resumption import Track, Tracks
from sidecar.upstream.wire import Death, Remote

_FIRST = "initialize"
_CANCELLED = "notifications/cancelled"
_PROGRESS = "notifications/progress"


class Session(Conversation):
    """A child that serves one client.

    What the server says on its own goes to the listener; as long as there is none, to the stream of the newest
    request, and between requests it is kept. Progress stays with the request that asked for it. A client whose revision
    knows how to take up a stream again gets every answer as one, at once, so that it can come back for any.
    """

    def __init__(self, remote: Remote, answer_timeout_s: float | None, ended: Callable[[], None]) -> None:
        super().__init__(remote, answer_timeout_s, ended)
        self._outbox = Mailbox()
        self._tracks = Tracks()
        self._listener: int | None = None

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for a request, or listens."""
        return self._listener is not None or any(call.deserted is None for call in self._calls.values())

    async def send(self, message: Outgoing) -> Reply:
        """The answer to a request; 202 for anything else. Raises: UpstreamError."""
        if message.method is None or message.id is None:
            await self.tell(message.raw)
            if message.method == _CANCELLED:
                self._withdraw(splice.scalar(splice.get(message.raw, "params", "requestId")))
            return Reply(202, body=b"")
        id_raw = msgspec.json.encode(message.id)
        if message.id in self._calls:
            return Reply(400, JSON, body=denial.error(id_raw, -32600, "This request id is already under way."))
        token_raw = splice.get(message.raw, "params", "_meta", "progressToken")
        call = Call(message.method, id_raw, token_raw)
        if message.method == _FIRST or not resumption.is_known_to(message.headers):
            return await self.ask(message.id, call, message.raw)
        await self.put(message.id, call, message.raw)
        return Reply(200, EVENT_STREAM, events=self._follow(self._tracks.begin(call)))

    def _withdraw(self, key: object) -> None:
        """The client wants no answer to this request any more: if none comes, it is to get no error either (G24)."""
        call = next((call for known, call in self._calls.items() if known == key), None)
        if call is not None:
            call.withdrawn = True

    def listen(self, headers: Headers) -> Reply:
        """The stream of what the server says on its own, or the rest of the one that the client names.

        A second listener takes the place of the first.
        """
        named = self._tracks.named(headers)
        if named is not None:
            return Reply(200, EVENT_STREAM, events=self._follow(*named))
        reader = self._listener = self._outbox.attach()

        def leave(_error: BaseException) -> None:
            if self._listener == reader:
                self._listener = None

        return Reply(200, EVENT_STREAM, events=Stream(lambda: self._outbox.take(reader), leave))

    def _follow(self, track: Track, after: int = -1) -> Stream:
        track.call.deserted = None
        told = track.follow(after, self._answer_timeout_s)
        reader = track.reader

        async def take() -> Letter | None:
            try:
                return await told()
            except UpstreamError as error:
                if (key := self._key(track.call)) is not None:
                    self._give_up(key, track.call, error)
                return track.fail(error)

        def leave(_error: BaseException) -> None:
            if track.reader == reader:
                self._left(track.call)

        return Stream(take, leave)

    def _key(self, call: Call) -> Id | None:
        return next((key for key, known in self._calls.items() if known is call), None)

    def _left(self, call: Call) -> None:
        """A client that hangs up may come back, for as long as it might have waited."""
        key = self._key(call)
        if key is None:
            return
        desertion = call.deserted = object()
        deserted = [key for key, known in self._calls.items() if known.deserted is not None]
        if len(deserted) > resumption.KEPT_STREAMS:
            self._give_up(deserted[0], self._calls[deserted[0]], Broken("Too many streams were left."))

        def forget() -> None:
            if call.deserted is desertion and self._calls.get(key) is call:
                self._give_up(key, call, TimedOut("The client did not come back."))

        if self._answer_timeout_s is not None:
            asyncio.get_running_loop().call_later(self._answer_timeout_s, forget)

    def _give_up(self, key: Id, call: Call, error: UpstreamError) -> None:
        call.mailbox.close()
        self._leave(key, error)

    def died(self, death: Death) -> None:
        self._outbox.close()
        super().died(death)

    def _route(self, line: bytes, message: Message) -> None:
        droppable = message.id is None
        call = self._interested(line, message)
        mailbox = self._outbox if call is None else call.mailbox
        if mailbox.put(Letter(line, droppable=droppable)):
            return
        journal.warning("server_message_dropped", server=self._remote.name, fault="nobody reads")
        if not droppable:
            self._say(denial.error(msgspec.json.encode(message.id), -32603, "Nobody listens to this session."))

    def _interested(self, line: bytes, message: Message) -> Call | None:
        if message.method == _PROGRESS:
            token = splice.scalar(splice.get(line, "params", "progressToken"))
            for call in self._calls.values():
                if token is not None and splice.scalar(call.token_raw) == token:
                    return call
        if self._listener is not None:
            return None
        waited_for = (call for call in reversed(self._calls.values()) if call.deserted is None)
        return next((call for call in waited_for if call.method != _FIRST), None)

    def _cancellation(self, key: Id, call: Call, *, timed_out: bool) -> bytes | None:
        """A client that hangs up may come back, so only a time-out cancels (G24); `initialize` never is."""
        if not timed_out or call.method == _FIRST:
            return None
        params = {"requestId": key, "reason": "The gateway waited too long."}
        return msgspec.json.encode({"jsonrpc": "2.0", "method": _CANCELLED, "params": params})
