"""The life of a serving command: signals, the ready file, the note for `regate status`, and how it ends.

What is served is `wiring`'s; an error here is a line and an exit code like everywhere else.
"""

import asyncio
import contextlib
import errno
import json
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sidecar import statedir, telemetry
from sidecar.cli.findings import lines
from sidecar.cli.terminal import note
from sidecar.errors import SettingsError, SidecarError

if TYPE_CHECKING:
    from sidecar.downstream.leaving import Leaving
    from sidecar.settings.model import Settings
    from sidecar.wiring import Ready

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve_http(settings: "Settings", token: str | None, greet: Callable[["Ready"], None]) -> None:
    """Serves over HTTP until told to stop; `greet` is called once calls can be served.

    Raises: SidecarError, typer.Exit when a policy was rejected.
    """
    _configure_log(settings)
    from sidecar.downstream.leaving import Leaving
    from sidecar.wiring import run_http

    leaving = Leaving(settings.drain.announce_s, settings.drain.finish_s)
    statedir.operator_token(settings.state)
    with contextlib.ExitStack() as stack:

        def ready(served: "Ready") -> None:
            here = statedir.Gateway(served.operator_url, served.pid, shares=settings.redis is not None)
            stack.enter_context(statedir.announced(settings.state, here))
            if settings.ready_file is not None:
                stack.enter_context(_ready_file(settings.ready_file, served, token))
            if settings.log_format == "json":
                _greet_in_log(settings, served)
            else:
                with contextlib.suppress(OSError):
                    greet(served)

        _until_stopped(run_http(settings, ready=ready, leaving=leaving), settings, leaving)


def serve_stdio(settings: "Settings") -> None:
    """Serves on stdin and stdout until stdin ends or it is told to stop. Raises: as `serve_http`."""
    _configure_log(settings)
    from sidecar.downstream.leaving import Leaving
    from sidecar.wiring import run_stdio

    _until_stopped(run_stdio(settings), settings, Leaving(0, 0))


def exposure(settings: "Settings") -> str:
    """What the operator should know of who can call, or overhear a call; empty where there is nothing to know."""
    if not settings.auth:
        return "no token is asked for: every program on this machine may call."
    if not settings.is_local and settings.tls is None:
        return "other machines can connect and tokens travel in the clear; set tls, or put TLS in front."
    return ""


def _configure_log(settings: "Settings") -> None:
    from sidecar.downstream.correlation import fields

    telemetry.configure(settings.log_level, form=settings.log_format, about=fields)


def _greet_in_log(settings: "Settings", served: "Ready") -> None:
    log = telemetry.log()
    log.info("Calls are served.", url=served.url, servers=list(settings.servers), operator_url=served.operator_url)
    if exposed := exposure(settings):
        log.warning(f"{exposed[0].upper()}{exposed[1:]}")


@contextlib.contextmanager
def _ready_file(path: Path, served: "Ready", token: str | None) -> Any:
    document = {"url": served.url, "token": token, "pid": served.pid}
    statedir.write_private(path, json.dumps(document).encode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _until_stopped(serving: Coroutine[Any, Any, None], settings: "Settings", leaving: "Leaving") -> None:
    import uvloop

    try:
        uvloop.run(stoppable(serving, leaving))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return
    except Exception as error:
        _explain(_cause(error), settings)


async def stoppable(serving: Coroutine[Any, Any, None], leaving: "Leaving") -> None:
    """Runs `serving` until a signal: SIGTERM lets it leave in order, others cancel it, which is quicker.

    A second signal makes an end of waiting; what was started is still ended in order.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(serving)
    stopping = False

    def stop(number: signal.Signals) -> None:
        nonlocal stopping
        if stopping:
            leaving.hurry()
        elif number == signal.SIGTERM and leaving.begin():
            telemetry.log().info("The gateway leaves: calls under way are finished.")
        else:
            task.cancel()
        stopping = True

    for number in _STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            loop.add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        if not stopping:
            raise


def _cause(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _explain(error: Exception, settings: "Settings") -> NoReturn:
    """Raises: what says best what happened."""
    from translator import PolicyRejected

    if isinstance(error, PolicyRejected):
        for problem in error.problems:
            for line in lines(problem, _file(settings, problem.policy)):
                note(line)
        raise SettingsError("the policy was rejected", hint="Correct every place named, and start again.") from error
    if isinstance(error, SidecarError):
        raise error
    if isinstance(error, OSError) and error.errno in _BIND_REASONS:
        where, reason = f"{settings.listen_host}:{settings.listen_port}", _BIND_REASONS[error.errno]
        raise SettingsError(f"cannot listen on {where}: {reason}", hint="Choose another with --listen.") from error
    raise error


def _file(settings: "Settings", policy: str) -> "Path | None":
    if settings.policy_dir is not None:
        return settings.policy_dir.path / f"{policy}.json"
    bound = settings.policies.get(policy)
    return bound.file if bound is not None else None


_BIND_REASONS = {
    errno.EADDRINUSE: "the port is in use",
    errno.EACCES: "this port needs more rights",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}
