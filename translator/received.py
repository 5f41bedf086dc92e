"""The files of a bundle that came from elsewhere → what it says it holds, once that is known to be true.

Whose bundle it is, and whether that is to be believed, is not asked here; no archive is opened.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import rego
from translator import literal, manifest
from translator.bundle import module_path
from translator.errors import TranslatorError

MANIFEST = ".manifest"
_MEMBERS = {"revision", "roots", "rego_version", "metadata"}
_UNNAMED = '\nrevision := ""\n'


class BundleRejected(TranslatorError):
    """The files are not what `regate build` makes, or not what their manifest says."""

    code = "bundle_rejected"


@dataclass(frozen=True, slots=True)
class Received:
    """What a bundle holds: `policies` has each policy's revision by its id; `files` is what OPA is to be given.

    `is_own_library`: its library is, byte for byte, the one of this regate.
    """

    revision: str
    policies: Mapping[str, str]
    files: Mapping[str, str]
    is_own_library: bool
    serial: int | None = None
    commit: str = ""


def received(files: Mapping[str, str]) -> Received:
    """What these files hold. Each revision is worked out again, so it names exactly the text it stands for.

    Of policies no module is anything but a policy's own: it is in the policy's package and cannot add to another, so
    what judges is the library and nothing else. Raises: BundleRejected.
    """
    metadata = _metadata(files)
    policies: dict[str, str] = metadata["policies"]
    modules = {module_path(id_): id_ for id_ in policies}
    library = {path: text for path, text in files.items() if path != MANIFEST and path not in modules}
    for path in library:
        if not path.startswith(f"{manifest.ROOT}/") or path.startswith(f"{manifest.POLICIES}/"):
            raise BundleRejected(f"It holds {path!r}, which its manifest does not name.")
    digest = manifest.digest(library)
    if digest != metadata["library"]:
        raise BundleRejected(f"Its library is {digest}, and its manifest says {metadata['library']}.")
    for path, id_ in modules.items():
        _examine(id_, path, files.get(path), policies[id_], digest)
    revision = manifest.revision(digest, policies)
    if revision != metadata["revision"]:
        raise BundleRejected(f"Its revision is {revision}, and its manifest says {metadata['revision']}.")
    told: dict[str, Any] = {name: metadata[name] for name in ("commit", "serial") if name in metadata}
    members: dict[str, Any] = {"library": digest, "policies": policies, **told}
    text = manifest.manifest(revision, [manifest.ROOT], members)
    return Received(
        revision,
        policies,
        {**files, MANIFEST: text},
        library == rego.library(),
        told.get("serial"),
        told.get("commit", ""),
    )


def _metadata(files: Mapping[str, str]) -> dict[str, Any]:
    """The manifest's metadata and revision, of the types they must have."""
    if MANIFEST not in files:
        raise BundleRejected("It has no manifest.")
    try:
        read = json.loads(files[MANIFEST])
        json.dumps(read, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise BundleRejected("Its manifest is not JSON.") from None
    if not isinstance(read, dict) or set(read) != _MEMBERS:
        raise BundleRejected("Its manifest is not one that regate build writes.")
    if read["roots"] != [manifest.ROOT] or read["rego_version"] != 1:
        raise BundleRejected(f"It is not a whole bundle: its one root must be {manifest.ROOT}, its Rego version 1.")
    found = read["metadata"]
    if not isinstance(found, dict) or not _is_sound({**found, "revision": read["revision"]}):
        raise BundleRejected("Its manifest does not name library, policies and their revisions.")
    return {**found, "revision": read["revision"]}


def _is_sound(metadata: Mapping[str, Any]) -> bool:
    policies, serial = metadata.get("policies"), metadata.get("serial", 0)
    return (
        isinstance(policies, dict)
        and all(isinstance(revision, str) for revision in policies.values())
        and all(isinstance(metadata.get(name, ""), str) for name in ("library", "revision", "commit"))
        and "library" in metadata
        and type(serial) is int
        and serial >= 0
    )


def _examine(id_: str, path: str, text: str | None, revision: str, library: str) -> None:
    """Raises: BundleRejected unless this is that policy's module, of that revision."""
    if text is None:
        raise BundleRejected(f"It does not hold policy {id_!r}, which its manifest names.")
    first = next((line for line in text.split("\n") if line and not line.startswith("#")), "")
    if "\r" in text or first != f"package mcp.policies{literal.step(id_)}":
        raise BundleRejected(f"The module of policy {id_!r} is in another package.")
    named = _UNNAMED.replace('""', literal.string(revision))
    if manifest.policy_revision(library, path, text.replace(named, _UNNAMED, 1)) != revision:
        raise BundleRejected(f"The module of policy {id_!r} is not of the revision that the manifest names.")
