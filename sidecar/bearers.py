"""Settings → the authorization server whose tokens are taken, and what clients are told of it. Decides nothing."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.downstream.resource import ProtectedResources
from sidecar.errors import KeysUnavailable, SettingsError, SidecarError
from sidecar.fetch import NotFetched, fetch
from sidecar.grants.rules import Rule, Rules
from sidecar.ports import Bearers
from sidecar.settings.auth import OAuth

if TYPE_CHECKING:
    from sidecar.grants.keys import Keys


@dataclass(frozen=True, slots=True)
class Accepted:
    """Whose tokens count beside those of our own grants, and what clients are told of that."""

    bearers: Bearers | None
    resources: ProtectedResources


@asynccontextmanager
async def accepted(
    oauth: OAuth | None, doors: Mapping[str, str], base: str, warn: Callable[[SidecarError], None]
) -> AsyncGenerator[Accepted, None]:
    """The tokens taken at these doors (path → server) of the gateway at `base`; its keys are kept fresh meanwhile.

    Keys that cannot be had do not keep a gateway from starting: their tokens are refused until they can.
    Raises: SettingsError (a file of keys is not there, or is none).
    """
    if oauth is None:
        yield Accepted(None, ProtectedResources())
        return
    from sidecar.grants.keys import Keys  # a tenth of a second that other starts do not need

    keys = Keys(_reader(oauth), warn, refresh_s=oauth.refresh_s)
    if not await keys.read_again() and oauth.jwks_file is not None:
        raise SettingsError(f"oauth.jwks_file: {oauth.jwks_file} holds no keys that can be used.")
    keeping = asyncio.create_task(keys.run())
    try:
        yield _accepted(oauth, keys, doors, oauth.public_url or base)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def _accepted(oauth: OAuth, keys: "Keys", doors: Mapping[str, str], url: str) -> Accepted:
    from sidecar.grants.jwt import JwtGrants

    rules = _rules(oauth)
    audiences: dict[str, frozenset[str]] = {}
    for path, server in doors.items():
        audiences[server] = audiences.get(server, frozenset()) | frozenset(oauth.audience or (url + path,))
    bearers = JwtGrants(keys, rules, issuer=oauth.issuer, audiences=audiences, algorithms=frozenset(oauth.algorithms))
    scopes = {path: tuple(sorted(rules.scope(server))) for path, server in doors.items()}
    return Accepted(bearers, ProtectedResources(url, oauth.issuer, scopes))


def _rules(oauth: OAuth) -> Rules:
    return Rules(
        [
            Rule(
                rule.server,
                rule.policy,
                {name: wanted if isinstance(wanted, tuple) else (wanted,) for name, wanted in rule.claims.items()},
                frozenset(rule.scope),
                rule.grant,
                rule.id_claim,
                rule.list,
                rule.policed_methods,
                rule.hidden_calls,
                rule.approval,
            )
            for rule in oauth.rules
        ]
    )


def _reader(oauth: OAuth) -> Callable[[], Awaitable[bytes]]:
    if oauth.jwks_url is not None:
        return partial(_from_url, oauth.jwks_url)
    assert oauth.jwks_file is not None
    return partial(_from_file, oauth.jwks_file)


async def _from_url(url: str) -> bytes:
    try:
        status, body = await fetch(url)
    except NotFetched as error:
        raise KeysUnavailable(f"oauth.jwks_url: {url}: {error}.") from None
    if status != 200:
        raise KeysUnavailable(f"oauth.jwks_url: {url} answered with status {status}.")
    return body


async def _from_file(path: Path) -> bytes:
    try:
        return await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise KeysUnavailable(
            f"oauth.jwks_file: {path} cannot be read: {(error.strerror or 'failed').lower()}."
        ) from None
