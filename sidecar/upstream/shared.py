"""The modern era over stdio: one child for all clients, their ids told apart. Source: mcp-gateway.md G41–G43."""

from collections.abc import Callable
from itertools import count

import msgspec

from sidecar.core import denial, splice
from sidecar.ports import Outgoing, Reply
from sidecar.upstream import journal
from sidecar.upstream.calls import Call, Message
from sidecar.upstream.conversation import Conversation, Id
from sidecar.upstream.mailbox import Letter
from sidecar.upstream.wire import Remote

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
_LISTEN = "subscriptions/listen"
_PROGRESS = "notifications/progress"
_CANCELLED = "notifications/cancelled"


class Shared(Conversation):
    """A child that serves many clients. Each request gets an id of ours, which is also its progress token.

    A message that belongs to no request could tell one client of another's work, so it is dropped, unless there is
    a `sole_client`: then the stream of its newest request carries it.
    """

    def __init__(
        self, remote: Remote, answer_timeout_s: float | None, ended: Callable[[], None], *, sole_client: bool
    ) -> None:
        super().__init__(remote, answer_timeout_s, ended)
        self._sole_client = sole_client
        self._ids = count(1)

    async def send(self, message: Outgoing) -> Reply:
        """The answer to a request; 202 for a notification. Raises: UpstreamError."""
        if message.method is None or message.id is None:
            ours = self._cancelled(message.raw) if message.method == _CANCELLED else message.raw
            if ours is not None:
                await self.tell(ours)
            return Reply(202, body=b"")
        key = next(self._ids)
        ours = b"%d" % key
        raw = splice.put(message.raw, ("id",), ours)
        token_raw = splice.get(raw, "params", "_meta", "progressToken")
        if token_raw is not None:
            raw = splice.put(raw, ("params", "_meta", "progressToken"), ours)
        return await self.ask(key, Call(message.method, msgspec.json.encode(message.id), token_raw), raw)

    def _cancelled(self, raw: bytes) -> bytes | None:
        """A client's cancellation in our ids. With several clients its id says nothing: they hang up instead."""
        theirs = splice.scalar(splice.get(raw, "params", "requestId"))
        for key, call in self._calls.items():
            if self._sole_client and theirs is not None and splice.scalar(call.id_raw) == theirs:
                return splice.put(raw, ("params", "requestId"), msgspec.json.encode(key))
        return None

    def _route(self, line: bytes, message: Message) -> None:
        if message.id is not None:
            self._refuse(message.id)
            return
        call, ours, last = self._owner(line, message)
        if call is None and self._sole_client and self._calls:
            call = next(reversed(self._calls.values()))
        if call is None or not call.mailbox.put(Letter(ours, last=last, droppable=True)):
            journal.info("server_message_dropped", server=self._remote.name, fault="belongs to no request")

    def _owner(self, line: bytes, message: Message) -> tuple[Call | None, bytes, bool]:
        """The request a notification belongs to, the notification in its client's ids, and whether it ends it."""
        if message.method == _PROGRESS:
            path: tuple[str, ...] = ("params", "progressToken")
        elif message.method == _CANCELLED:
            path = ("params", "requestId")
        else:
            path = ("params", "_meta", SUBSCRIPTION)
        key = splice.scalar(splice.get(line, *path))
        call = self._calls.get(key)
        if call is None:
            return None, line, False
        theirs = call.token_raw if message.method == _PROGRESS else call.id_raw
        if theirs is None:
            return None, line, False
        ours = splice.put(line, path, theirs)
        last = message.method == _CANCELLED
        if last:
            del self._calls[key]
        return call, ours, last

    def _refuse(self, server_id: Id) -> None:
        """The modern era has no requests toward the client."""
        journal.warning("server_message_dropped", server=self._remote.name, fault="a request to the client")
        self._say(denial.error(msgspec.json.encode(server_id), -32601, "Servers of this revision send no requests."))

    def _restored(self, line: bytes, message: Message, call: Call) -> bytes:
        if isinstance(message.error, msgspec.Raw):
            call.status = denial.status(splice.scalar(splice.get(message.error, "code")) or 0, modern=True)
        line = splice.put(line, ("id",), call.id_raw)
        path = ("result", "_meta", SUBSCRIPTION)
        if call.method == _LISTEN and splice.get(line, *path) is not None:
            line = splice.put(line, path, call.id_raw)
        return line

    def _cancellation(self, key: Id, _call: Call, *, timed_out: bool) -> bytes | None:
        reason = "The gateway waited too long." if timed_out else "The client hung up."
        params = {"requestId": key, "reason": reason}
        return msgspec.json.encode({"jsonrpc": "2.0", "method": _CANCELLED, "params": params})
