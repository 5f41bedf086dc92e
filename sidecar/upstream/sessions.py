"""The sessions of a server of the handshake era that we speak to ourselves: one conversation each. No message is read.

How a conversation reaches the server (a process, a stream) is its `Remote`'s to know. Source: mcp-gateway.md G40, G47.
"""

import asyncio
import secrets
from collections.abc import Coroutine, Sequence
from time import monotonic
from typing import Any

import msgspec

from sidecar.core import denial, splice
from sidecar.errors import Unreachable
from sidecar.ports import Headers, Outgoing, Reply
from sidecar.upstream.calls import JSON
from sidecar.upstream.conversation import Conversation
from sidecar.upstream.session import Session
from sidecar.upstream.wire import Remote

SESSION_HEADER = b"mcp-session-id"


class SessionUpstream:
    """The port `Upstream` over conversations of our own. The modern era is refused, so that a client falls back.

    `answer_timeout_s` bounds the wait for each message of an answer (None: no bound). A conversation without traffic,
    requests and listener for `idle_s` is ended.
    """

    def __init__(self, remote: Remote, *, answer_timeout_s: float | None, idle_s: float, max_sessions: int) -> None:
        self._remote = remote
        self._answer_timeout_s = answer_timeout_s
        self._idle_s = idle_s
        self._max_sessions = max_sessions
        self._sessions: dict[str, Session] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def send(self, message: Outgoing) -> Reply:
        """Forwards one message. Raises: Unreachable (nothing was written), TimedOut, Broken."""
        if self._is_closed:
            raise Unreachable("The gateway is stopping.")
        if message.modern:
            return refusal(message, 400, "This server needs a session; initialize first.")
        if message.session is None:
            if message.method != "initialize" or message.id is None:
                return refusal(message, 400, "A session id is needed; initialize first.")
            return await self._initialize(message)
        session = self._sessions.get(message.session)
        if session is None:
            return refusal(message, 404, "No such session; initialize again.")
        return await session.send(message)

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        """The stream of what the session's server says on its own, or one taken up again; ends with the session."""
        found = None if session is None else self._sessions.get(session)
        return _no_session(session) if found is None else found.listen(headers)

    async def end(self, headers: Headers, session: str | None) -> Reply:  # noqa: ARG002 (as in the port)
        """Ends a session; what it holds goes in the background."""
        found = None if session is None else self._sessions.pop(session, None)
        if found is None:
            return _no_session(session)
        self._later(found.close())
        return Reply(204, body=b"")

    async def close(self) -> None:
        """Ends all sessions. Requests under way fail."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for session in list(self._sessions.values()):
            self._later(session.close())
        while self._closing:
            await asyncio.wait(self._closing)

    async def _initialize(self, message: Outgoing) -> Reply:
        if len(self._sessions) >= self._max_sessions:
            text = f"The limit of {self._max_sessions} sessions is reached; end one first."
            return refusal(message, 503, text, rpc_code=-32603)
        session_id = secrets.token_urlsafe(24)
        session = Session(self._remote, self._answer_timeout_s, lambda: self._ended(session_id))
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

    @property
    def conversations(self) -> int:
        """How many are open."""
        return len(self._conversations())

    def _conversations(self) -> Sequence[Conversation]:
        """All that may be idle."""
        return list(self._sessions.values())

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


def refusal(message: Outgoing, status: int, text: str, *, rpc_code: int = -32600) -> Reply:
    """The answer to a message that is not sent."""
    return Reply(status, JSON, body=denial.error(msgspec.json.encode(message.id), rpc_code, text))


def _no_session(session: str | None) -> Reply:
    if session is None:
        return Reply(400, JSON, body=denial.error(b"null", -32600, "A session id is needed; initialize first."))
    return Reply(404, JSON, body=denial.error(b"null", -32600, "No such session; initialize again."))
