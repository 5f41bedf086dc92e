"""How a gateway is told to leave: announced first, then no new connections, then what is under way. Opens nothing."""

import asyncio
from collections.abc import Callable


class Leaving:
    """Word that the gateway is to end in order, and how long that may take.

    From `begin` on it still takes new connections, for `announce_s`: so long others may take to hear that it is no
    longer ready. Then calls under way have `finish_s`. `hurry` makes an end of both.
    """

    def __init__(self, announce_s: float, finish_s: float) -> None:
        self._announce_s = announce_s
        self.finish_s = finish_s
        self.has_begun = False
        self.is_hurried = False
        self.due = asyncio.Event()
        self._told: list[Callable[[], None]] | None = None

    def serving(self, told: Callable[[], None]) -> None:
        """Connections are taken from now on; `told` is called when that is about to end."""
        self._told = [*(self._told or ()), told]

    def begin(self) -> bool:
        """Begins to leave; False while nothing is served yet, so that there is nothing to leave in order."""
        if self._told is None:
            return False
        if not self.has_begun:
            self.has_begun = True
            for told in self._told:
                told()
            asyncio.get_running_loop().call_later(self._announce_s, self.due.set)
        return True

    def hurry(self) -> None:
        """No more waiting, for anybody."""
        self.has_begun = self.is_hurried = True
        self.due.set()
