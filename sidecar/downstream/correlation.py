"""Which request a line in the operator's log is about: of whose grant, and of which trace. No value of a call is here.

Source: W3C Trace Context, section 3.2.
"""

import asyncio
import re
from contextvars import ContextVar
from typing import Any

from sidecar.downstream.request import Head

UNDER_WAY: ContextVar["tuple[asyncio.Task[Any] | None, Head] | None"] = ContextVar("under_way", default=None)
"""The head of the request that a task answers. Tasks begun by that one inherit it, and are not about the request."""

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def fields() -> dict[str, str]:
    """What to add to a line that is logged now: server, grant and trace, as far as they are known."""
    found = UNDER_WAY.get()
    if found is None or found[0] is not _current():
        return {}
    head = found[1]
    said = {"server": head.server, "grant": head.grant, "trace_id": _trace_id(head)}
    return {name: value for name, value in said.items() if value}


def _current() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _trace_id(head: Head) -> str:
    given = head.headers.get(b"traceparent", [])
    known = _TRACEPARENT.fullmatch(given[0]) if len(given) == 1 else None
    return known.group(1).decode() if known is not None else ""
