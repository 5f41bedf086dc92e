"""The settings of a bundle → who follows it. Loaded only where there is a bundle: signatures take a while to import."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sidecar.settings.sources import Bundle
from sidecar.sources.accepted import Trust
from sidecar.sources.file import FileSource
from sidecar.sources.following import BundleFollower, Hooks, Pace
from sidecar.sources.http import HttpSource
from sidecar.sources.kept import Kept
from sidecar.sources.oci import OciSource
from sidecar.sources.registry import Registry, parse
from sidecar.sources.signatures import Key
from sidecar.sources.source import Source, shown
from sidecar.sources.transfer import Transfer


def follower(bundle: Bundle, state: Path, hooks: Hooks) -> BundleFollower:
    """Who follows the bundle and keeps it in a state directory. Raises: SettingsError (a certificate, a reference)."""
    keys = tuple(Key(key.keyid, key.alg, key.file) for key in bundle.keys)
    trusted = Trust(keys, bundle.scope, bundle.library == "signed", bundle.require_serial)
    return BundleFollower(
        shown(bundle.url),
        source(bundle),
        trusted,
        Kept(state, bundle.url),
        hooks,
        max_age_s=bundle.max_policy_age_s,
        pace=Pace(last_delay_s=bundle.in_time(Pace().last_delay_s)),
    )


def source(bundle: Bundle) -> Source:
    """Where the bundle comes from. Raises: as `follower`."""
    parts = urlsplit(bundle.url)
    if parts.scheme == "file":
        return FileSource(Path(unquote(parts.path)), bundle.every_s)
    token: Callable[[], str] = bundle.token.read if bundle.token is not None else str
    transfer = Transfer(bundle.ca_file)
    if parts.scheme == "oci":
        registry = Registry(transfer, bundle.username or "", token)
        return OciSource(registry, parse(bundle.url), every_s=bundle.every_s)
    return HttpSource(transfer, bundle.url, token, every_s=bundle.every_s, wait_s=bundle.in_time(bundle.wait_s))


__all__ = ["Hooks", "follower", "source"]
