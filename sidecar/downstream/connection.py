"""One client's HTTP/1.1 connection: requests read within bounds, answered one at a time. Knows no MCP.

Everything a client can hold up or blow up is bounded here: heads and bodies, in bytes and time; what is pipelined; what
is not read. A request is admitted on its head alone, before its body is waited for. Source: RFC 9112.
"""

import asyncio
from collections import deque
from typing import cast

import httptools

from sidecar.downstream.guard import RequestRefused, too_large
from sidecar.downstream.outlet import Outlet
from sidecar.downstream.request import FINAL, NO_HEAD, Head, Request, Service, Whole, path, whole
from sidecar.errors import SidecarError

HEAD_BYTES = 64 * 1024
HELD = 16
HEAD_S = 15.0
BODY_S = 15.0
KEPT_S = 75.0
LINGER_S = 2.0
SWEEP_S = 1.0

_NEVER = float("inf")


class Connection(asyncio.Protocol):
    """Reads requests and has them answered in order; `all_` holds every open connection.

    At most `HEAD_BYTES`, give or take a read, come without any of a body. A head is whole within `HEAD_S`, a body
    within `BODY_S`. Behind the request that is answered wait, no longer than `HEAD_S`, some `HELD` more with at most
    `HEAD_BYTES` of body each; the rest is not read until it is its turn. `sweep` keeps these times.
    """

    def __init__(self, service: Service, all_: "set[Connection]") -> None:
        self._service = service
        self._all = all_
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._arriving: Request | None = None
        self._queue: deque[Request] = deque()
        self._target = b""
        self._headers: dict[bytes, list[bytes]] = {}
        self._length: bytes | None = None
        self._last = NO_HEAD
        self._in_head = False
        self._progress = False
        self._barren_bytes = 0
        self._deaf = False
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._outlet = Outlet()
        self._deadline = self._loop.time() + HEAD_S

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = self._outlet.transport = cast(asyncio.Transport, transport)
        self._all.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = self._outlet.transport = None
        self._all.discard(self)
        self._deaf = True
        self._queue.clear()
        self._outlet.resume()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._outlet.pause()

    def resume_writing(self) -> None:
        self._outlet.resume()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._progress = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True
        except httptools.HttpParserCallbackError as error:
            self._loop.call_exception_handler({"message": "A request could not be read.", "exception": error})
            self.abort()
            return
        except httptools.HttpParserError:
            self._refuse_rest()
            return
        arriving = self._arriving
        if arriving is not None and arriving.refusal is not None and self._is_idle():
            self._end_with(arriving.refusal)
            return
        self._barren_bytes = 0 if self._progress else self._barren_bytes + len(data)
        if self._barren_bytes > HEAD_BYTES:
            self.abort()

    def on_message_begin(self) -> None:
        self._in_head = self._progress = True
        self._target = b""
        self._headers = {}
        self._length = None
        if self._is_idle():
            self._deadline = self._loop.time() + HEAD_S

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            name = name.lower()
            if name == b"content-length":
                self._length = value
                return
            values = self._headers.get(name)
            if values is None:
                self._headers[name] = [value]
            else:
                values.append(value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        method, last = self._parser.get_method().decode("latin-1"), self._last
        twin = last if last.headers == self._headers and last.method == method else None
        head = self._last = Head(method, path(self._target), self._headers, self._length, twin)
        request = self._arriving = Request(head, is_1_1=self._parser.get_http_version() == "1.1")
        if self._is_idle():
            self._deadline = self._loop.time() + BODY_S
            self._admit(request)
        else:
            self._hold(request)

    def on_body(self, body: bytes) -> None:
        self._progress = True
        request = self._arriving
        assert request is not None
        request.size_bytes += len(body)
        if request.refusal is not None:
            return
        if request.size_bytes > self._service.body_limit_bytes:
            self._refuse(request, too_large(self._service.body_limit_bytes))
            return
        request.body.append(body)
        if self._queue and request.size_bytes > HEAD_BYTES:
            self._pause()

    def on_message_complete(self) -> None:
        request = self._arriving
        assert request is not None
        self._arriving = None
        request.complete = True
        request.keeps_alive = request.keeps_alive and self._parser.should_keep_alive()
        if not self._queue:
            self._begin(request)

    def sweep(self, now: float) -> None:
        """Ends what is late at this time of the loop."""
        if now < self._deadline:
            return
        arriving = self._arriving
        if arriving is not None and self._is_idle() and not self._deaf:
            self._refuse(arriving, RequestRefused(408, "The body took too long to arrive."))
            assert arriving.refusal is not None
            self._end_with(arriving.refusal)
        else:
            self.abort()

    def stop(self) -> "asyncio.Task[None] | None":
        """Closes the connection, after the answer under way, whose task this is."""
        self._stopping = True
        if self._task is None and self._transport is not None:
            self._transport.close()
        return self._task

    def abort(self) -> None:
        """Drops the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _is_idle(self) -> bool:
        return self._task is None and not self._queue

    def _hold(self, request: Request) -> None:
        """Keeps a request behind the one that is being answered. Reads on, or it would miss that the client goes."""
        self._queue.append(request)
        self._deadline = self._loop.time() + HEAD_S
        if len(self._queue) >= HELD:
            self._pause()

    def _pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def _admit(self, request: Request) -> None:
        try:
            request.answering = self._service.admit(request.head)
        except SidecarError as error:
            self._refuse(request, error)

    def _refuse(self, request: Request, error: SidecarError) -> None:
        request.body.clear()
        request.refusal = self._service.refuse(request.head, error)
        if request.refusal[0] in FINAL:
            request.keeps_alive = False

    def _refuse_rest(self) -> None:
        """Hears no more; answers what is no request, unless others are answered first."""
        self._deaf = True
        if self._is_idle():
            self._end_with(self._service.refuse(None, RequestRefused(400, "This is not an HTTP request.")))

    def _end_with(self, refusal: Whole) -> None:
        """Answers before a request is whole; then all that is left is that the client takes it and goes."""
        self._deaf = True
        self._deadline = self._loop.time() + LINGER_S
        if self._transport is not None:
            self._transport.write(whole(*refusal, Request(NO_HEAD, is_1_1=False)))
            self._transport.write_eof()

    def _begin(self, request: Request) -> None:
        """Has a whole request answered."""
        self._deadline = self._loop.time() + HEAD_S if self._queue else _NEVER
        self._outlet.request = request
        self._task = self._loop.create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        try:
            if request.answering is None or request.refusal is not None:
                assert request.refusal is not None
                await self._outlet.write(*request.refusal)
            else:
                body = request.body
                await request.answering(body[0] if len(body) == 1 else b"".join(body), self._outlet)
        except asyncio.CancelledError:
            if self._transport is not None:
                self.abort()
                raise
        except Exception as error:
            self._loop.call_exception_handler({"message": "A request could not be answered.", "exception": error})
            await self._fail(request)
        finally:
            self._task = None
        self._next(request)

    async def _fail(self, request: Request) -> None:
        request.keeps_alive = False
        if request.begun:
            self.abort()
        else:
            await self._outlet.write(500, [], b"")

    def _next(self, answered: Request) -> None:
        transport = self._transport
        if transport is None:
            return
        if not answered.keeps_alive or self._deaf or self._stopping:
            transport.close()
        elif not self._queue:
            self._deadline = self._loop.time() + (HEAD_S if self._in_head else KEPT_S)
        else:
            request = self._queue.popleft()
            if not self._queue:
                transport.resume_reading()
            self._admit(request)
            if request.complete:
                self._begin(request)
            elif request.refusal is not None:
                self._end_with(request.refusal)
            else:
                self._deadline = self._loop.time() + BODY_S
