"""A bundle's bytes → what OPA is given of it, once they are known to be sound and to come from who is trusted.

Nothing is fetched here, and whether an older bundle was in force before is for `following` to know.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import translator
from sidecar.signing import PATH
from sidecar.sources.archive import BundleRefused, pack, unpack
from sidecar.sources.signatures import Key, verify


@dataclass(frozen=True, slots=True)
class Trust:
    """What a bundle must be. Without keys, whoever can write where it comes from is believed.

    `any_library`: a signed bundle may bring a library of another version of regate. The library is the router that
    finds a call's policy and makes its decision: who writes it could allow everything. So without this, and always
    where nothing is signed, it must be the one of this regate, byte for byte.
    """

    keys: tuple[Key, ...] = ()
    scope: str = ""
    any_library: bool = False
    require_serial: bool = False

    def examine(self) -> None:
        """Raises: SettingsError when a key cannot be used."""
        for key in self.keys:
            key.read()


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy of a bundle, by the revision that its decisions name."""

    revision: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A bundle that was verified: `data` is what OPA is given."""

    data: bytes
    revision: str
    policies: Mapping[str, Policy]
    serial: int | None
    commit: str


def accept(data: bytes, trust: Trust) -> Accepted:
    """The bundle in these bytes. Raises: BundleRefused, SettingsError (a key can no longer be read)."""
    files = unpack(data)
    if trust.keys:
        verify(files, trust.keys, trust.scope)
    files.pop(PATH, None)
    try:
        found = translator.received({name: content.decode() for name, content in files.items()})
    except UnicodeDecodeError as error:
        raise BundleRefused("The bundle holds a file that is not text.") from error
    except translator.BundleRejected as error:
        raise BundleRefused(f"The bundle is not sound. {error}") from error
    if not found.is_own_library and not (trust.any_library and trust.keys):
        raise BundleRefused(
            "The bundle's library is not the one of this regate.",
            hint="Build the bundle with the regate that runs here; or sign it and set bundle.library to signed.",
        )
    if trust.require_serial and found.serial is None:
        raise BundleRefused("The bundle has no serial, and bundle.require_serial is set.")
    policies = {id_: Policy(revision) for id_, revision in found.policies.items()}
    return Accepted(pack(found.files), found.revision, policies, found.serial, found.commit)
