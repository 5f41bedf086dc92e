"""What a bundle says of itself: its roots and its revisions. No files are packed here."""

import hashlib
import json
from collections.abc import Mapping

ROOT = "mcp"
_POLICY_DIGITS = 32


def revision(files: Mapping[str, str]) -> str:
    """The digest of a set of files, whatever their order: of their paths and their text.

    Shape: `sha256:` and 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path, text in sorted(files.items()):
        for part in (path.encode(), text.encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return f"sha256:{digest.hexdigest()}"


def policy_revision(library: Mapping[str, str], path: str, module: str) -> str:
    """The revision of one policy: it changes with its module (written with no revision in it) and with the library.

    Shape: `sha256:` and 32 hexadecimal digits, short enough for audit rows.
    """
    return revision({**library, path: module})[: len("sha256:") + _POLICY_DIGITS]


def manifest(bundle_revision: str) -> str:
    """The text of a bundle's `.manifest`."""
    return json.dumps({"revision": bundle_revision, "roots": [ROOT], "rego_version": 1}) + "\n"
