"""A real OPA that holds one bundle for as long as a tool asks it. Knows no case, no tool's question and no gateway."""

import asyncio
import logging
import shutil
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import structlog

from sidecar.errors import CannotDecide, DecisionError, OpaMissing, SettingsError
from sidecar.http1 import Origin
from sidecar.opa.binary import VARIABLE, find
from sidecar.opa.bundles import Built, Publisher
from sidecar.opa.client import OpaClient
from sidecar.opa.process import OpaProcess, Pace, runtime_directory

T = TypeVar("T")

_PACE = Pace(start_s=120.0)
"""A bundle of thousands of tools takes OPA a while, and nobody waits for a call meanwhile."""

_ANSWER_S = 60.0
_SILENT = structlog.make_filtering_bound_logger(logging.CRITICAL)


@asynccontextmanager
async def judging(bundle: Built, opa: Path | None = None) -> AsyncIterator[OpaClient]:
    """Asks an OPA that holds exactly this bundle; its process and its folder are gone afterwards, whatever happens.

    Raises: CannotDecide (no OPA, OPA does not take the bundle, or it fails to answer a question of the block's).
    """
    try:
        path = opa or located()
        directory = runtime_directory()
        process = OpaProcess(path, directory, pace=_PACE, log=structlog.wrap_logger(None, wrapper_class=_SILENT))
        client = OpaClient(Origin(socket_path=str(process.socket_path)), timeout_s=_ANSWER_S)
        try:
            Publisher(directory, client.ask).place(bundle)
            await _started(process, path)
            yield client
        finally:
            try:
                await client.close()
                await process.stop()
            finally:
                shutil.rmtree(directory, ignore_errors=True)
    except (DecisionError, OpaMissing, SettingsError) as error:
        raise CannotDecide(str(error), hint=_hint(error)) from error


async def _started(process: OpaProcess, path: Path) -> None:
    try:
        await process.start()
    except OSError as error:
        raise OpaMissing(f"{path} cannot be started: {error.strerror}.", hint="Name another OPA.") from error


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns, on a loop of its own. SIGTERM and SIGHUP end it as Ctrl-C does: tidily."""

    async def attended() -> T:
        task = asyncio.ensure_future(work)
        for each in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(each) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(each, task.cancel)
        return await task

    try:
        return asyncio.run(attended())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def located() -> Path:
    """The OPA that a tool asks. Raises: CannotDecide."""
    try:
        path = find()
    except OpaMissing as error:
        raise CannotDecide(str(error), hint=error.hint) from error
    if path is None:
        raise CannotDecide("There is no OPA here.", hint=f"Run `regate opa` once to get it, or name one in {VARIABLE}.")
    return path


def _hint(error: DecisionError | OpaMissing | SettingsError) -> str:
    return "Nothing was judged." if isinstance(error, DecisionError) else error.hint
