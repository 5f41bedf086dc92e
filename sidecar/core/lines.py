"""Messages as lines, the framing of stdio: bytes ↔ whole lines, incremental and bounded. No I/O, and no JSON."""

from dataclasses import dataclass

_NEWLINES_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")
_KEPT_BYTES = 512


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line past the limit. Only its first and last bytes are kept: enough to guess which message it was."""

    head: bytes
    tail: bytes


class LineSplitter:
    """Cuts a byte stream into lines; holds at most `max_bytes` of an unfinished one."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._held_bytes = 0
        self._overlong: Overlong | None = None

    def feed(self, data: bytes) -> list[bytes | Overlong]:
        """The lines that `data` completes, without their line ends; blank ones are left out."""
        *ended, rest = data.split(b"\n")
        lines: list[bytes | Overlong] = []
        for part in ended:
            self._hold(part)
            line = self._finish()
            if isinstance(line, Overlong) or line.strip():
                lines.append(line)
        self._hold(rest)
        return lines

    def end(self) -> list[bytes | Overlong]:
        """What is left when the stream ends without a line end."""
        return self.feed(b"\n")

    def _hold(self, part: bytes) -> None:
        if self._overlong is not None:
            tail = (self._overlong.tail + part[-_KEPT_BYTES:])[-_KEPT_BYTES:]
            self._overlong = Overlong(self._overlong.head, tail)
            return
        if part:
            self._parts.append(part)
            self._held_bytes += len(part)
        if self._held_bytes > self._max_bytes:
            held = b"".join(self._parts)
            self._overlong = Overlong(held[:_KEPT_BYTES], held[-_KEPT_BYTES:])
            self._parts.clear()

    def _finish(self) -> bytes | Overlong:
        line = self._overlong or b"".join(self._parts)
        self._parts.clear()
        self._held_bytes = 0
        self._overlong = None
        return line


def one_line(text: bytes) -> bytes:
    """JSON text as one line, its line end included.

    A raw line break can only be whitespace between JSON tokens, never part of a string, so a space means the same.
    """
    if b"\n" in text or b"\r" in text:
        text = text.translate(_NEWLINES_TO_SPACES)
    return text + b"\n"
