"""Which HTTP headers pass, by name. Reads no values but those of Connection. Source: mcp-gateway.md G18."""

import re
from collections.abc import Mapping, Sequence

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


def forwardable(headers: Mapping[bytes, Sequence[bytes]]) -> tuple[Pair, ...]:
    """The request headers (lower-case name → values in order) that go to the upstream.

    A header named in Connection stays behind (hop by hop), and so does one whose value would end its line.
    """
    hop = {token.strip().lower() for value in headers.get(b"connection", ()) for token in value.split(b",")}
    return tuple(
        (name, value)
        for name, values in headers.items()
        if (name in REQUEST or name.startswith(_PARAM)) and name not in hop
        for value in values
        if not _breaks_line(value)
    )
