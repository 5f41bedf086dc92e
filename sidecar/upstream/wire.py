"""The way to a server that we speak to ourselves, in lines: what opens it, what it carries, how it ends."""

from dataclasses import dataclass
from typing import Protocol

from sidecar.core.lines import Overlong

STDOUT = 1
STDERR = 2


@dataclass(frozen=True, slots=True)
class Death:
    """How a server came to its end, in one line, and what a person can do about it."""

    message: str
    hint: str


class Receiver(Protocol):
    """Who is told what comes. Called from the event loop; must not raise."""

    def received(self, line: bytes) -> None:
        """A message came."""
        ...

    def overlong(self, line: Overlong) -> None:
        """A message past the limit came, and was dropped."""
        ...

    def died(self, death: Death) -> None:
        """Nothing will come any more, and nothing can be written. Told once."""
        ...


class Wire(Protocol):
    """An open way to a server."""

    async def write(self, message: bytes) -> None:
        """Writes one message, in the order of the calls. Raises: Unreachable (nothing of it was written)."""
        ...

    def write_soon(self, message: bytes) -> None:
        """Writes one message behind those written so far, if the server is still there."""
        ...

    async def close(self) -> None:
        """Ends it. Goes on if the caller does not."""
        ...


class Remote(Protocol):
    """A server that can be reached, again and again."""

    @property
    def name(self) -> str:
        """What the operator calls it."""
        ...

    @property
    def max_line_bytes(self) -> int:
        """The longest message taken from it."""
        ...

    async def open(self, receiver: Receiver) -> Wire:
        """A new way to it. Raises: Unreachable."""
        ...
