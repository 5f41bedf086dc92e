"""A connection past the number that is served: told so at once, and closed. Nothing it sends is read."""

import asyncio
from typing import cast

from sidecar.downstream.outlet import Outlet
from sidecar.downstream.request import Whole

LINGER_S = 1.0
LINGERING = 256


class Surplus(asyncio.Protocol):
    """Says why and goes, once the client has had time to read it; `all_` are those that linger, a bounded number."""

    def __init__(self, refusal: Whole, all_: "set[Surplus]") -> None:
        self._refusal = refusal
        self._all = all_
        self._leaving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        chosen = cast(asyncio.Transport, transport)
        if len(self._all) >= LINGERING:
            chosen.abort()
            return
        self._all.add(self)
        outlet = Outlet()
        outlet.transport = chosen
        outlet.end(self._refusal)
        self._leaving = asyncio.get_running_loop().call_later(LINGER_S, chosen.abort)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._all.discard(self)
        if self._leaving is not None:
            self._leaving.cancel()
