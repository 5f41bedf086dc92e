"""One server process: started, spoken to in lines, and ended with everything it started. No JSON is read here."""

import asyncio
import os
import secrets
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from sidecar.core.lines import LineSplitter, Overlong, one_line
from sidecar.errors import Unreachable
from sidecar.upstream import journal
from sidecar.upstream.tree import MARK, Tree, dies_with_parent
from sidecar.upstream.wire import Death, Receiver

MAX_LINE_BYTES = 16 * 1024 * 1024
_OWN_VARIABLES = "REGATE_"
_LOG_LINE_BYTES = 8 * 1024
_LAST_WORDS = 300
_POLL_S = 0.02
_FALTER_S = 0.5


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a server. `withhold` names variables of ours that it must not inherit.

    Units: `grace_s` is waited twice at the end: for the server to go by itself, and after SIGTERM.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    name: str = "stdio"
    withhold: Collection[str] = ()
    max_line_bytes: int = MAX_LINE_BYTES
    grace_s: float = 2.0

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """What the server inherits, without our own settings and secrets, and what it is given."""
        kept = {
            name: value
            for name, value in inherited.items()
            if name not in self.withhold and (name.startswith(MARK) or not name.startswith(_OWN_VARIABLES))
        }
        return kept | dict(self.env)

    async def open(self, receiver: Receiver) -> "Child":
        """A new process. Raises: Unreachable."""
        return await Child.start(self, receiver)


