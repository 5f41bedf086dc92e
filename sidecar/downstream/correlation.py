"""Which request a line in the operator's log is about: of whose grant, and of which trace. No value of a call is here.

Source: W3C Trace Context, section 3.2.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sidecar.downstream.request import Head

UNDER_WAY: dict["asyncio.Task[Any] | None", Head] = {}
"""The head of the request that a task answers, or that is refused outside of any (None)."""

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def fields() -> dict[str, str]:
    """What to add to a line that is logged now: server, grant and trace, as far as they are known."""
    try:
        head = UNDER_WAY.get(asyncio.current_task())
    except RuntimeError:  # another thread's line is about nothing of ours
        head = None
    if head is None:
        return {}
    said = {"server": head.server, "grant": head.grant, "trace_id": _trace_id(head)}
    return {name: value for name, value in said.items() if value}


@contextmanager
def about(head: Head) -> Iterator[None]:
    """Lines that are logged meanwhile are about this request."""
    task = asyncio.current_task()
    before = UNDER_WAY.get(task)
    UNDER_WAY[task] = head
    try:
        yield
    finally:
        if before is None:
            del UNDER_WAY[task]
        else:
            UNDER_WAY[task] = before


def _trace_id(head: Head) -> str:
    given = head.headers.get(b"traceparent", [])
    known = _TRACEPARENT.fullmatch(given[0]) if len(given) == 1 else None
    return known.group(1).decode() if known is not None else ""
