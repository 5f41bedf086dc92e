"""A folder of policies → their files, by id. Reads none of them.

A ConfigMap's folder has hidden copies and a link, `..data`, that is swapped to the newest: there, one copy is listed.
"""

import re
from pathlib import Path

from sidecar.errors import SettingsError

_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_FILES = 10_000
_CURRENT = "..data"


def files(folder: Path) -> dict[str, Path]:
    """The policies' files by the names that they have without `.json`, sorted. Raises: SettingsError."""
    try:
        base = _current(folder)
        names = sorted(path.name for path in base.iterdir() if path.name.endswith(".json") and path.name[0] != ".")
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be read: {(error.strerror or 'failed').lower()}.",
            hint="Put the folder back; until then the last good policies stay.",
        ) from error
    if len(names) > _FILES:
        raise SettingsError(f"{folder} holds more than {_FILES} policies.")
    for name in names:
        if _ID.fullmatch(name.removesuffix(".json")) is None:
            raise SettingsError(
                f"{folder} holds {name!r}, whose name cannot be a policy's id.",
                hint="An id has letters, digits, _ . and - only, and at most 128 of them; rename the file.",
            )
    return {name.removesuffix(".json"): base / name for name in names}


def _current(folder: Path) -> Path:
    """Where the files are: all of one copy, so that no two are of different ones."""
    try:
        return folder / (folder / _CURRENT).readlink()
    except OSError:
        return folder
