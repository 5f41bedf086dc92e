"""An MCP server that is a command: its children, one for each session and one for the modern era. No message is read.

The two eras never share a child: a server may lock itself to the era of its first message. Source: mcp-gateway.md G44.
"""

import asyncio
import secrets
from collections.abc import Collection, Coroutine, Mapping, Sequence
from time import monotonic
from typing import Any

import msgspec

from sidecar.core import denial, splice
from sidecar.errors import Unreachable
from sidecar.ports import Headers, Outgoing, Reply
from sidecar.upstream.calls import JSON
from sidecar.upstream.child import MAX_LINE_BYTES, Command
from sidecar.upstream.conversation import Conversation
from sidecar.upstream.session import Session
from sidecar.upstream.shared import Shared

SESSION_HEADER = b"mcp-session-id"
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


class StdioUpstream:
    """The port `Upstream` over a command.

    `answer_timeout_s` bounds the wait for each message of an answer (None: no bound). A child without traffic,
    requests and listener for `idle_s` is ended. `sole_client`: whoever sends is one and the same client.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        *,
        name: str = "stdio",
        answer_timeout_s: float | None = 300.0,
        idle_s: float = 1800.0,
        max_children: int = 64,
        max_line_bytes: int = MAX_LINE_BYTES,
        grace_s: float = 2.0,
        sole_client: bool = False,
        withhold: Collection[str] = (),
    ) -> None:
        self._command = Command(tuple(command), env or {}, cwd, name, withhold, max_line_bytes, grace_s)
        self._answer_timeout_s = answer_timeout_s
        self._idle_s = idle_s
        self._max_children = max_children
        self._sole_client = sole_client
        self._sessions: dict[str, Session] = {}
        self._shared: asyncio.Task[Shared] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._closing: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def send(self, message: Outgoing) -> Reply:
        """Forwards one message. Raises: Unreachable (nothing was written), TimedOut, Broken."""
        if self._is_closed:
            raise Unreachable("The gateway is stopping.")
        if message.modern:
            if message.method is None:
                return _refusal(message, 400, "A client of this revision sends no answers.")
            if message.method == "initialize":  # it would lock the child that all share to the other era
                return _refusal(message, 404, "This revision has no initialize.", rpc_code=-32601)
            return await (await self._modern()).send(message)
        if message.session is None:
            if message.method != "initialize" or message.id is None:
                return _refusal(message, 400, "A session id is needed; initialize first.")
            return await self._initialize(message)
        session = self._sessions.get(message.session)
        if session is None:
            return _refusal(message, 404, "No such session; initialize again.")
        return await session.send(message)

    async def listen(self, headers: Headers, session: str | None) -> Reply:  # noqa: ARG002 (as in the port)
        """The stream of what the session's server says on its own; ends with the session."""
        found = None if session is None else self._sessions.get(session)
        return _no_session(session) if found is None else found.listen()

    async def end(self, headers: Headers, session: str | None) -> Reply:  # noqa: ARG002 (as in the port)
        """Ends a session; its processes go in the background."""
        found = None if session is None else self._sessions.pop(session, None)
        if found is None:
            return _no_session(session)
        self._later(found.close())
        return Reply(204, body=b"")

    async def close(self) -> None:
        """Ends all children and what they started. Requests under way fail."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for session in list(self._sessions.values()):
            self._later(session.close())
        if self._shared is not None:
            self._later(self._close_shared(self._shared))
        while self._closing:
            await asyncio.wait(self._closing)

    async def _initialize(self, message: Outgoing) -> Reply:
        if len(self._sessions) >= self._max_children:
            text = f"The limit of {self._max_children} sessions is reached; end one first."
            return _refusal(message, 503, text, rpc_code=-32603)
        session_id = secrets.token_urlsafe(24)
        session = Session(self._command, self._answer_timeout_s, lambda: self._ended(session_id))
        self._sessions[session_id] = session
        try:
            await session.start()
            reply = await session.send(message)
        except BaseException:
            self._drop(session_id, session)
            raise
        if splice.get(reply.body or b"", "result") is None:
            self._drop(session_id, session)
            return reply
        self._watch_idle()
        return Reply(reply.status, (*reply.headers, (SESSION_HEADER, session_id.encode())), body=reply.body)

    def _drop(self, session_id: str, session: Session) -> None:
        self._sessions.pop(session_id, None)
        self._later(session.close())

    def _ended(self, session_id: str) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self._later(session.close())

    async def _modern(self) -> Shared:
        if self._shared is None:
            pause_s = self._not_before - monotonic()
            if pause_s > 0:
                raise Unreachable(f"The MCP server keeps failing; it is started again in {pause_s:.1f} s.")
            self._shared = asyncio.get_running_loop().create_task(self._start_shared())
            self._shared.add_done_callback(self._shared_started)
        return await asyncio.shield(self._shared)

    async def _start_shared(self) -> Shared:
        shared = Shared(
            self._command,
            self._answer_timeout_s,
            lambda: self._shared_ended(shared),
            sole_client=self._sole_client,
        )
        await shared.start()
        return shared

    def _shared_started(self, starting: asyncio.Task[Shared]) -> None:
        if starting.cancelled() or starting.exception() is not None:
            self._shared_failed()
        else:
            self._watch_idle()

    def _shared_ended(self, shared: Shared) -> None:
        self._later(shared.close())
        if shared.has_answered:
            self._failures = 0
            self._shared = None
        else:
            self._shared_failed()

    def _shared_failed(self) -> None:
        """A server that ends before its first answer is not started again at once."""
        self._shared = None
        self._not_before = monotonic() + min(_FIRST_PAUSE_S * 2**self._failures, _LONGEST_PAUSE_S)
        self._failures = min(self._failures + 1, 16)

    async def _close_shared(self, starting: asyncio.Task[Shared]) -> None:
        await asyncio.wait((starting,))
        if not starting.cancelled() and starting.exception() is None:
            await starting.result().close()

    def _conversations(self) -> list[Conversation]:
        found: list[Conversation] = list(self._sessions.values())
        shared = self._shared
        if shared is not None and shared.done() and not shared.cancelled() and shared.exception() is None:
            found.append(shared.result())
        return found

    def _watch_idle(self) -> None:
        if self._sweep is None and not self._is_closed:
            self._sweep = asyncio.get_running_loop().call_later(self._idle_s / 4, self._end_idle)

    def _end_idle(self) -> None:
        self._sweep = None
        for conversation in self._conversations():
            if not conversation.is_busy and monotonic() - conversation.last_used >= self._idle_s:
                self._later(conversation.close())
        if self._conversations():
            self._watch_idle()

    def _later(self, closing: Coroutine[Any, Any, None]) -> None:
        """Closes in the background: a client that ends a session need not wait for the process to go."""
        task = asyncio.get_running_loop().create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _refusal(message: Outgoing, status: int, text: str, *, rpc_code: int = -32600) -> Reply:
    return Reply(status, JSON, body=denial.error(msgspec.json.encode(message.id), rpc_code, text))


def _no_session(session: str | None) -> Reply:
    if session is None:
        return Reply(400, JSON, body=denial.error(b"null", -32600, "A session id is needed; initialize first."))
    return Reply(404, JSON, body=denial.error(b"null", -32600, "No such session; initialize again."))