class Child:
    """A running server process. It leads a session and a process group of its own, so Ctrl-C does not reach it."""

    def __init__(self, command: Command, receiver: Receiver) -> None:
        self._command = command
        self._receiver = receiver
        self._mark = MARK + secrets.token_hex(8)
        self._out = LineSplitter(command.max_line_bytes)
        self._err = LineSplitter(_LOG_LINE_BYTES)
        self._writing = asyncio.Lock()
        self._writable = asyncio.Event()
        self._writable.set()
        self._exited = asyncio.Event()
        self._open_pipes = {0, 1, 2}
        self._last_words = ""
        self._death: Death | None = None
        self._falter: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, command: Command, receiver: Receiver) -> "Child":
        """A running child. Raises: Unreachable (no such command, or it cannot be run)."""
        child = cls(command, receiver)
        starting = asyncio.ensure_future(child._start())
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(lambda done: done.exception() or child._begin_end())
            raise
        return child

    async def _start(self) -> None:
        command = self._command
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: _Wire(self),
                *command.argv,
                env=command.environment(os.environ) | {self._mark: "1"},
                cwd=command.cwd,
                start_new_session=True,
                preexec_fn=dies_with_parent(),
            )
        except (OSError, ValueError) as error:
            raise Unreachable(_not_started(command, error), hint="Check the command and its folder.") from error

    def _started(self, transport: asyncio.SubprocessTransport) -> None:
        self._transport = transport
        self._stdin = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
        self._tree = Tree(transport.get_pid(), self._mark)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._transport.get_pid()

    @property
    def is_alive(self) -> bool:
        """Whether lines can still be exchanged."""
        return self._death is None and self._ending is None

    async def write(self, message: bytes) -> None:
        """Writes one message as a line, in the order of the calls; waits while the child does not read.

        Raises: Unreachable (the child is gone, so nothing of it was written).
        """
        if self._writing.locked() or not self._writable.is_set():
            async with self._writing:
                await self._writable.wait()
                self._write(message)
        else:
            self._write(message)

    def write_soon(self, message: bytes) -> None:
        """Writes one message behind those written so far, if the child is still there."""
        if self.is_alive:
            self._stdin.write(one_line(message))

    def _write(self, message: bytes) -> None:
        if not self.is_alive:
            died = self._death or Death("The MCP server has been ended.", _hint(""))
            raise Unreachable(died.message, hint=died.hint)
        self._stdin.write(one_line(message))

    async def close(self) -> None:
        """Ends the child and its tree: stdin is closed, then SIGTERM, then SIGKILL. Goes on if the caller does not."""
        await asyncio.wait((self._begin_end(),))

    def _begin_end(self) -> asyncio.Task[None]:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end())
            self._ending.add_done_callback(self._make_sure)
            self._report()
        return self._ending

    async def _end(self) -> None:
        grace_s = self._command.grace_s
        self._stdin.close()
        await self._has_exited(grace_s)
        if await self._lives():
            await asyncio.to_thread(self._tree.kill, signal.SIGTERM)
            if not await self._is_gone(grace_s):
                self._tree.kill(signal.SIGKILL)
                await self._is_gone(grace_s)

    def _make_sure(self, ending: asyncio.Task[None]) -> None:
        """The end of the ending, also when the event loop stops in the middle of it, or before it has begun."""
        if ending.cancelled() or ending.exception() is not None:
            self._tree.kill(signal.SIGKILL)
        if 0 in self._open_pipes:
            self._stdin.abort()
        with suppress(PermissionError):
            self._transport.close()

    async def _has_exited(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._exited.wait()

    async def _lives(self) -> bool:
        return not self._exited.is_set() or await asyncio.to_thread(self._tree.is_alive)

    async def _is_gone(self, timeout_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while await self._lives():  # noqa: ASYNC110 (grandchildren tell nobody of their end)
                    await asyncio.sleep(_POLL_S)
                return True
        return False

    def _heard(self, pipe: int, lines: list[bytes | Overlong]) -> None:
        for line in lines:
            if pipe == 2:
                self._log(line)
            elif isinstance(line, Overlong):
                self._receiver.overlong(line)
            else:
                self._receiver.received(line)

    def _log(self, line: bytes | Overlong) -> None:
        text = (line.head if isinstance(line, Overlong) else line).decode(errors="replace").rstrip()
        self._last_words = "".join(mark if mark.isprintable() else " " for mark in text[:_LAST_WORDS])
        journal.info("server_stderr", server=self._command.name, pid=self.pid, line=text)

    def _pipe_ended(self, pipe: int) -> None:
        self._open_pipes.discard(pipe)
        if pipe == 1:
            self._heard(pipe, self._out.end())
        elif pipe == 2:
            self._heard(pipe, self._err.end())
        if pipe != 2 or self._exited.is_set():
            self._weaken()

    def _weaken(self) -> None:
        """A first sign of the end. What is still in the pipes is read before it is told, but not for long."""
        if self._exited.is_set() and self._open_pipes <= {0}:
            self._report()
        elif self._falter is None:
            self._falter = asyncio.get_running_loop().call_later(_FALTER_S, self._report)

    def _report(self) -> None:
        if self._falter is not None:
            self._falter.cancel()
        if self._death is None:
            self._death = Death(self._obituary(), _hint(self._last_words))
            self._writable.set()
            self._receiver.died(self._death)
            self._begin_end()

    def _obituary(self) -> str:
        program = os.path.basename(self._command.argv[0])  # noqa: PTH119 (a word of a command, not always a path)
        code = self._transport.get_returncode()
        if self._ending is not None:
            return f"The MCP server ({program}) has been ended."
        if code is None:
            return f"The MCP server ({program}) closed its input or output."
        if code < 0:
            return f"The MCP server ({program}) was killed by signal {-code}."
        return f"The MCP server ({program}) exited with code {code}."


class _Wire(asyncio.SubprocessProtocol):
    """The event loop's side of a child."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._child._started(cast(asyncio.SubprocessTransport, transport))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        child = self._child
        child._heard(fd, (child._out if fd == 1 else child._err).feed(data))

    def pipe_connection_lost(self, fd: int, _exc: Exception | None) -> None:
        self._child._pipe_ended(fd)

    def process_exited(self) -> None:
        self._child._exited.set()
        self._child._weaken()

    def pause_writing(self) -> None:
        self._child._writable.clear()

    def resume_writing(self) -> None:
        self._child._writable.set()


def _hint(last_words: str) -> str:
    if last_words:
        return f"It last wrote on stderr: {last_words}"
    return "It wrote nothing on stderr; run the command by hand to see why."


def _not_started(command: Command, error: OSError | ValueError) -> str:
    program = command.argv[0]
    if isinstance(error, FileNotFoundError):
        if command.cwd is not None and error.filename == command.cwd:
            return f"The MCP server's folder {command.cwd} does not exist."
        return f"The MCP server's command {program} was not found."
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"The MCP server's command {program} cannot be run: {reason}."
