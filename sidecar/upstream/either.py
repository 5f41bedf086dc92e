"""A URL that may be of either HTTP transport: the newer is tried first, and the answer to `initialize` decides.

Source: mcp-gateway.md G47; MCP 2025-11-25, transports, backwards compatibility.
"""

from collections.abc import Awaitable

from sidecar.errors import UpstreamError
from sidecar.ports import Headers, Outgoing, Reply, Upstream

_NOT_THIS_ONE = frozenset({400, 404, 405})


class EitherUpstream:
    """The port `Upstream` over `newer`, or over `older` where only that answers `initialize`."""

    def __init__(self, newer: Upstream, older: Upstream) -> None:
        self._newer = newer
        self._older = older
        self._chosen = newer
        self._is_sure = False

    def send(self, message: Outgoing) -> Awaitable[Reply]:
        """Forwards one message. Raises: UpstreamError."""
        return self._chosen.send(message) if self._is_sure else self._try(message)

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        """As the chosen one's. Raises: UpstreamError."""
        return await self._chosen.listen(headers, session)

    async def end(self, headers: Headers, session: str | None) -> Reply:
        """As the chosen one's. Raises: UpstreamError."""
        return await self._chosen.end(headers, session)

    @property
    def older(self) -> Upstream:
        """The one that is tried second."""
        return self._older

    async def close(self) -> None:
        """Closes both."""
        await self._newer.close()
        await self._older.close()

    async def _try(self, message: Outgoing) -> Reply:
        reply = await self._chosen.send(message)
        if self._is_sure or message.method is None:
            return reply
        if message.method != "initialize" or reply.status not in _NOT_THIS_ONE:
            self._is_sure = 200 <= reply.status < 300
            return reply
        try:
            other = await self._older.send(message)
        except UpstreamError:
            return reply
        await reply.drop()
        self._chosen, self._is_sure = self._older, True
        return other
