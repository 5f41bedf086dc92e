"""Bundles taken apart, on any Python: what `extractall` wants differs between 3.11.2 and 3.14."""

import tarfile
from io import BytesIO
from pathlib import Path


def unpack(bundle: bytes, folder: Path) -> Path:
    """Writes a bundle's files into `folder`, which is made, and gives it back."""
    with tarfile.open(fileobj=BytesIO(bundle)) as archive:
        for member in archive.getmembers():
            data = archive.extractfile(member)
            assert data is not None, member.name
            path = folder / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.read())
    return folder
