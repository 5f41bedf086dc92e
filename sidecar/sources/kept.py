"""What survives a restart of one source: its last good bundle, the highest serial, and when it was last asked.

Files of the state directory; what a bundle holds is not known here, and what is read is to be verified again.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

from sidecar.errors import StoreError
from sidecar.sources.archive import PACKED_BYTES
from sidecar.statedir import write_private

FOLDER = "bundles"
_NOTE_BYTES = 64 * 1024


class _Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`digest` is the SHA-256 of the bundle that `mark` belongs to. Units: `checked_at` in s since the Unix epoch."""

    url: str
    serial: int | None
    mark: str
    digest: str
    checked_at: Annotated[float, msgspec.Meta(ge=0, le=1e11)]


_decode = msgspec.json.Decoder(_Note).decode


class Kept:
    """One source's files. `load` once, before anything is kept."""

    def __init__(self, state: Path, url: str) -> None:
        name = hashlib.sha256(url.encode()).hexdigest()[:32]
        self._bundle = state / FOLDER / f"{name}.tar.gz"
        self._note = state / FOLDER / f"{name}.json"
        self._url = url.partition("?")[0]
        self.serial: int | None = None
        self.checked_at: datetime | None = None
        self.mark = ""
        self._digest = ""

    def load(self) -> bytes | None:
        """The bundle kept, if there is one. Raises: StoreError (a file of it is damaged or cannot be read)."""
        try:
            self._read_note()
            with self._bundle.open("rb") as file:
                data = file.read(PACKED_BYTES)
        except FileNotFoundError:
            self.mark = ""
            return None
        except OSError as error:
            raise StoreError(f"{self._bundle} cannot be read: {(error.strerror or 'failed').lower()}.") from error
        if hashlib.sha256(data).hexdigest() != self._digest:
            self.mark = ""
        return data

    def keep(self, data: bytes, mark: str, checked_at: datetime) -> None:
        """Keeps a bundle that is in force. The bundle is written first: it holds its serial itself.

        Raises: StoreError.
        """
        write_private(self._bundle, data)
        self._digest = hashlib.sha256(data).hexdigest()
        self.checked(mark, checked_at)

    def raise_to(self, serial: int | None) -> None:
        """From now on, a lower serial is older."""
        if serial is not None:
            self.serial = serial if self.serial is None else max(serial, self.serial)

    def checked(self, mark: str, at: datetime) -> None:
        """Notes that the source had nothing newer then, and its mark of it. Raises: StoreError."""
        known = self._noted()
        if known is not None:
            self.raise_to(known.serial)
        self.mark, self.checked_at = mark, at
        note = _Note(self._url, self.serial, self.mark, self._digest, at.timestamp())
        write_private(self._note, msgspec.json.encode(note))

    def _read_note(self) -> None:
        note = self._noted()
        if note is not None:
            self.checked_at = datetime.fromtimestamp(note.checked_at, UTC)
            self.serial, self.mark, self._digest = note.serial, note.mark, note.digest

    def _noted(self) -> "_Note | None":
        try:
            with self._note.open("rb") as file:
                return _decode(file.read(_NOTE_BYTES))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self._note} cannot be read: {(error.strerror or 'failed').lower()}.") from error
        except (msgspec.MsgspecError, ValueError) as error:
            raise StoreError(
                f"{self._note} is damaged: which serial was in force before is not known.",
                hint="If you know that the source has the newest bundle, delete the file and start again.",
            ) from error
