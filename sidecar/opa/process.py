"""OPA as a supervised child on a private unix socket: started, watched, restarted, stopped without a trace.

Nothing here knows policy; what OPA shall hold lies in `BUNDLE` before it starts (`opa.bundles` puts it there).
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog

from sidecar.errors import DecisionError, DecisionOffShape, DecisionUndefined, OpaUnreachable, SettingsError
from sidecar.http1 import Origin
from sidecar.opa import leftovers
from sidecar.opa.client import OpaClient
from sidecar.opa.words import Words

BUNDLE = "policy/bundle.tar.gz"
"""Where the bundle lies in the runtime directory: alone in its folder, since OPA reloads on any change in there."""

_REVISIONS = "mcp/gate/revisions"
_SOCKET = "opa.sock"
_SOCKET_PATH_BYTES = 107
_BODY_BYTES = 16 * 1024 * 1024
_ASK_AGAIN_S = 0.02

_DIE_WITH_PARENT = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL)\n"  # 1 is PR_SET_PDEATHSIG
    "if os.getppid() != int(sys.argv[1]): sys.exit(1)\n"
    "try: os.execv(sys.argv[2], sys.argv[2:])\n"
    "except OSError as error: sys.exit(f'{sys.argv[2]}: {error.strerror}')\n"
)
"""Run first on Linux, so that no OPA outlives a killed gateway. A program of its own and not a `preexec_fn`: Python
code between fork and exec may deadlock in a process with threads."""


Ask = Callable[[str, bytes], Awaitable[bytes]]


class _Held(msgspec.Struct):
    result: dict[str, str] | None = None


_decode = msgspec.json.Decoder(_Held).decode


async def revisions(ask: Ask) -> dict[str, str]:
    """What OPA holds: policy id → revision. Raises: DecisionError."""
    try:
        held = _decode(await ask(_REVISIONS, b"{}")).result
    except (msgspec.MsgspecError, ValueError) as error:
        raise DecisionOffShape("OPA's answer is not a list of revisions.") from error
    if held is None:
        raise DecisionUndefined("OPA holds no bundle of ours: mcp.gate.revisions is undefined.")
    return held


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things may take. `misses` unanswered health questions in a row mean that OPA hangs."""

    start_s: float = 10.0
    stop_s: float = 3.0
    first_delay_s: float = 0.1
    last_delay_s: float = 5.0
    good_service_s: float = 10.0
    health_every_s: float = 1.0
    health_wait_s: float = 2.0
    misses: int = 3


def runtime_directory() -> Path:
    """A new folder that only we can enter, whose socket path is short enough whatever TMPDIR says.

    Raises: SettingsError (no folder can be made).
    """
    try:
        directory = Path(tempfile.mkdtemp(prefix=leftovers.PREFIX))
        if len(os.fsencode(directory / _SOCKET)) > _SOCKET_PATH_BYTES:
            directory.rmdir()
            directory = Path(tempfile.mkdtemp(prefix=leftovers.PREFIX, dir="/tmp"))
        (directory / BUNDLE).parent.mkdir(mode=0o700)
    except OSError as error:
        raise SettingsError(
            f"No temporary folder can be made: {error.strerror}.", hint="Set TMPDIR to a folder that can be written."
        ) from error
    leftovers.remove(directory.parent, time.time())
    return directory


