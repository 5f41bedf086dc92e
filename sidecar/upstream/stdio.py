"""An MCP server that speaks in lines: a child for each session, and one for the modern era. No message is read.

What a child is (a process, a container) is its `Remote`'s to know.

The two eras never share a child: a server may lock itself to the era of its first message. Source: mcp-gateway.md G44.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from time import monotonic
from typing import Any

from sidecar.errors import Unreachable
from sidecar.ports import Outgoing, Reply
from sidecar.upstream.child import MAX_LINE_BYTES, Command
from sidecar.upstream.conversation import Conversation
from sidecar.upstream.sessions import SessionUpstream, refusal
from sidecar.upstream.shared import Shared
from sidecar.upstream.wire import Remote

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


class LineUpstream(SessionUpstream):
    """The port `Upstream` over whatever speaks in lines: a child for each session, and one for all of the modern era.

    `sole_client`: whoever sends is one and the same client.
    """

    def __init__(
        self,
        remote: Remote,
        *,
        answer_timeout_s: float | None = 300.0,
        idle_s: float = 1800.0,
        max_children: int = 64,
        sole_client: bool = False,
    ) -> None:
        super().__init__(remote, answer_timeout_s=answer_timeout_s, idle_s=idle_s, max_sessions=max_children)
        self._sole_client = sole_client
        self._shared: asyncio.Task[Shared] | None = None
        self._failures = 0
        self._not_before = 0.0

    async def send(self, message: Outgoing) -> Reply:
        """Forwards one message. Raises: Unreachable (nothing was written), TimedOut, Broken."""
        if not message.modern or self._is_closed:
            return await super().send(message)
        if message.method is None:
            return refusal(message, 400, "A client of this revision sends no answers.")
        if message.method == "initialize":  # it would lock the child that all share to the other era
            return refusal(message, 404, "This revision has no initialize.", rpc_code=-32601)
        return await (await self._modern()).send(message)

    async def close(self) -> None:
        """Ends all children and what they started. Requests under way fail."""
        if self._shared is not None:
            self._later(self._close_shared(self._shared))
        await super().close()

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
            self._remote,
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

    def _conversations(self) -> Sequence[Conversation]:
        shared = self._shared
        if shared is None or not shared.done() or shared.cancelled() or shared.exception() is not None:
            return super()._conversations()
        return [*super()._conversations(), shared.result()]


class StdioUpstream(LineUpstream):
    """The port `Upstream` over a command."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        *,
        name: str = "stdio",
        max_line_bytes: int = MAX_LINE_BYTES,
        grace_s: float = 2.0,
        withhold: Collection[str] = (),
        **bounds: Any,
    ) -> None:
        super().__init__(Command(tuple(command), env or {}, cwd, name, withhold, max_line_bytes, grace_s), **bounds)
