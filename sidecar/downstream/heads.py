"""Request heads, gathered line by line as the parser tells them, within bounds. No sockets, and no MCP."""

from sidecar.downstream.guard import RequestRefused
from sidecar.downstream.request import NO_HEAD, Head, path

HEADERS = 128
"""As many headers as a head may have: each costs many times the memory that it took on the wire."""

_LENGTH = b"content-length"
_BLANKS = b" \t"
"""The parser leaves them behind a value."""


class Heads:
    """The heads of one connection, one after the other. `is_open` while one is told: trailers are no headers."""

    __slots__ = ("_last", "_last_told", "_length", "_target", "_told", "is_open")

    def __init__(self) -> None:
        self._target = b""
        self._told: list[tuple[bytes, bytes]] = []
        self._length: bytes | None = None
        self._last = NO_HEAD
        self._last_told: tuple[bytes, list[tuple[bytes, bytes]]] = b"", []
        self.is_open = False

    def begin(self) -> None:
        """A head begins."""
        self.is_open = True
        self._target = b""
        self._told = []
        self._length = None

    def on_url(self, url: bytes) -> None:
        """Takes a part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header. Raises: RequestRefused (431)."""
        if self.is_open:
            if len(name) == len(_LENGTH) and name.lower() == _LENGTH:
                self._length = value.rstrip(_BLANKS)
            elif len(self._told) < HEADERS:
                self._told.append((name, value))
            else:
                raise RequestRefused(431, f"The head has more than {HEADERS} headers.")

    def end(self, method: str) -> Head:
        """The head, now whole."""
        self.is_open = False
        last, told = self._last, (self._target, self._told)
        if told == self._last_told and method == last.method:
            head = Head(method, last.path, last.headers, self._length, last)
        else:
            headers: dict[bytes, list[bytes]] = {}
            for name, value in self._told:
                headers.setdefault(name.lower(), []).append(value.rstrip(_BLANKS))
            head = Head(method, path(self._target), headers, self._length)
        self._last, self._last_told = head, told
        return head
