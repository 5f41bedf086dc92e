"""Where a connection's answers go: written whole or as they come, no faster than the client reads. Knows no MCP."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from sidecar.downstream.request import BODILESS, NO_HEAD, Pairs, Request, Whole, begin, whole
from sidecar.ports import let_go


class Outlet:
    """The `Writer` of one connection. `transport` is None once the client is gone: then nothing is written.

    `request` is the one that is being answered; it learns whether its answer has begun, and whether the connection
    stays.
    """

    __slots__ = ("_lasting", "_unsent_bytes", "_writable", "request", "transport")

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.request = Request(NO_HEAD, False, False)
        self._writable: asyncio.Future[None] | None = None
        self._unsent_bytes = 0
        self._lasting: asyncio.Task[None] | None = None

    @property
    def lasts(self) -> bool:
        """Whether what is being sent is a stream that ends only when somebody leaves."""
        return self._lasting is not None

    async def write(self, status: int, headers: Pairs, body: bytes) -> None:
        """Sends a whole answer."""
        if self.transport is not None:
            self.request.begun = True
            for part in whole(status, headers, body, self.request):
                self.transport.write(part)
            if self._writable is not None:
                await self._writable

    async def stream(
        self, status: int, headers: Pairs, chunks: AsyncGenerator[bytes, None], *, lasting: bool = False
    ) -> None:
        """Sends an answer as it comes, each part at once. One that is `lasting` ends when the gateway leaves."""
        request, transport = self.request, self.transport
        if transport is None:
            await let_go(chunks)
            return
        if status in BODILESS:
            await let_go(chunks)
            await self.write(status, headers, b"")
            return
        request.begun = True
        request.keeps_alive = request.keeps_alive and request.is_chunkable
        try:
            transport.write(begin(status, headers, request))
        except BaseException:
            await let_go(chunks)
            raise
        if lasting:
            await self._until_left(transport, chunks)
        else:
            await self._send(transport, chunks)
        if request.is_chunkable:
            transport.write(b"0\r\n\r\n")

    async def _send(self, transport: asyncio.Transport, chunks: AsyncGenerator[bytes, None]) -> None:
        framed = self.request.is_chunkable
        async with aclosing(chunks) as parts:
            async for part in parts:
                if part:
                    transport.write(b"%x\r\n%b\r\n" % (len(part), part) if framed else part)
                if self._writable is not None:
                    await self._writable

    async def _until_left(self, transport: asyncio.Transport, chunks: AsyncGenerator[bytes, None]) -> None:
        self._lasting = sending = asyncio.ensure_future(self._send(transport, chunks))
        try:
            await asyncio.wait([sending])
        except asyncio.CancelledError:
            sending.cancel()
            await asyncio.wait([sending])
            raise
        finally:
            self._lasting = None
        if not sending.cancelled():
            sending.result()

    def leave(self) -> None:
        """Ends a stream that would last, in order."""
        if self._lasting is not None:
            self._lasting.cancel()

    def end(self, refusal: Whole | None) -> None:
        """Sends this refusal, if any, of what is no whole request; then nothing more. What still comes is read."""
        if self.transport is not None:
            if refusal is not None:
                for part in whole(*refusal, Request(NO_HEAD, False, False)):
                    self.transport.write(part)
            try:
                self.transport.write_eof()
            except NotImplementedError:  # TLS: there is no half of a connection to close
                self.transport.close()
                return
            except OSError:
                pass
            self.transport.resume_reading()

    def pause(self) -> None:
        """The client is behind: whoever writes next waits after it."""
        self._writable = asyncio.get_running_loop().create_future()
        self.unsent_bytes()

    def resume(self) -> None:
        """The client has caught up, or is gone."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def unsent_bytes(self) -> int:
        """How much of what was written the client has left to us. `moves` compares with the last time."""
        self._unsent_bytes = 0 if self.transport is None else self.transport.get_write_buffer_size()
        return self._unsent_bytes

    def moves(self) -> bool:
        """Whether the client has taken some of that since."""
        return self._unsent_bytes > self.unsent_bytes()
