"""An MCP server of the oldest HTTP transport: one event stream that answers, and an endpoint that takes messages.

No policy here, and no message is read. Source: mcp-gateway.md G47; MCP 2024-11-05, transports, HTTP with SSE.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from sidecar.core import sse
from sidecar.errors import Broken, Unreachable, UpstreamError
from sidecar.http1 import Client, Response
from sidecar.ports import Headers
from sidecar.upstream import journal
from sidecar.upstream.address import Address
from sidecar.upstream.sessions import SessionUpstream
from sidecar.upstream.wire import Death, Receiver

_MESSAGE = frozenset((b"", b"message"))
_ENDPOINT = b"endpoint"
_BODY_BYTES = 64 * 1024
_HINT = "Look at the server's own log."


class SseUpstream(SessionUpstream):
    """The port `Upstream` over HTTP+SSE: a stream for each session. `credentials` are sent with every request.

    Units: `answer_timeout_s` bounds each wait for an answer, `endpoint_s` that for a new stream's first event.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "sse",
        credentials: Callable[[], Headers] = tuple,
        answer_timeout_s: float = 300.0,
        idle_s: float = 1800.0,
        max_sessions: int = 64,
        endpoint_s: float = 10.0,
        max_event_bytes: int = 16 * 1024 * 1024,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._site = Site(
            Address.of(url, tls), name, credentials, max_event_bytes, endpoint_s, post_s=answer_timeout_s / 2
        )
        super().__init__(self._site, answer_timeout_s=answer_timeout_s, idle_s=idle_s, max_sessions=max_sessions)

    async def close(self) -> None:
        """Ends all sessions and closes every connection."""
        await super().close()
        self._site.close()


class Site:
    """The `Remote` of a URL."""

    def __init__(
        self,
        address: Address,
        name: str,
        credentials: Callable[[], Headers],
        max_line_bytes: int,
        endpoint_s: float,
        *,
        post_s: float,
    ) -> None:
        self.name = name
        self.max_line_bytes = max_line_bytes
        self._address = address
        self._credentials = credentials
        self._endpoint_s = endpoint_s
        self._post_s = post_s
        self._http = Client(address.origin, connect_timeout_s=endpoint_s)

    async def open(self, receiver: Receiver) -> "Line":
        """A new stream, once it has said where messages go. Raises: Unreachable."""
        get = b"%baccept: text/event-stream\r\n%b\r\n" % (self._address.head("GET"), self._shown())
        try:
            response = await self._http.request(get, timeout_s=self._endpoint_s)
        except UpstreamError as error:
            raise Unreachable(f"The MCP server opens no stream: {error}") from error
        if response.status != 200 or not response.header(b"content-type").lower().startswith(b"text/event-stream"):
            response.close()
            raise Unreachable(f"The MCP server opens no stream (status {response.status}).")
        events = self._events(response)
        try:
            async with asyncio.timeout(self._endpoint_s):
                endpoint = await self._endpoint(events)
        except BaseException as error:
            await events.aclose()
            response.close()
            if isinstance(error, (TimeoutError, UpstreamError)):
                raise Unreachable(f"The MCP server does not say where messages go: {error}".rstrip(": ")) from error
            raise
        return Line(self, endpoint, events, receiver)

    async def post(self, endpoint: Address, message: bytes) -> None:
        """Sends one message. Raises: Unreachable (it was not sent, or is refused), TimedOut, Broken."""
        head = b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n"
        data = head % (endpoint.head("POST"), len(message), self._shown()) + message
        response = await self._http.request(data, timeout_s=self._post_s)
        if response.body is None:
            await response.read(_BODY_BYTES, self._post_s)
        if 200 <= response.status < 300:
            return
        refused = f"The MCP server takes no message (status {response.status})."
        raise Broken(refused) if response.status >= 500 else Unreachable(refused)

    def close(self) -> None:
        """Closes every connection."""
        self._http.close()

    def _shown(self) -> bytes:
        return b"".join(b"%b: %b\r\n" % pair for pair in self._credentials())

    async def _endpoint(self, events: AsyncGenerator[sse.SseEvent, None]) -> Address:
        async for event in events:
            if event.kind == _ENDPOINT:
                return self._address.beside(event.data.decode(errors="replace"))
        raise Broken("its stream ended.")

    async def _events(self, response: Response) -> AsyncGenerator[sse.SseEvent, None]:
        decoder = sse.Decoder(limit_bytes=self.max_line_bytes)
        try:
            async for chunk in response.chunks():
                for event in decoder.feed(chunk):
                    yield event
        finally:
            response.close()


class Line:
    """The `Wire` of one stream and its endpoint."""

    def __init__(
        self, site: Site, endpoint: Address, events: AsyncGenerator[sse.SseEvent, None], receiver: Receiver
    ) -> None:
        self._site = site
        self._endpoint = endpoint
        self._receiver = receiver
        self._death: Death | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._begin(self._read(events))

    async def write(self, message: bytes) -> None:
        """Sends one message. Raises: Unreachable, TimedOut, Broken."""
        if self._death is not None:
            raise Unreachable(self._death.message, hint=self._death.hint)
        await self._site.post(self._endpoint, message)

    def write_soon(self, message: bytes) -> None:
        """Sends one message in the background, if the stream is still there."""
        if self._death is None:
            self._begin(self._told(message))

    async def close(self) -> None:
        """Ends the stream."""
        self._report(Death("The session with the MCP server has been ended.", _HINT))
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, events: AsyncGenerator[sse.SseEvent, None]) -> None:
        text = "The MCP server closed its stream."
        try:
            async with aclosing(events) as incoming:
                async for event in incoming:
                    if event.data and event.kind in _MESSAGE:
                        self._receiver.received(event.data)
        except UpstreamError as error:
            text = f"The MCP server's stream broke: {error}"
        self._report(Death(text, _HINT))

    async def _told(self, message: bytes) -> None:
        try:
            await self._site.post(self._endpoint, message)
        except UpstreamError as error:
            journal.info("server_not_told", server=self._site.name, fault=str(error))

    def _report(self, death: Death) -> None:
        if self._death is None:
            self._death = death
            self._receiver.died(death)

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
