"""One server in a container: started, spoken to in lines, and removed. No JSON is read here.

What Docker is asked is `dockerd`'s; how a server that is a command is run, `child`'s.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sidecar.core.lines import LineSplitter, Overlong, one_line
from sidecar.errors import SidecarError, StoreError, Unreachable
from sidecar.upstream import journal
from sidecar.upstream.child import MAX_LINE_BYTES
from sidecar.upstream.dockerd import Daemon, Running, Spec
from sidecar.upstream.frames import STDERR, FrameSplitter, Unframed
from sidecar.upstream.leases import Lease
from sidecar.upstream.wire import Death, Receiver

_LOG_LINE_BYTES = 8 * 1024
_LAST_WORDS = 300
_FALTER_S = 2.0
_KILLED = 137


@dataclass(slots=True)
class Image:
    """How to start a server from an image. `state` holds the notes of what was started, to be found after a crash.

    Units: `grace_s` is waited twice at the end: for the server to go by itself, and after SIGTERM.
    """

    spec: Spec
    state: Path
    name: str = "container"
    max_line_bytes: int = MAX_LINE_BYTES
    grace_s: float = 2.0
    _daemon: Daemon | None = field(default=None, init=False, repr=False)
    _lease: Lease | None = field(default=None, init=False, repr=False)
    _first: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def open(self, receiver: Receiver) -> "Container":
        """A new container. Raises: Unreachable."""
        async with self._first:
            if self._daemon is None:
                self._daemon = await asyncio.to_thread(self._begin)
        return await Container.start(self, self._daemon, self._lease_name(), receiver)

    def _begin(self) -> Daemon:
        """The daemon; what gateways left there that ended without a chance to clean up is removed first."""
        daemon = Daemon()
        daemon.reap(self.state, lambda server, id_: journal.warning("container_reaped", server=server, container=id_))
        try:
            self._lease = self._lease or Lease(self.state)
        except StoreError as error:
            raise Unreachable(str(error), hint="Containers are noted there before they start.") from error
        return daemon

    def _lease_name(self) -> str:
        assert self._lease is not None
        return self._lease.name


class Container:
    """A running container, attached to."""

    def __init__(self, image: Image, daemon: Daemon, receiver: Receiver) -> None:
        self._image = image
        self._daemon = daemon
        self._receiver = receiver
        self._frames = FrameSplitter()
        self._out = LineSplitter(image.max_line_bytes)
        self._err = LineSplitter(_LOG_LINE_BYTES)
        self._writing = asyncio.Lock()
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._code: int | None = None
        self._is_open = True
        self._last_words = ""
        self._death: Death | None = None
        self._falter: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._container: Any = None
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    async def start(cls, image: Image, daemon: Daemon, lease: str, receiver: Receiver) -> "Container":
        """A running container. Raises: Unreachable."""
        container = cls(image, daemon, receiver)
        starting = asyncio.ensure_future(container._start(lease))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(lambda done: done.cancelled() or done.exception() or container._begin_end())
            raise
        return container

    async def _start(self, lease: str) -> None:
        image, loop = self._image, asyncio.get_running_loop()
        self._container = await asyncio.to_thread(self._daemon.create, image.spec, image.name, lease)
        running = await asyncio.to_thread(self._daemon.start, self._container, image.spec)
        threading.Thread(target=self._attend, args=(running, loop), name=f"end of {image.name}", daemon=True).start()
        streams = running.streams
        streams.setblocking(False)
        if streams.family == socket.AF_UNIX:
            await loop.create_unix_connection(lambda: _Wire(self), sock=streams)
        else:
            await loop.create_connection(lambda: _Wire(self), sock=streams)

    def _attend(self, running: Running, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread of its own, since the answer comes when the container ends."""
        code = running.wait()
        with suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(self._exited, code)

    @property
    def id(self) -> str:
        """The container's id."""
        return str(self._container.id)

    @property
    def is_alive(self) -> bool:
        """Whether lines can still be exchanged."""
        return self._death is None and self._ending is None

    async def write(self, message: bytes) -> None:
        """Writes one message as a line, in the order of the calls; waits while the server does not read.

        Raises: Unreachable (the server is gone, so nothing of it was written).
        """
        async with self._writing:
            await self._writable.wait()
            if not self.is_alive or self._transport is None:
                died = self._death or Death("The MCP server has been ended.", "")
                raise Unreachable(died.message, hint=died.hint)
            self._transport.write(one_line(message))

    def write_soon(self, message: bytes) -> None:
        """Writes one message behind those written so far, if the server is still there."""
        if self.is_alive and self._transport is not None:
            self._transport.write(one_line(message))

    async def close(self) -> None:
        """Ends the container: its input is closed, then SIGTERM, then it is removed by force."""
        await asyncio.wait((self._begin_end(),))

    def _begin_end(self) -> asyncio.Task[None]:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end())
            self._ending.add_done_callback(self._make_sure)
            self._report()
        return self._ending

    async def _end(self) -> None:
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()
        if not await self._has_gone(self._image.grace_s):
            await asyncio.to_thread(self._daemon.kill, self._container, "SIGTERM")
            await self._has_gone(self._image.grace_s)
        await asyncio.to_thread(self._daemon.remove, self._container)

    def _make_sure(self, ending: asyncio.Task[None]) -> None:
        """The end of the ending, also when the event loop stops in the middle of it."""
        if ending.cancelled() or (error := ending.exception()) is not None:
            with suppress(SidecarError):
                self._daemon.remove(self._container)
            if not ending.cancelled() and error is not None:
                journal.warning("container_not_removed", server=self._image.name, fault=str(error))
        if self._transport is not None:
            self._transport.abort()

    async def _has_gone(self, timeout_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._gone.wait()
        return self._gone.is_set()

    def _connected(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport

    def _came(self, data: bytes) -> None:
        try:
            pieces = self._frames.feed(data)
        except Unframed as error:
            self._last_words = str(error)
            self._begin_end()
            return
        for stream, piece in pieces:
            self._heard(stream, (self._err if stream == STDERR else self._out).feed(piece))

    def _heard(self, stream: int, lines: list[bytes | Overlong]) -> None:
        for line in lines:
            if stream == STDERR:
                self._log(line)
            elif isinstance(line, Overlong):
                self._receiver.overlong(line)
            else:
                self._receiver.received(line)

    def _log(self, line: bytes | Overlong) -> None:
        text = (line.head if isinstance(line, Overlong) else line).decode(errors="replace").rstrip()
        self._last_words = "".join(mark if mark.isprintable() else " " for mark in text[:_LAST_WORDS])
        journal.info("server_stderr", server=self._image.name, container=self._container.short_id, line=text)

    def _exited(self, code: int | None) -> None:
        self._code = code
        self._gone.set()
        self._weaken()

    def _disconnected(self) -> None:
        self._is_open = False
        self._heard(1, self._out.end())
        self._heard(STDERR, self._err.end())
        self._weaken()

    def _weaken(self) -> None:
        """A first sign of the end. What is still on its way is read before it is told, but not for long."""
        if self._gone.is_set() and not self._is_open:
            self._report()
        elif self._falter is None:
            self._falter = asyncio.get_running_loop().call_later(_FALTER_S, self._report)

    def _report(self) -> None:
        if self._falter is not None:
            self._falter.cancel()
        if self._death is None:
            self._death = Death(self._obituary(), self._hint())
            self._writable.set()
            self._receiver.died(self._death)
            self._begin_end()

    def _obituary(self) -> str:
        who = f"The MCP server (image {self._image.spec.image})"
        if self._ending is not None:
            return f"{who} has been ended."
        if not self._gone.is_set():
            return f"{who} closed its output."
        if self._code == _KILLED:
            return f"{who} was killed; its memory limit is {self._image.spec.memory_mb} MB."
        return f"{who} exited with code {self._code}." if self._code is not None else f"{who} is gone."

    def _hint(self) -> str:
        if self._last_words:
            return f"It last wrote on stderr: {self._last_words}"
        return f"It wrote nothing on stderr; run `docker run -i {self._image.spec.image}` by hand to see why."


class _Wire(asyncio.Protocol):
    """The event loop's side of a container."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._container._connected(cast(asyncio.WriteTransport, transport))

    def data_received(self, data: bytes) -> None:
        self._container._came(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        self._container._disconnected()

    def pause_writing(self) -> None:
        self._container._writable.clear()

    def resume_writing(self) -> None:
        self._container._writable.set()
