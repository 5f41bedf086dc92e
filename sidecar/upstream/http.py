"""An MCP server behind HTTP: the client's own bytes forwarded, its answer relayed. No policy here.

Source: mcp-gateway.md G18, G19, G22, G25, G48, G51–G53.
"""

import ssl
from collections.abc import AsyncGenerator, Callable, Mapping

from sidecar.core import sse
from sidecar.core.headers import RESPONSE
from sidecar.errors import Broken
from sidecar.http1 import Client, Response
from sidecar.ports import Event, Headers, Outgoing, Reply
from sidecar.upstream.address import Address

_SESSION = b"mcp-session-id"
_UNCODED = {b"content-encoding": b"identity", b"transfer-encoding": b"chunked"}
_ENDLESS = frozenset({"subscriptions/listen"})
_KEPT = 256
_SHORT_BYTES = 2048


class HttpUpstream:
    """One fixed URL. `credentials` gives the headers that are ours to send; they are read for every request.

    Units: `first_byte_s` bounds the wait for an answer's head, `idle_s` the silence between two parts of a body
    (None: a stream may be silent for ever), `answer_limit_bytes` a body that has to be read whole.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: Callable[[], Headers] = tuple,
        connect_timeout_s: float = 10.0,
        first_byte_s: float = 300.0,
        idle_s: float | None = None,
        answer_limit_bytes: int = 64 * 1024 * 1024,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        address = Address.of(url, tls)
        self._http = Client(address.origin, connect_timeout_s=connect_timeout_s)
        self._post, self._get, self._delete = (address.head(verb) for verb in ("POST", "GET", "DELETE"))
        self._credentials = credentials
        self._lines: dict[int, tuple[Headers, Headers, bytes]] = {}
        self._first_byte_s = first_byte_s
        self._idle_s = idle_s
        self._limit_bytes = answer_limit_bytes

    async def send(self, message: Outgoing) -> Reply:
        """POSTs one message. Raises: Unreachable (nothing was sent), TimedOut, Broken."""
        data = b"%bcontent-length: %d\r\n%b\r\n%b" % (
            self._post,
            len(message.raw),
            self._head(message.headers, message.session),
            message.raw,
        )
        response = await self._http.request(data, timeout_s=self._first_byte_s)
        return await self._reply(response, endless=message.method in _ENDLESS)

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        """GETs the stream of messages that belong to no request. Raises: UpstreamError."""
        data = b"%b%b\r\n" % (self._get, self._head(headers, session))
        return await self._reply(await self._http.request(data, timeout_s=self._first_byte_s), endless=True)

    async def end(self, headers: Headers, session: str | None) -> Reply:
        """DELETEs a session. Raises: UpstreamError."""
        data = b"%b%b\r\n" % (self._delete, self._head(headers, session))
        return await self._reply(await self._http.request(data, timeout_s=self._first_byte_s), endless=False)

    async def close(self) -> None:
        """Closes every connection."""
        self._http.close()

    def _head(self, headers: Headers, session: str | None) -> bytes:
        ours = self._credentials()
        kept = self._lines.get(id(headers))
        if kept is None or kept[0] is not headers or kept[1] != ours:
            kept = headers, ours, _lines(headers, dict(ours))
            if len(kept[2]) <= _SHORT_BYTES:
                if len(self._lines) >= _KEPT:
                    self._lines.clear()
                self._lines[id(headers)] = kept
        head = kept[2]
        return head if session is None else b"%b%b: %b\r\n" % (head, _SESSION, session.encode("latin-1"))

    async def _reply(self, response: Response, *, endless: bool) -> Reply:
        headers = []
        content_type = b""
        for pair in response.headers:
            name, value = pair
            if name in RESPONSE:
                headers.append(pair)
                if name == b"content-type":
                    content_type = content_type or value
            elif name in _UNCODED and value.lower() != _UNCODED[name]:
                response.close()
                raise Broken("The server compressed its answer although it was asked not to.")
        if content_type.lower().startswith(b"text/event-stream"):
            return Reply(response.status, headers, events=self._events(response))
        if response.body is None and endless:
            return Reply(response.status, headers, chunks=response.chunks(self._idle_s))
        body = response.body
        if body is None:
            body = await response.read(self._limit_bytes, self._idle_s or self._first_byte_s)
        return Reply(response.status, headers, body=body)

    async def _events(self, response: Response) -> AsyncGenerator[Event, None]:
        decoder = sse.Decoder(limit_bytes=self._limit_bytes)
        try:
            async for chunk in response.chunks(self._idle_s):
                for event in decoder.feed(chunk):
                    yield Event(event.data, event.raw)
        finally:
            response.close()


def _lines(headers: Headers, ours: Mapping[bytes, bytes]) -> bytes:
    """The headers as lines: the client's, but for those that are ours to send."""
    passed = [pair for pair in headers if pair[0] not in ours and pair[0] != _SESSION]
    return b"".join(b"%b: %b\r\n" % pair for pair in (*passed, *ours.items()))
