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

from sidecar.errors import SidecarError, StoreError, Unreachable
from sidecar.upstream import journal
from sidecar.upstream.child import MAX_LINE_BYTES
from sidecar.upstream.dockerd import Daemon, Running, Spec
from sidecar.upstream.frames import FrameSplitter, Unframed
from sidecar.upstream.leases import Lease
from sidecar.upstream.peer import Peer
from sidecar.upstream.wire import STDERR, STDOUT, Receiver

_PATIENCE_S = 2.0
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


class Container(Peer):
    """A running container, attached to."""

    def __init__(self, image: Image, daemon: Daemon, receiver: Receiver) -> None:
        super().__init__(image.name, receiver, image.max_line_bytes, _PATIENCE_S)
        self._image = image
        self._daemon = daemon
        self._frames = FrameSplitter()
        self._code: int | None = None
        self._is_open = True
        self._container: Any = None

    @classmethod
    async def start(cls, image: Image, daemon: Daemon, lease: str, receiver: Receiver) -> "Container":
        """A running container. Raises: Unreachable."""
        container = cls(image, daemon, receiver)
        await container._begin(container._start(lease))
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
            loop.call_soon_threadsafe(self._ended, code)

    @property
    def id(self) -> str:
        """The container's id."""
        return str(self._container.id)

    async def _end(self) -> None:
        if self._stdin is not None and not self._stdin.is_closing() and self._stdin.can_write_eof():
            self._stdin.write_eof()
        if not await self._has_exited(self._image.grace_s):
            await asyncio.to_thread(self._daemon.kill, self._container, "SIGTERM")
            await self._has_exited(self._image.grace_s)
        await asyncio.to_thread(self._daemon.remove, self._container)

    def _make_sure(self, ending: asyncio.Task[None]) -> None:
        if ending.cancelled() or (error := ending.exception()) is not None:
            with suppress(SidecarError):
                self._daemon.remove(self._container)
            if not ending.cancelled() and error is not None:
                journal.warning("container_not_removed", server=self._image.name, fault=str(error))
        if self._stdin is not None:
            self._stdin.abort()

    def _connected(self, transport: asyncio.WriteTransport) -> None:
        self._stdin = transport

    def _framed(self, data: bytes) -> None:
        try:
            pieces = self._frames.feed(data)
        except Unframed as error:
            self._last_words = str(error)
            self._begin_end()
            return
        for stream, piece in pieces:
            self._came(stream, piece)

    def _ended(self, code: int | None) -> None:
        self._code = code
        self._exited.set()
        self._weaken()

    def _disconnected(self) -> None:
        self._is_open = False
        self._ran_dry(STDOUT)
        self._ran_dry(STDERR)
        self._weaken()

    @property
    def _is_over(self) -> bool:
        return self._exited.is_set() and not self._is_open

    @property
    def _again(self) -> str:
        return f"run `docker run -i {self._image.spec.image}` by hand"

    @property
    def _mark_in_log(self) -> dict[str, str | int]:
        return {"container": self._container.short_id}

    def _obituary(self) -> str:
        who = f"The MCP server (image {self._image.spec.image})"
        if self._ending is not None:
            return f"{who} has been ended."
        if not self._exited.is_set():
            return f"{who} closed its output."
        if self._code == _KILLED:
            return f"{who} was killed; its memory limit is {self._image.spec.memory_mb} MB."
        return f"{who} exited with code {self._code}." if self._code is not None else f"{who} is gone."


class _Wire(asyncio.Protocol):
    """The event loop's side of a container."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._container._connected(cast(asyncio.WriteTransport, transport))

    def data_received(self, data: bytes) -> None:
        self._container._framed(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        self._container._disconnected()

    def pause_writing(self) -> None:
        self._container._writable.clear()

    def resume_writing(self) -> None:
        self._container._writable.set()
