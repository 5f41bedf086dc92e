"""What a bundle says of itself: its roots and its revisions. No files are packed here."""

import hashlib
import json
from collections.abc import Mapping, Sequence

ROOT = "mcp"
POLICIES = f"{ROOT}/policies"
_SHORT_DIGITS = 32


def digest(files: Mapping[str, str]) -> str:
    """The digest of a set of files, whatever their order: of their paths and their text.

    Shape: `sha256:` and 32 hexadecimal digits, short enough for audit rows.
    """
    sha256 = hashlib.sha256()
    for path, text in sorted(files.items()):
        for part in (path.encode(), text.encode()):
            sha256.update(len(part).to_bytes(8, "big") + part)
    return f"sha256:{sha256.hexdigest()[:_SHORT_DIGITS]}"


def revision(library: str, policies: Mapping[str, str]) -> str:
    """The revision of a bundle: it names the library by its digest, and all policies (id → revision) by one digest.

    Shape: `library:sha256:…,policies:sha256:…`.
    """
    return f"library:{library},policies:{digest(policies)}"


def policy_revision(library: str, path: str, module: str) -> str:
    """The revision of one policy: it changes with its module (written with no revision in it) and with the library.

    Shape: as a digest.
    """
    return digest({ROOT: library, path: module})


def manifest(revision: str, roots: Sequence[str], metadata: Mapping[str, object]) -> str:
    """The text of a bundle's `.manifest`."""
    members = {"revision": revision, "roots": list(roots), "rego_version": 1, "metadata": metadata}
    return json.dumps(members, indent=2) + "\n"
