"""A server that is spoken to in lines and may end at any time: what is alike for a process and for a container.

No JSON is read here, and nothing is started.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any

from sidecar.core.lines import LineSplitter, Overlong, one_line
from sidecar.errors import Unreachable
from sidecar.upstream import journal
from sidecar.upstream.wire import STDERR, Death, Receiver

_LOG_LINE_BYTES = 8 * 1024
_LAST_WORDS = 300


class Peer(ABC):
    """One server. Its lines and its end are told to `receiver`; `name` is the server's, for the log.

    Units: `patience_s` is how long what is still on its way may take after a first sign of the end.
    """

    def __init__(self, name: str, receiver: Receiver, max_line_bytes: int, patience_s: float) -> None:
        self._name = name
        self._receiver = receiver
        self._patience_s = patience_s
        self._out = LineSplitter(max_line_bytes)
        self._err = LineSplitter(_LOG_LINE_BYTES)
        self._stdin: asyncio.WriteTransport | None = None
        self._writing = asyncio.Lock()
        self._writable = asyncio.Event()
        self._writable.set()
        self._exited = asyncio.Event()
        self._last_words = ""
        self._death: Death | None = None
        self._falter: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether lines can still be exchanged."""
        stdin = self._stdin
        return self._death is None and self._ending is None and stdin is not None and not stdin.is_closing()

    async def write(self, message: bytes) -> None:
        """Writes one message as a line, in the order of the calls; waits while the server does not read.

        Raises: Unreachable (the server is gone, so nothing of it was written).
        """
        if self._writing.locked() or not self._writable.is_set():
            async with self._writing:
                await self._writable.wait()
                self._write(message)
        else:
            self._write(message)

    def write_soon(self, message: bytes) -> None:
        """Writes one message behind those written so far, if the server is still there."""
        if self.is_alive and self._stdin is not None:
            self._stdin.write(one_line(message))

    async def close(self) -> None:
        """Ends the server: its input is closed, it is asked to end, then made to. Goes on if the caller does not."""
        await asyncio.wait((self._begin_end(),))

    async def _begin(self, start: Coroutine[Any, Any, None]) -> None:
        """Starts it. A caller that does not wait leaves nothing behind: what has started by then is ended."""
        starting = asyncio.ensure_future(start)
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(lambda done: done.cancelled() or done.exception() or self._begin_end())
            raise

    @abstractmethod
    async def _end(self) -> None:
        """Ends what runs, step by step."""

    @abstractmethod
    def _make_sure(self, ending: asyncio.Task[None]) -> None:
        """The end of the ending, also when the event loop stops in the middle of it, or before it has begun."""

    @property
    @abstractmethod
    def _is_over(self) -> bool:
        """Whether it has exited, and nothing it said is still to be read."""

    @abstractmethod
    def _obituary(self) -> str:
        """How it ended, in one line."""

    @property
    @abstractmethod
    def _again(self) -> str:
        """How a person starts it to see what it says."""

    @property
    @abstractmethod
    def _mark_in_log(self) -> dict[str, str | int]:
        """By which the log tells it from another of its name."""

    def _write(self, message: bytes) -> None:
        if not self.is_alive or self._stdin is None:
            died = self._death or Death(self._obituary(), self._hint())
            raise Unreachable(died.message, hint=died.hint)
        self._stdin.write(one_line(message))

    def _begin_end(self) -> asyncio.Task[None]:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end())
            self._ending.add_done_callback(self._make_sure)
            self._report()
        return self._ending

    def _came(self, stream: int, data: bytes) -> None:
        self._heard(stream, (self._err if stream == STDERR else self._out).feed(data))

    def _ran_dry(self, stream: int) -> None:
        self._heard(stream, (self._err if stream == STDERR else self._out).end())

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
        journal.info("server_stderr", server=self._name, line=text, **self._mark_in_log)

    def _weaken(self) -> None:
        """A first sign of the end. What is still on its way is read before it is told, but not for long."""
        if self._is_over:
            self._report()
        elif self._falter is None:
            self._falter = asyncio.get_running_loop().call_later(self._patience_s, self._report)

    def _report(self) -> None:
        if self._falter is not None:
            self._falter.cancel()
        if self._death is None:
            self._death = Death(self._obituary(), self._hint())
            self._writable.set()
            self._receiver.died(self._death)
            self._begin_end()

    async def _has_exited(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._exited.wait()
        except TimeoutError:
            return self._exited.is_set()
        return True

    def _hint(self) -> str:
        if self._last_words:
            return f"It last wrote on stderr: {self._last_words}"
        return f"It wrote nothing on stderr; {self._again} to see why."
