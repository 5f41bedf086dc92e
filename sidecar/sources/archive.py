"""A bundle's bytes ↔ its files. Bounded in size, and nothing in it may point outside; what files say is not read here.

OPA is given what is packed here and never the bytes that came: so no two readers of one archive can differ.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Mapping

from sidecar.errors import SidecarError
from translator import tarred

PACKED_BYTES = 32 * 1024 * 1024
UNPACKED_BYTES = 64 * 1024 * 1024
FILES = 10_000
_NAME_CHARACTERS = 300
_GZIP = 31
"""zlib's `wbits` for one gzip member."""


class BundleRefused(SidecarError):
    """A bundle came that is not to be put in force."""

    code = "bundle_refused"
    hint = "The last good bundle stays in force; `regate status` shows the age of its policies."


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of a tar.gz by their names. Raises: BundleRefused."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(_inflated(data)), mode="r:") as tar:
            for count, member in enumerate(tar):
                if count >= FILES:
                    raise BundleRefused(f"The bundle holds more than {FILES} files.")
                name = _name(member.name)
                if member.isdir():
                    continue
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse is not None:
                    raise BundleRefused(f"The bundle holds {name!r}, which is a link or no plain file.")
                if name in files:
                    raise BundleRefused(f"The bundle holds {name!r} twice.")
                file = tar.extractfile(member)
                files[name] = file.read() if file is not None else b""
                if len(files[name]) != member.size:
                    raise BundleRefused("The bundle is cut off.")
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
        raise BundleRefused("The bundle is not a tar archive.") from error
    return files


def pack(files: Mapping[str, str]) -> bytes:
    """The files as a tar.gz for the OPA on this machine."""
    return gzip.compress(tarred(files), 1, mtime=0)


def _inflated(data: bytes) -> bytes:
    if len(data) > PACKED_BYTES:
        raise BundleRefused(f"The bundle is larger than {PACKED_BYTES} bytes.")
    reader = zlib.decompressobj(_GZIP)
    try:
        archive = reader.decompress(data, UNPACKED_BYTES + 1)
    except zlib.error as error:
        raise BundleRefused("The bundle is not gzip, or damaged.") from error
    if len(archive) > UNPACKED_BYTES:
        raise BundleRefused(f"The bundle is larger than {UNPACKED_BYTES} bytes when unpacked.")
    if not reader.eof:
        raise BundleRefused("The bundle is cut off.")
    if reader.unused_data.strip(b"\0"):
        raise BundleRefused("The bundle goes on after its end.")
    return archive


def _name(given: str) -> str:
    """The name as it stands in signatures. Raises: BundleRefused when it leads elsewhere."""
    name = given.removeprefix("./").rstrip("/")
    parts = name.split("/")
    if given in (".", "./"):
        return ""
    if (
        len(name) > _NAME_CHARACTERS
        or not name.isprintable()
        or not name.isascii()
        or "\\" in name
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise BundleRefused(f"The bundle holds a file of a name that cannot be: {given[:100]!r}.")
    return name
