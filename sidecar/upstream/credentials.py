"""The gateway's own token for a server: kept fresh, and shown in place of whatever a client sent.

Where a token comes from is `tokens`. Source: mcp-gateway.md G48, G51.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sidecar.errors import SettingsError, SidecarError, Unreachable
from sidecar.ports import Headers, Outgoing, Reply, Upstream

PAUSE_S = 5.0
RETRY_S = 10.0
_sendable = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?").fullmatch


@dataclass(frozen=True, slots=True)
class Fresh:
    """A token just got. Units: seconds until another is to be got, and until this one is worthless (None: never)."""

    token: str
    renew_s: float
    good_s: float | None = None

    def __repr__(self) -> str:
        return "Fresh(…)"


class Credential:
    """A token in a header (by default `Authorization: Bearer`), got anew before it is worthless.

    `get` may raise SidecarError, whose text must hold no secret; `warn` is told so once, until it goes well again.
    """

    def __init__(
        self,
        get: Callable[[], Awaitable[Fresh]],
        warn: Callable[[SidecarError], None],
        *,
        header: str | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._get = get
        self._warn = warn
        self._header = header.lower().encode() if header else None
        self._now_s = now_s
        self._shown: Headers = ()
        self._until_s = self._tried_s = float("-inf")
        self._renew_s = 0.0
        self._getting: asyncio.Task[None] | None = None
        self._fault: SidecarError | None = None

    def headers(self) -> Headers:
        """What is to be shown now; nothing where there is no token."""
        return self._shown

    async def ready(self) -> None:
        """Waits for a token that is good. Raises: Unreachable (there is none)."""
        if self._now_s() < self._until_s:
            return
        if self._getting is not None or self._may_try():
            await self._renew()
        if self._now_s() >= self._until_s:
            raise Unreachable(f"The gateway has no credential for the server: {self._fault}")

    async def renewed(self, refused: Headers) -> bool:
        """After the server refused what was shown: whether there is something else to show now."""
        if self._shown == refused and (self._getting is not None or self._may_try()):
            await self._renew()
        return self._shown != refused and self._now_s() < self._until_s

    async def run(self) -> None:
        """Keeps the token fresh until cancelled."""
        while True:
            await self._renew()
            await asyncio.sleep(max(PAUSE_S, self._renew_s) if self._fault is None else RETRY_S)

    def _may_try(self) -> bool:
        return self._now_s() - self._tried_s >= PAUSE_S

    async def _renew(self) -> None:
        if self._getting is None:
            self._getting = asyncio.create_task(self._got())
        await asyncio.shield(self._getting)

    async def _got(self) -> None:
        try:
            fresh = await self._get()
            if _sendable(fresh.token) is None:
                raise SettingsError("what was got cannot be sent in a header.")
            value = fresh.token.encode("ascii")
            self._shown = (
                ((self._header, value),) if self._header is not None else ((b"authorization", b"Bearer " + value),)
            )
            self._until_s = float("inf") if fresh.good_s is None else self._now_s() + fresh.good_s
            self._renew_s = fresh.renew_s
            self._fault = None
        except SidecarError as error:
            if self._fault is None:
                self._warn(SettingsError(f"A server's credential cannot be got: {error}"))
            self._fault = error
        finally:
            self._tried_s = self._now_s()
            self._getting = None


class Credentialed:
    """The port `Upstream`: another one, to which a credential is shown. If it is refused, a new one is shown once."""

    def __init__(self, upstream: Upstream, credential: Credential) -> None:
        self._upstream = upstream
        self._credential = credential
        self._keeping: asyncio.Task[None] | None = None

    async def send(self, message: Outgoing) -> Reply:
        """As the upstream's; a message that was refused for its credential has not run, so it may be sent again."""
        return await self._shown(lambda: self._upstream.send(message))

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        """As the upstream's."""
        return await self._shown(lambda: self._upstream.listen(headers, session))

    async def end(self, headers: Headers, session: str | None) -> Reply:
        """As the upstream's."""
        return await self._shown(lambda: self._upstream.end(headers, session))

    @property
    def upstream(self) -> Upstream:
        """The one behind it."""
        return self._upstream

    async def close(self) -> None:
        """Stops renewing, and closes the upstream."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._upstream.close()

    async def _shown(self, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._credential.run())
        await self._credential.ready()
        shown = self._credential.headers()
        reply = await ask()
        if reply.status == 401 and await self._credential.renewed(shown):
            await reply.drop()
            reply = await ask()
        return reply
