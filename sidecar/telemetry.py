"""The operator's log, on stderr. No secret and no argument value is given to it."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Literal, TextIO

Level = Literal["debug", "info", "warning", "error"]
Form = Literal["auto", "text", "json"]


def configure(
    level: Level = "info",
    stream: TextIO | None = None,
    *,
    form: Form = "auto",
    about: Callable[[], Mapping[str, str]] = dict,
) -> None:
    """Sends what is logged from `level` up to `stream` (stderr): as text on a terminal, else as JSON lines.

    `form` says which outright. `about` is asked at each line for what else to put into it.
    """
    with _without_rich():
        import structlog

    out = stream if stream is not None else sys.stderr
    pretty = form == "text" or (form == "auto" and out.isatty())

    def context(_logger: Any, _method: str, event: Any) -> Any:
        return {**about(), **event}

    structlog.configure(
        processors=[
            context,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty),
            _one_line,
            structlog.dev.ConsoleRenderer(colors=out.isatty()) if pretty else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=_Lines(out),
        cache_logger_on_first_use=True,
    )


def log() -> Any:
    """Where the gateway itself speaks to the operator."""
    with _without_rich():
        import structlog

    return structlog.get_logger("sidecar")


class _Lines:
    """Writes a line at a time. Its reader may leave: a line that nobody can read ends no call."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, *_names: object) -> "_Lines":
        return self

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = info = warning = error = critical = write


@contextmanager
def _without_rich() -> Iterator[None]:
    """structlog takes 0.25 s to load rich, which only draws tracebacks; we print none."""
    if "structlog" in sys.modules or "rich" in sys.modules:
        yield
        return
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["rich"]


def _one_line(_logger: Any, _method: str, event: Any) -> Any:
    """An exception becomes its kind; its text and its stack may hold values."""
    error = event.pop("exc_info", None)
    if error:
        found = error if isinstance(error, BaseException) else sys.exc_info()[1]
        event["error"] = type(found).__name__
    return event
