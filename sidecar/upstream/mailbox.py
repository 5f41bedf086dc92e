"""Messages on their way to one reader, in order and bounded. What a message means is not known here."""

import asyncio
from collections import deque
from dataclasses import dataclass

MAX_MESSAGES = 1_000
MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Letter:
    """One message. `last`: nothing follows it. `droppable`: it may be lost when the mailbox is full.

    `raw` is the event it travels in, where that is more than the message; `fault` why it is ours and not the server's.
    """

    line: bytes
    last: bool = False
    droppable: bool = False
    raw: bytes | None = None
    fault: str = ""


class Mailbox:
    """Holds letters until they are taken, by one reader at a time. When it is full, the oldest droppable ones go.

    `has_ended`: nothing more is let in.
    """

    def __init__(self, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._letters: deque[Letter] = deque()
        self.held_bytes = 0
        self._waiting: asyncio.Future[None] | None = None
        self._reader = 0
        self._end: BaseException | None = None
        self.has_ended = False
        self.dropped = 0

    def attach(self) -> int:
        """A number for a new reader, who takes the place of the one before."""
        self._reader += 1
        self._wake()
        return self._reader

    def put(self, letter: Letter) -> bool:
        """Whether the letter was taken in. A last one always is; a full mailbox refuses what it may not drop."""
        if self.has_ended:
            return False
        if not letter.last and not self._has_room_for(letter):
            self.dropped += letter.droppable
            return False
        self._letters.append(letter)
        self.held_bytes += len(letter.line)
        self.has_ended = letter.last
        self._wake()
        return True

    def close(self, error: BaseException | None = None) -> None:
        """Lets nothing more in. The reader gets what is held, and then `error`, or the end."""
        if not self.has_ended:
            self.has_ended = True
            self._end = error
            self._wake()

    async def take(self, reader: int = 0) -> Letter | None:
        """The next letter, or None at the end, or when another reader has taken our place.

        Raises: what `close` was given.
        """
        while reader == self._reader:
            if self._letters:
                letter = self._letters.popleft()
                self.held_bytes -= len(letter.line)
                return letter
            if self._end is not None:
                raise self._end
            if self.has_ended:
                return None
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _has_room_for(self, letter: Letter) -> bool:
        while self._is_full_with(letter):
            oldest = next((held for held in self._letters if held.droppable), None)
            if oldest is None:
                return False
            self._letters.remove(oldest)
            self.held_bytes -= len(oldest.line)
            self.dropped += 1
        return True

    def _is_full_with(self, letter: Letter) -> bool:
        return len(self._letters) >= self._max_messages or self.held_bytes + len(letter.line) > self._max_bytes
