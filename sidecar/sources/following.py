"""Keeps what is published in step with one source of bundles, and knows how old its policies are.

Nothing here knows OPA, HTTP, or what publishing means.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sidecar.errors import SidecarError
from sidecar.health import SourceState
from sidecar.sources.accepted import Accepted, Trust, accept
from sidecar.sources.archive import BundleRefused
from sidecar.sources.kept import Kept
from sidecar.sources.source import Fetched, NotFetched, Source, Unchanged

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""One that also runs while the machine sleeps, where there is one."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things may take. After a failure the pause doubles, from the first to the last."""

    start_s: float = 10.0
    first_delay_s: float = 1.0
    last_delay_s: float = 60.0
    least_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is done with a bundle, and who is told."""

    publish: Callable[[Accepted], Awaitable[None]]
    on_loaded: Callable[[Accepted], None]
    on_error: Callable[[Exception], None]


class BundleFollower:
    """One source, under the name that people know it by."""

    def __init__(
        self,
        name: str,
        source: Source,
        trust: Trust,
        kept: Kept,
        hooks: Hooks,
        *,
        max_age_s: float | None = None,
        pace: Pace | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        elapsed: Callable[[], float] = lambda: time.clock_gettime(_CLOCK),
    ) -> None:
        self._name = name
        self._source = source
        self._trust = trust
        self._kept = kept
        self._hooks = hooks
        self._max_age_s = max_age_s
        self._pace = pace or Pace()
        self._now = now
        self._elapsed = elapsed
        self._active: Accepted | None = None
        self._digest = b""
        self._mark = ""
        self._waits = False
        self._unkept: bytes | None = None
        self._confirmed_s: float | None = None
        self._failures = 0
        self._problem = ""

    async def load(self) -> Accepted | None:
        """The bundle kept from before, verified again; the caller publishes it. None: there is none to be used.

        Raises: SettingsError (a key), StoreError.
        """
        self._trust.examine()
        data = await asyncio.to_thread(self._kept.load)
        if data is None:
            return None
        try:
            accepted = await asyncio.to_thread(accept, data, self._trust)
            self._compare(accepted)
        except BundleRefused as error:
            self._failed(BundleRefused(f"The bundle kept from before is not used. {error}"))
            return None
        self._active, self._digest, self._mark = accepted, _digest(data), self._kept.mark
        self._kept.raise_to(accepted.serial)
        if self._kept.checked_at is not None:
            age_s = (self._now() - self._kept.checked_at).total_seconds()
            self._confirmed_s = self._elapsed() - age_s if age_s >= 0 else None
        return accepted

    async def begin(self) -> None:
        """Asks the source for the first time, and waits for it no longer than a start may take."""
        try:
            async with asyncio.timeout(self._pace.start_s):
                await self.check_once()
        except TimeoutError:
            self._failed(NotFetched(f"no answer within {self._pace.start_s:g} s"))

    async def run(self) -> None:
        """Asks the source until it is cancelled."""
        while True:
            await asyncio.sleep(self._pause_s())
            asked = self._elapsed()
            wait = self._waits and not self._failures
            changed = await self.check_once()
            if wait and not changed and not self._failures and self._elapsed() - asked < self._pace.least_s:
                await asyncio.sleep(self._source.every_s)

    async def check_once(self) -> bool:
        """True when a new bundle was published. What fails is told to `on_error`, once for as long as it stays."""
        try:
            found = await self._look(wait=self._waits and not self._failures)
            if found is not None:
                await self._hooks.publish(found[1])
                self._take(*found)
            await self._confirm()
        except Exception as error:
            self._failed(error)
            return False
        return found is not None

    def stale(self) -> str:
        """Why no call may be decided by what is held; empty when it may."""
        if self._active is None:
            return f"No bundle of {self._name} is in force. {self._problem}".strip()
        age_s = self._age_s()
        if self._max_age_s is None or (age_s is not None and age_s <= self._max_age_s):
            return ""
        when = "at a time that is not known" if age_s is None else f"{age_s:.0f} s ago"
        told = f"{self._name} confirmed the policies {when}; max_policy_age_s is {self._max_age_s:g}."
        return f"{told} {self._problem}".strip()

    def state(self) -> SourceState:
        """What the operator is told of the source."""
        active = self._active
        return SourceState(
            self._name,
            active.revision if active is not None else None,
            active.serial if active is not None else None,
            active.commit if active is not None else "",
            self._age_s(),
            self._max_age_s,
            self._problem,
            self.stale(),
        )

    async def close(self) -> None:
        """Lets go of the source."""
        await self._source.close()

    async def _look(self, *, wait: bool) -> tuple[Fetched, Accepted] | None:
        """What the source has, if that is new and to be believed. Raises: SidecarError."""
        fetched = await self._source.fetch(self._mark, wait=wait)
        self._waits = fetched.waits
        if isinstance(fetched, Unchanged):
            return None
        if _digest(fetched.data) == self._digest:
            self._mark = fetched.mark
            return None
        accepted = await asyncio.to_thread(accept, fetched.data, self._trust)
        self._compare(accepted)
        return fetched, accepted

    def _compare(self, accepted: Accepted) -> None:
        """Raises: BundleRefused when a newer one was in force before."""
        highest = self._kept.serial
        if highest is not None and (accepted.serial is None or accepted.serial < highest):
            has = "no serial" if accepted.serial is None else f"serial {accepted.serial}"
            raise BundleRefused(f"The bundle is older than one that was in force: it has {has}, that had {highest}.")

    def _take(self, fetched: Fetched, accepted: Accepted) -> None:
        self._active, self._digest, self._mark = accepted, _digest(fetched.data), fetched.mark
        self._kept.raise_to(accepted.serial)
        self._unkept = fetched.data
        self._confirmed_s = self._elapsed()
        self._problem = ""
        self._hooks.on_loaded(accepted)

    async def _confirm(self) -> None:
        """The source was asked, and what it has is in force. Raises: StoreError."""
        self._confirmed_s = self._elapsed()
        if self._unkept is not None:
            await asyncio.to_thread(self._kept.keep, self._unkept, self._mark, self._now())
            self._unkept = None
        elif self._active is not None:
            await asyncio.to_thread(self._kept.checked, self._mark, self._now())
        self._failures = 0
        recovered, self._problem = bool(self._problem), ""
        if recovered and self._active is not None:
            self._hooks.on_loaded(self._active)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        tellable = error if isinstance(error, SidecarError) else BundleRefused(f"Unexpected {type(error).__name__}.")
        told, self._problem = self._problem, f"{self._name}: {tellable}"
        if told != self._problem:
            self._hooks.on_error(tellable)

    def _age_s(self) -> float | None:
        """Since the source last had nothing newer. None: that is not known."""
        return None if self._confirmed_s is None else max(0.0, self._elapsed() - self._confirmed_s)

    def _pause_s(self) -> float:
        if self._failures:
            delay_s = min(self._pace.first_delay_s * 2.0 ** min(self._failures - 1, 16), self._pace.last_delay_s)
            return delay_s * random.uniform(0.75, 1.0)  # noqa: S311 - so that many gateways do not ask at once
        return 0.0 if self._waits else self._source.every_s


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
