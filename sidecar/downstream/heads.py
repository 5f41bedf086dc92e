"""Request heads, gathered line by line as the parser tells them, within bounds. No sockets, and no MCP."""

from sidecar.downstream.guard import RequestRefused
from sidecar.downstream.request import NO_HEAD, Head, path

HEADERS = 128
"""As many names as a head may have: each costs many times the memory that it took on the wire."""


class Heads:
    """The heads of one connection, one after the other. `is_open` while one is told: trailers are no headers."""

    __slots__ = ("_headers", "_last", "_length", "_target", "is_open")

    def __init__(self) -> None:
        self._target = b""
        self._headers: dict[bytes, list[bytes]] = {}
        self._length: bytes | None = None
        self._last = NO_HEAD
        self.is_open = False

    def begin(self) -> None:
        """A head begins."""
        self.is_open = True
        self._target = b""
        self._headers = {}
        self._length = None

    def on_url(self, url: bytes) -> None:
        """Takes a part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header. Raises: RequestRefused (431)."""
        if self.is_open:
            name, value = name.lower(), value.rstrip(b" \t")  # the parser leaves the blanks behind a value
            if name == b"content-length":
                self._length = value
                return
            values = self._headers.get(name)
            if values is not None:
                values.append(value)
            elif len(self._headers) < HEADERS:
                self._headers[name] = [value]
            else:
                raise RequestRefused(431, f"The head has more than {HEADERS} headers.")

    def end(self, method: str) -> Head:
        """The head, now whole."""
        self.is_open = False
        last = self._last
        twin = last if last.headers == self._headers and last.method == method else None
        head = self._last = Head(method, path(self._target), self._headers, self._length, twin)
        return head
