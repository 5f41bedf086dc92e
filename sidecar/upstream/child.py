"""One server process: started, spoken to in lines, and ended with everything it started. No JSON is read here."""

import asyncio
import os
import secrets
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from sidecar.errors import Unreachable
from sidecar.upstream.peer import Peer
from sidecar.upstream.tree import MARK, Tree, dies_with_parent
from sidecar.upstream.wire import STDERR, STDOUT, Receiver

MAX_LINE_BYTES = 16 * 1024 * 1024
_OWN_VARIABLES = "REGATE_"
_POLL_S = 0.02
_PATIENCE_S = 0.5


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


class Child(Peer):
    """A running server process. It leads a session and a process group of its own, so Ctrl-C does not reach it."""

    def __init__(self, command: Command, receiver: Receiver) -> None:
        super().__init__(command.name, receiver, command.max_line_bytes, _PATIENCE_S)
        self._command = command
        self._mark = MARK + secrets.token_hex(8)
        self._open_pipes = {0, STDOUT, STDERR}

    @classmethod
    async def start(cls, command: Command, receiver: Receiver) -> "Child":
        """A running child. Raises: Unreachable (no such command, or it cannot be run)."""
        child = cls(command, receiver)
        await child._begin(child._start())
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

    async def _end(self) -> None:
        grace_s = self._command.grace_s
        if self._stdin is not None:
            self._stdin.close()
        await self._has_exited(grace_s)
        if await self._lives():
            await asyncio.to_thread(self._tree.kill, signal.SIGTERM)
            if not await self._is_gone(grace_s):
                self._tree.kill(signal.SIGKILL)
                await self._is_gone(grace_s)

    def _make_sure(self, ending: asyncio.Task[None]) -> None:
        if ending.cancelled() or ending.exception() is not None:
            self._tree.kill(signal.SIGKILL)
        if 0 in self._open_pipes and self._stdin is not None:
            self._stdin.abort()
        with suppress(PermissionError):
            self._transport.close()

    async def _lives(self) -> bool:
        return not self._exited.is_set() or await asyncio.to_thread(self._tree.is_alive)

    async def _is_gone(self, timeout_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while await self._lives():  # noqa: ASYNC110 (grandchildren tell nobody of their end)
                    await asyncio.sleep(_POLL_S)
                return True
        return False

    def _pipe_ended(self, pipe: int) -> None:
        self._open_pipes.discard(pipe)
        if pipe in (STDOUT, STDERR):
            self._ran_dry(pipe)
        if pipe != STDERR or self._exited.is_set():
            self._weaken()

    @property
    def _is_over(self) -> bool:
        return self._exited.is_set() and self._open_pipes <= {0}

    @property
    def _again(self) -> str:
        return "run the command by hand"

    @property
    def _mark_in_log(self) -> dict[str, str | int]:
        return {"pid": self.pid}

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
        self._child._came(fd, data)

    def pipe_connection_lost(self, fd: int, _exc: Exception | None) -> None:
        self._child._pipe_ended(fd)

    def process_exited(self) -> None:
        self._child._exited.set()
        self._child._weaken()

    def pause_writing(self) -> None:
        self._child._writable.clear()

    def resume_writing(self) -> None:
        self._child._writable.set()


def _not_started(command: Command, error: OSError | ValueError) -> str:
    program = command.argv[0]
    if isinstance(error, FileNotFoundError):
        if command.cwd is not None and error.filename == command.cwd:
            return f"The MCP server's folder {command.cwd} does not exist."
        return f"The MCP server's command {program} was not found."
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"The MCP server's command {program} cannot be run: {reason}."
