"""What OPA says on its output: told to the log line by line, and its last words kept for who reports its end."""

import asyncio
import json
from collections import deque
from typing import Any

_LINE_BYTES = 8192
_LAST_LINES = 20
_WORDS_CHARACTERS = 600
_AS_ROOT = "OPA running with uid or gid 0."
"""Said at every start in a container, of a child that has a private socket only. It is no news."""


class Words:
    """One child's words at a time."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._reader: asyncio.Task[None] | None = None
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)

    def listen(self, stream: asyncio.StreamReader) -> None:
        """Hears a new child, to the end of its output."""
        self._lines.clear()
        self._reader = asyncio.create_task(self._read(stream))

    async def last(self, wait_s: float) -> str:
        """What the child said last, in one line, once it has said everything or the time is over."""
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=wait_s)
            self._reader.cancel()
        return " ".join(" ".join(self._lines).split())[:_WORDS_CHARACTERS] or "OPA said nothing."

    async def _read(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await stream.read(_LINE_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._hear(line)
            if len(rest) > _LINE_BYTES:
                self._hear(rest)
                rest = b""
        if rest:
            self._hear(rest)

    def _hear(self, line: bytes) -> None:
        text = line[:_LINE_BYTES].decode(errors="replace").strip()
        try:
            entry = json.loads(text)
            level, said = entry["level"], " ".join(str(entry[key]) for key in ("msg", "err") if key in entry)
        except (ValueError, TypeError, KeyError, RecursionError):
            level, said = "error", text
        if said.startswith(_AS_ROOT):
            return
        if level == "error" and said:
            self._lines.append(said)
        (self._log.error if level == "error" else self._log.warning)("opa", said=said)