class OpaProcess:
    """One OPA. `start` once, `stop` once; in between it is restarted whenever it ends or hangs."""

    def __init__(self, binary: Path, directory: Path, *, pace: Pace | None = None, log: Any = None) -> None:
        self._binary = binary.absolute()
        self._directory = directory
        self._pace = pace or Pace()
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._claim: int | None = None
        self._log = log or structlog.get_logger("sidecar.opa")
        self._words = Words(self._log)
        self.socket_path = directory / _SOCKET
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The child's process id, or None while there is none."""
        return self._process.pid if self.alive and self._process is not None else None

    @property
    def alive(self) -> bool:
        """True while the child runs; it may still hang (then the watchdog ends it)."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Returns once OPA answers with the bundle's revisions. Raises: OpaUnreachable, in OPA's own words."""
        try:
            self._claim = _claimed(self._directory)
            process = await self._spawn()
            await self._answers(process)
        except BaseException:
            await self.stop()
            raise
        self._supervisor = asyncio.create_task(self._supervise(process))

    async def stop(self) -> None:
        """Ends OPA, by force if it does not end in time, and removes the runtime directory."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        try:
            if self._process is not None:
                await self._end(self._process)
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)
            if self._claim is not None:
                os.close(self._claim)
                self._claim = None

    async def _spawn(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *_command(self._binary),
            cwd=self._directory,
            env=_environment(self._directory),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._process = process
        assert process.stdout is not None
        self._words.listen(process.stdout)
        return process

    async def _answers(self, process: asyncio.subprocess.Process) -> None:
        ended = asyncio.create_task(process.wait())
        client = OpaClient(Origin(socket_path=str(self.socket_path)), timeout_s=self._pace.health_wait_s)
        problem = "It does not answer."
        try:
            async with asyncio.timeout(self._pace.start_s):
                while not ended.done():
                    try:
                        await revisions(client.ask)
                        return
                    except DecisionError as error:
                        problem = str(error)
                    await asyncio.wait({ended}, timeout=_ASK_AGAIN_S)
        except TimeoutError as error:
            raise OpaUnreachable(f"OPA was not ready within {self._pace.start_s:g} s. {problem}") from error
        finally:
            ended.cancel()
            await client.close()
        raise OpaUnreachable(
            f"OPA ended at its start (exit code {process.returncode}): {await self._words.last(self._pace.stop_s)}"
        )

    async def _supervise(self, process: asyncio.subprocess.Process) -> None:
        loop = asyncio.get_running_loop()
        delay_s = self._pace.first_delay_s
        while True:
            started = loop.time()
            await self._attend(process)
            if loop.time() - started >= self._pace.good_service_s:
                delay_s = self._pace.first_delay_s
            self._log.error(
                "opa_ended",
                exit_code=process.returncode,
                said=await self._words.last(self._pace.stop_s),
                restart_in_s=delay_s,
            )
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, self._pace.last_delay_s)
            try:
                process = await self._spawn()
                self.restarts += 1
            except OSError as error:
                self._log.error("opa_not_started", reason=error.strerror)

    async def _attend(self, process: asyncio.subprocess.Process) -> None:
        """Returns when this child has ended, on its own or by the watchdog."""
        watchdog = asyncio.create_task(self._watch(process))
        try:
            await process.wait()
        finally:
            watchdog.cancel()
            await asyncio.gather(watchdog, return_exceptions=True)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kills a child that stays silent. One that still loads its first bundle is given `start_s`."""
        pace, loop = self._pace, asyncio.get_running_loop()
        ready_by = loop.time() + pace.start_s
        client = OpaClient(Origin(socket_path=str(self.socket_path)), timeout_s=pace.health_wait_s)
        misses = 0
        try:
            while misses < pace.misses:
                await asyncio.sleep(pace.health_every_s)
                try:
                    await client.ask(_REVISIONS, b"{}")
                    misses, ready_by = 0, loop.time()
                except OpaUnreachable:
                    misses += loop.time() >= ready_by
                except DecisionError:
                    misses = 0
        finally:
            await client.close()
        self._log.error("opa_hangs", unanswered=misses)
        _signal(process, signal.SIGKILL)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        try:
            if process.returncode is None:
                _signal(process, signal.SIGTERM)
            async with asyncio.timeout(self._pace.stop_s):
                await process.wait()
        except TimeoutError:
            self._log.warning("opa_killed", reason=f"It did not end within {self._pace.stop_s:g} s.")
        finally:
            _signal(process, signal.SIGKILL)
            await process.wait()
            await self._words.last(self._pace.stop_s)


def _claimed(directory: Path) -> int:
    """A lock on the folder, which keeps systemd-tmpfiles from tidying it away under a gateway that runs for weeks."""
    claim = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(claim, fcntl.LOCK_SH)
    return claim


def _command(binary: Path) -> list[str]:
    """Paths are relative to the runtime directory: whatever TMPDIR is called, OPA never has to parse it."""
    opa = [str(binary), "run", "--server", "--addr", f"unix://{_SOCKET}", "--unix-socket-perm", "600"]
    opa += ["--skip-version-check", "--log-level", "error", "--set", f"server.decoding.max_length={_BODY_BYTES}"]
    opa += ["--watch", "--bundle", BUNDLE]
    if sys.platform != "linux":
        return opa
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *opa]


def _environment(directory: Path) -> dict[str, str]:
    """Nothing of ours that could be a secret: a policy can read OPA's environment (opa.md section 3, trap 7)."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"HOME": str(directory), "TMPDIR": str(directory), "GOGC": "400"}


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """To all that the child started as well: a binary may be a script around OPA."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
