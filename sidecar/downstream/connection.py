"""One client's HTTP/1.1 connection: requests read within bounds, answered one at a time. Knows no MCP.

Everything a client can hold up or blow up is bounded here: heads and bodies, in bytes and time; what is pipelined; what
is not read. A request is admitted on its head alone, before its body is waited for. Source: RFC 9112.
"""

import asyncio
from collections import deque
from typing import cast

import httptools

from sidecar.downstream.bounds import BODY_S, CROWD, HALF_S, HEAD_BYTES, HEAD_S, HELD, KEPT_S, LINGER_S, STALL_S
from sidecar.downstream.correlation import UNDER_WAY
from sidecar.downstream.guard import RequestRefused, too_large
from sidecar.downstream.heads import Heads
from sidecar.downstream.outlet import Outlet
from sidecar.downstream.repeats import Repeats
from sidecar.downstream.request import Request, Service, Whole
from sidecar.errors import SidecarError

SWEEP_S = 1.0

_NEVER = float("inf")
_FAULT: Whole = (500, [], b"")


class Connection(asyncio.Protocol):
    """Reads requests and has them answered in order at `outlet`; `all_` holds every open connection.

    What a client can hold up is bounded by `bounds`; `sweep`, every `SWEEP_S`, keeps those of time.
    """

    def __init__(self, service: Service, all_: "set[Connection]") -> None:
        self._service, self._limit_bytes = service, service.body_limit_bytes
        self._all = all_
        self._loop = asyncio.get_running_loop()
        self._heads = Heads()
        self.on_url, self.on_header = self._heads.on_url, self._heads.on_header
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._arriving: Request | None = None
        self._whole: Request | None = None
        self._repeats = Repeats()
        self._queue: deque[Request] = deque()
        self._barren_bytes = 0
        self._rest: SidecarError | None = None
        self._progress = self._deaf = self._waning = self._stopping = False
        self._most_s = _NEVER
        self._task: asyncio.Task[None] | None = None
        self.outlet = Outlet()
        self._deadline = self._loop.time() + HEAD_S

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = self.outlet.transport = cast(asyncio.Transport, transport)
        self._all.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Lets go of everything; a parser that knew its connection would keep both until the garbage is collected."""
        self._transport = self.outlet.transport = self._arriving = self._whole = self._rest = None
        self._deaf = True
        self._queue.clear()
        del self._parser
        self.outlet.resume()
        if self._task is None:
            self._all.discard(self)
        else:
            self._task.add_done_callback(self._forget)
            self._task.cancel()

    def pause_writing(self) -> None:
        self.outlet.pause()
        self._deadline = min(self._deadline, self._loop.time() + STALL_S)

    def resume_writing(self) -> None:
        self.outlet.resume()
        if self._task is not None:
            self._deadline = self._patience()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._progress = False
        at_rest = self._arriving is None and not self._heads.is_open and self._is_idle()
        if at_rest and len(data) <= self._limit_bytes and (again := self._repeats.read(data)) is not None:
            self._barren_bytes = 0
            self._admit(again)
            self._begin(again)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, RequestRefused):
                self._refuse_rest(error.__context__)
            else:
                self._loop.call_exception_handler({"message": "A request could not be read.", "exception": error})
                self.abort()
            return
        except httptools.HttpParserError:
            self._refuse_rest(RequestRefused(400, "This is not an HTTP request."))
            return
        arriving = self._arriving
        if arriving is not None and arriving.refusal is not None and self._is_idle():
            self._end(arriving.refusal)
            return
        whole, self._whole = self._whole, None
        if at_rest and whole is not None:
            self._repeats.learn(data, whole)
        self._barren_bytes = 0 if self._progress else self._barren_bytes + len(data)
        if self._barren_bytes > HEAD_BYTES:
            self.abort()

    def eof_received(self) -> bool:
        """Whether a client that says no more is still answered: it may have gone, so not for long (G24)."""
        if self._task is None or self._transport is None or not self._transport.can_write_eof():
            return False
        self._deaf = self._stopping = True
        self._most_s = HALF_S
        self._deadline = min(self._deadline, self._patience())
        return True

    def on_message_begin(self) -> None:
        self._progress = True
        self._heads.begin()
        if self._is_idle():
            self._deadline = self._loop.time() + HEAD_S

    def on_headers_complete(self) -> None:
        head = self._heads.end(self._parser.get_method().decode("latin-1"))
        is_1_1 = self._parser.get_http_version() == "1.1"
        request = self._arriving = Request(head, is_1_1, is_1_1)
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
        if request.size_bytes > self._limit_bytes:
            self._refuse(request, too_large(self._limit_bytes))
            return
        request.take(body)
        if self._queue and request.size_bytes > HEAD_BYTES:
            self._pause()

    def on_message_complete(self) -> None:
        request = self._arriving
        assert request is not None
        self._arriving, self._whole = None, request
        request.complete = True
        parser = self._parser
        request.keeps_alive = request.keeps_alive and parser.should_keep_alive() and not parser.should_upgrade()
        if not self._queue:
            self._begin(request)

    def sweep(self, now: float) -> None:
        """Ends what is late at this time of the loop."""
        if now < self._deadline:
            return
        arriving = self._arriving
        if arriving is not None and self._is_idle() and not self._deaf:
            self._end(self._service.refuse(arriving.head, RequestRefused(408, "The body took too long to arrive.")))
        elif self.outlet.moves():
            self._deadline = now + STALL_S
        else:
            self.abort()

    def wane(self) -> None:
        """The client is to come back elsewhere: the next answer with none behind it says so, and is the last."""
        self._waning = True

    def stop(self) -> "asyncio.Task[None] | None":
        """Closes the connection, after what came of requests so far is answered; the task is the answer under way."""
        self._stopping = self._waning = True
        expects = not self._deaf and (self._arriving is not None or self._heads.is_open)
        if self._is_idle() and not expects and self._transport is not None:
            self._transport.close()
        return self._task

    def abort(self) -> None:
        """Drops the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _forget(self, _given_up: "asyncio.Task[None]") -> None:
        """Leaves once the answer, which may never have begun, has come to its end: whoever stops us waits for that."""
        self._task = None
        self._all.discard(self)

    def _is_idle(self) -> bool:
        return self._task is None and not self._queue

    def _hold(self, request: Request) -> None:
        """Keeps a request behind the one that is being answered. Reads on, or it would miss that the client goes."""
        if len(self._queue) >= CROWD:
            raise RequestRefused(429, f"More than {CROWD} requests came at once.")
        self._queue.append(request)
        self._deadline = self._loop.time() + HEAD_S
        if len(self._queue) >= HELD:
            self._pause()

    def _pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def _admit(self, request: Request) -> None:
        try:
            request.admit(self._service)
        except Exception as error:
            self._loop.call_exception_handler({"message": "A request could not be admitted.", "exception": error})
            request.refusal, request.keeps_alive = _FAULT, False

    def _refuse(self, request: Request, error: SidecarError) -> None:
        request.refuse(self._service.refuse(request.head, error))

    def _refuse_rest(self, error: RequestRefused) -> None:
        """Hears no more; what cannot be read is refused once the requests before it are answered."""
        self._deaf = True
        if self._is_idle():
            self._end(self._service.refuse(None, error))
        else:
            self._rest = error

    def _end(self, refusal: Whole | None = None) -> None:
        """Says no more than this; all that is left is that the client takes what was said, and goes."""
        self._deaf = True
        self.outlet.end(refusal)
        self._deadline = self._loop.time() + (STALL_S if self.outlet.unsent_bytes() else LINGER_S)

    def _patience(self) -> float:
        """Until when an answer may take: for ever, unless others wait behind it, or the client may have gone."""
        return self._loop.time() + min(HEAD_S if self._queue else _NEVER, self._most_s)

    def _begin(self, request: Request) -> None:
        """Has a whole request answered."""
        self._deadline = self._patience()
        self.outlet.request = request
        if self._waning and not self._queue:
            request.keeps_alive = False
        self._task = self._loop.create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        task = self._task
        UNDER_WAY[task] = request.head
        try:
            if request.refusal is not None:
                await self.outlet.write(*request.refusal)
            else:
                assert request.answering is not None
                await request.answering(bytes(request.body), self.outlet)
        except asyncio.CancelledError:
            if self._transport is not None:
                self.abort()
                raise
        except Exception as error:
            self._loop.call_exception_handler({"message": "A request could not be answered.", "exception": error})
            request.keeps_alive = False
            if request.begun:
                self.abort()
            else:
                await self.outlet.write(*_FAULT)
        finally:
            self._task = None
            del UNDER_WAY[task]
        self._next(request)

    def _next(self, answered: Request) -> None:
        transport = self._transport
        if transport is None:
            return
        queue = self._queue
        if self._stopping and not queue:
            transport.close()
        elif not answered.keeps_alive:
            self._end()
        elif queue and (queue[0].complete or self._rest is None):
            request = queue.popleft()
            if not queue:
                transport.resume_reading()
            if request.refusal is None:
                self._admit(request)
            if request.complete:
                self._begin(request)
            elif request.refusal is not None:
                self._end(request.refusal)
            else:
                self._deadline = self._loop.time() + BODY_S
        elif self._rest is not None:
            self._end(self._service.refuse(None, self._rest))
        else:
            self._deadline = self._loop.time() + (HEAD_S if self._heads.is_open else KEPT_S)
