"""Where decisions come from: an OPA, ours or another's, and the policies it holds, from files or from a bundle.

With `engine` and `wiring`, one of the places that know adapters. It decides nothing itself.
"""

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import structlog

from sidecar.core.decision import Decision
from sidecar.errors import DecisionError, PolicyStale, SettingsError
from sidecar.health import SourceState
from sidecar.http1 import Origin
from sidecar.opa import binary
from sidecar.opa.bundles import Built
from sidecar.opa.client import OpaClient
from sidecar.opa.foreign import ForeignOpa
from sidecar.opa.own import OwnOpa
from sidecar.policies import DeliveredPolicies, FilePolicies, Pinned, Policies
from sidecar.ports import DecisionPoint, Visible
from sidecar.reload import PolicyReload
from sidecar.settings.model import Settings
from sidecar.settings.sources import Bundle, Opa
from sidecar.sources.source import shown
from sidecar.sources.transfer import trust

if TYPE_CHECKING:
    from sidecar.sources.following import BundleFollower

_log = structlog.get_logger("sidecar")


class Deciding:
    """The decision point. `load`, `prepare` and `start` once each, in this order; then `run`; `close` at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opa: OwnOpa | ForeignOpa | None = None
        self._point: DecisionPoint | None = None
        self._reload: PolicyReload | None = None
        self._follower: BundleFollower | None = None
        self.policies: Policies
        if settings.bundle is not None:
            self.policies = DeliveredPolicies(settings, shown(settings.bundle.url))
            self._follower = self._made_follower(settings.bundle)
        elif settings.opa.revisions:
            self.policies = DeliveredPolicies(settings, "opa.revisions")
            self.policies.bundle = Pinned.of(settings.opa.revisions)
        else:
            self.policies = policies = FilePolicies(settings)
            self._reload = PolicyReload(
                policies.files, policies.translate, self._publish, policies.loaded, policies.failed
            )

    async def load(self) -> None:
        """Reads what policies there are before anything is started. Raises: SidecarError, translator.PolicyRejected."""
        if self._reload is not None:
            self.policies.bundle = await self._reload.load()
        if self._follower is not None:
            kept = await self._follower.load()
            if kept is not None:
                self.policies.bundle = kept

    async def prepare(self) -> None:
        """Finds OPA. Raises: SettingsError, OpaMissing."""
        opa = self._settings.opa
        if opa.url is not None:
            foreign = ForeignOpa(opa.url, _client(opa, opa.url))
            self._opa, self._point = foreign, foreign
        else:
            own = OwnOpa(await asyncio.to_thread(_binary, opa.binary), timeout_s=opa.timeout_s)
            self._opa, self._point = own, own.client
        self._opa.place(self.policies.bundle)

    async def start(self) -> None:
        """Returns once OPA answers, and the bundle's source was asked. Raises: DecisionError."""
        await self._there().start()
        if isinstance(self._opa, ForeignOpa):
            await _greeted(self._opa)
        if self._follower is not None:
            await self._follower.begin()

    async def run(self) -> None:
        """Follows what the policies are made from until it is cancelled."""
        if self._reload is not None:
            await self._reload.run()
        if self._follower is not None:
            await self._follower.run()

    async def close(self) -> None:
        """Ends what was started."""
        if self._follower is not None:
            await self._follower.close()
        if self._opa is not None:
            await self._opa.close()

    def decide(self, query: bytes) -> Awaitable[Decision]:
        """The decision on one query. Raises: DecisionError, also where the policies held are too old to be used."""
        return self._asked().decide(query)

    async def visible(self, query: bytes) -> Visible:
        """The visible ones of the names in one list query. Raises: as `decide`."""
        return await self._asked().visible(query)

    @property
    def generation(self) -> int:
        """Another one whenever a list filtered before is to be filtered again; -1: no list is to be seen."""
        return -1 if self._follower is not None and self._follower.stale() else self.policies.generation

    async def held(self) -> dict[str, str]:
        """The policies that OPA holds, id → revision. Raises: DecisionError."""
        return await self._there().held()

    def source(self) -> SourceState | None:
        """What the operator is told of the bundle's source, if there is one."""
        return self._follower.state() if self._follower is not None else None

    def in_force(self, policy: str) -> tuple[str, bytes] | None:
        """The revision and the document of a policy in force, where it is made from a document here."""
        return self._reload.in_force(policy) if self._reload is not None else None

    @property
    def loaded_at(self) -> datetime | None:
        """When the policies in force were loaded; None: not since the start."""
        return self._reload.loaded_at if self._reload is not None else self.policies.loaded_at

    @property
    def opa_name(self) -> str:
        """Where OPA is: its binary, or its address."""
        return self._there().name

    @property
    def restarts(self) -> int:
        """How often OPA had to be started again."""
        return self._there().restarts

    def _asked(self) -> DecisionPoint:
        if self._follower is not None and (cause := self._follower.stale()):
            raise PolicyStale(cause)
        if self._point is None:
            raise PolicyStale("OPA was not started.")
        return self._point

    def _there(self) -> OwnOpa | ForeignOpa:
        if self._opa is None:
            raise PolicyStale("OPA was not started.")
        return self._opa

    async def _publish(self, bundle: Built) -> None:
        await self._there().publish(bundle)

    def _made_follower(self, bundle: Bundle) -> "BundleFollower":
        from sidecar import delivery  # a fifth of a second that most starts do not need

        async def publish(accepted: Built) -> None:
            await self._there().publish_examined(accepted)

        hooks = delivery.Hooks(publish, self.policies.loaded, self.policies.failed)
        return delivery.follower(bundle, self._settings.state, hooks)


async def _greeted(opa: ForeignOpa) -> None:
    """Tells at the start what else only `/readyz` would: the OPA of somebody else is not there."""
    try:
        await opa.held()
    except DecisionError as error:
        _log.warning("OPA does not answer. Calls are denied until it does.", opa=opa.name, problem=str(error))


def _binary(chosen: Path | None) -> Path:
    """The OPA the settings name, or the one found or got. Raises: SettingsError, OpaMissing."""
    if chosen is None:
        return binary.ensure(_log.info)
    if (fault := binary.fault(chosen)) is not None:
        raise SettingsError(f"opa.binary: {chosen} {fault}.")
    return chosen


def _client(opa: Opa, url: str) -> OpaClient:
    """Who asks an OPA at a URL. Raises: SettingsError (a secret, a certificate)."""
    parts = urlsplit(url)
    authorization = f"Bearer {opa.token.read()}" if opa.token is not None else ""
    if parts.scheme == "unix":
        return OpaClient(Origin(socket_path=unquote(parts.path)), timeout_s=opa.timeout_s, authorization=authorization)
    secure = parts.scheme == "https"
    origin = Origin(parts.hostname or "", parts.port or (443 if secure else 80), trust(opa.ca_file) if secure else None)
    return OpaClient(origin, timeout_s=opa.timeout_s, host=parts.netloc, authorization=authorization)
