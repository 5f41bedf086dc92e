"""The standard streams as a wire: claimed, read in chunks, written in lines. What the lines say is not known here."""

import asyncio
import fcntl
import os
import stat
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress

_CHUNK_BYTES = 64 * 1024
_FIRST_OWN_FD = 3


def claim() -> tuple[int, int]:
    """Descriptors of the wire, to read and to write. From now on fd 0 is empty and what is printed goes to stderr."""
    read_fd = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, _FIRST_OWN_FD)
    write_fd = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, _FIRST_OWN_FD)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:
        os.dup2(nothing, 1)
    os.close(nothing)
    return read_fd, write_fd


async def read_chunks(fd: int) -> AsyncGenerator[bytes, None]:
    """What comes on a descriptor, until its end. The descriptor is closed, unless it is a file or a terminal."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(_CHUNK_BYTES)
    if not _is_pollable(fd):
        threading.Thread(target=_feed, args=(fd, reader, loop), daemon=True).start()
        while chunk := await reader.read(_CHUNK_BYTES):
            yield chunk
        return
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
    )
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            yield chunk
    finally:
        transport.close()


def _feed(fd: int, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
    """Reads what cannot be polled. A daemon thread: it may hang in a read when the gateway stops."""
    with suppress(RuntimeError):
        try:
            while chunk := os.read(fd, _CHUNK_BYTES):
                fed = threading.Event()
                loop.call_soon_threadsafe(_feed_one, reader, chunk, fed)
                fed.wait()
        except OSError:
            pass
        loop.call_soon_threadsafe(reader.feed_eof)


def _feed_one(reader: asyncio.StreamReader, chunk: bytes, fed: threading.Event) -> None:
    reader.feed_data(chunk)
    fed.set()


class LineWriter:
    """Writes whole lines to a descriptor, each at once, and waits while its reader does not read."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._flow = _Flow()
        self._transport: asyncio.WriteTransport | None = None

    async def open(self) -> None:
        """Makes ready to write. To be called once, first."""
        if _is_pollable(self._fd):
            transport, _ = await asyncio.get_running_loop().connect_write_pipe(
                lambda: self._flow, os.fdopen(self._fd, "wb", buffering=0)
            )
            self._transport = transport

    @property
    def lost(self) -> asyncio.Event:
        """Set once nobody reads any more."""
        return self._flow.lost

    async def write(self, line: bytes) -> None:
        """Writes a line, its line end included. A line that nobody can read is dropped; see `lost`."""
        if self._transport is None:
            self._write_all(line)
        elif not self.lost.is_set():
            self._transport.write(line)
            await self._flow.ready.wait()

    async def close(self, timeout_s: float) -> None:
        """Waits, for a time, until what was written is read."""
        if self._transport is None:
            return
        self._transport.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.lost.wait()
        if not self.lost.is_set():
            self._transport.abort()

    def _write_all(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            self.lost.set()


class _Flow(asyncio.Protocol):
    """Whether a pipe takes more, and whether it is still there."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.ready.set()
        self.lost = asyncio.Event()

    def pause_writing(self) -> None:
        self.ready.clear()

    def resume_writing(self) -> None:
        self.ready.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.lost.set()
        self.ready.set()


def _is_pollable(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
