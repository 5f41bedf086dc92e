"""Which HTTP headers pass, by name. Reads no values but those of Connection. Source: mcp-gateway.md G18."""

import re
from collections.abc import Iterable

Pair = tuple[bytes, bytes]

REQUEST = frozenset(
    b"accept content-type mcp-protocol-version mcp-method mcp-name mcp-session-id last-event-id traceparent tracestate "
    b"baggage user-agent".split()
)
"""Request headers that go to the upstream, beside every `mcp-param-…`."""

RESPONSE = frozenset(b"content-type mcp-session-id allow retry-after cache-control x-accel-buffering".split())
"""Response headers that go to the client."""

_PARAM = b"mcp-param-"
_breaks_line = re.compile(rb"[\r\n\0]").search


def forwardable(headers: Iterable[Pair]) -> list[Pair]:
    """The request headers that go to the upstream, names in lower case, order kept.

    A header named in Connection stays behind (hop by hop), and so does one whose value would end its line.
    """
    pairs = [(name.lower(), value) for name, value in headers]
    hop = {token.strip().lower() for name, value in pairs if name == b"connection" for token in value.split(b",")}
    return [
        (name, value)
        for name, value in pairs
        if (name in REQUEST or name.startswith(_PARAM)) and name not in hop and not _breaks_line(value)
    ]
