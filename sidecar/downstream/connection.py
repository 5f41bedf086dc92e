"""One client's connection: uvicorn's, made safe against what comes before and beside requests. Knows no MCP.

uvicorn bounds neither a request's head, in bytes or time, nor what is not body behind it; it adds trailers to headers
that have been checked; and of pipelined requests, it tells only the last that the client has gone.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES = 64 * 1024
HEAD_S = 15.0


class Connection(HttpToolsProtocol):
    """At most `HEAD_BYTES`, give or take a read, come without any of a body; a head is whole within `HEAD_S`.

    A request pipelined behind another waits no longer than that either.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._in_head = False
        self._progress = False
        self._barren_bytes = 0
        self._patience: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)
        running = self._running
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()

    def data_received(self, data: bytes) -> None:
        self._progress = False
        super().data_received(data)
        self._barren_bytes = 0 if self._progress else self._barren_bytes + len(data)
        if self._barren_bytes > HEAD_BYTES:
            self.transport.abort()
        elif self._patience is None and (self._in_head or self._is_idle()):
            self._wait()

    def on_message_begin(self) -> None:
        self._in_head = self._progress = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._wait_no_more()
        super().on_headers_complete()
        if self.pipeline:
            self._wait()

    def on_body(self, body: bytes) -> None:
        self._progress = True
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: the request is refused, and its refusal recorded, by whoever answers it."""

    def _is_idle(self) -> bool:
        return self._running is None or self._running.response_complete

    def _wait(self) -> None:
        self._patience = self.loop.call_later(HEAD_S, self._lose_patience)

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        """Ends the connection, unless an answer is on its way and nothing waits behind it: then there is time.

        While a whole request waits, uvicorn does not read, and would not notice that the client has gone.
        """
        self._patience = None
        if self._is_idle() or self.pipeline:
            self.transport.abort()
        elif self._in_head:
            self._wait()
