"""Writes what the image is made of, in CycloneDX JSON: regate, its packages from a lock file, and its OPA.

Usage: python scripts/sbom.py requirements/run.txt [--installed FOLDER] [--opa FILE]

The same files give the same bytes. Of the lock file it tells what is installed in FOLDER, or else what this system
would install.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import uuid
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot5
from packageurl import PackageURL
from packaging.markers import Marker
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)(?: ; ([^\\]+))?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--installed", type=Path)
    parser.add_argument("--opa", type=Path)
    given = parser.parse_args()
    there = installed(given.installed) if given.installed is not None else None
    sys.stdout.write(document(given.lock.read_text(encoding="utf-8"), there, given.opa))


def document(lock: str, there: Collection[str] | None, opa: Path | None) -> str:
    """The bill of materials. `there` names the packages that are installed."""
    regate = _component(
        "regate", _version(), ComponentType.APPLICATION, PackageURL("pypi", name="regate", version=_version())
    )
    parts = [*packages(lock, there), *([_opa(opa)] if opa is not None else [])]
    digest = hashlib.sha256("\n".join(str(part.purl) for part in parts).encode()).digest()
    bom = Bom(
        components=parts,
        metadata=BomMetaData(component=regate, timestamp=datetime.fromtimestamp(0, UTC)),
        serial_number=uuid.UUID(bytes=digest[:16], version=4),
    )
    bom.register_dependency(regate, parts)
    return f"{JsonV1Dot5(bom).output_as_string(indent=1)}\n"


def packages(lock: str, there: Collection[str] | None) -> Iterator[Component]:
    """The packages of a lock file that are installed, with the digests of their files. Exits if one is not locked."""
    missing = set(there or ()) - {"regate"}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", lock):
        found = _PINNED.match(entry)
        if found is None or not _is_meant(found, there):
            continue
        name, version = found[1], found[2]
        missing.discard(canonicalize_name(name))
        part = _component(name, version, ComponentType.LIBRARY, PackageURL("pypi", name=name, version=version))
        for digest in _HASH.findall(entry):
            part.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=digest))
        yield part
    if missing:
        sys.exit(f"sbom: installed and not in the lock file: {', '.join(sorted(missing))}")


def installed(folder: Path) -> frozenset[str]:
    """The names of the packages in a folder."""
    return frozenset(canonicalize_name(found.name) for found in distributions(path=[str(folder)]))


def _is_meant(found: re.Match[str], there: Collection[str] | None) -> bool:
    if there is not None:
        return canonicalize_name(found[1]) in there
    return found[3] is None or Marker(found[3].strip()).evaluate()


def _opa(binary: Path) -> Component:
    said = subprocess.run([binary, "version"], capture_output=True, text=True, check=True).stdout
    version = said.split("Version: ", 1)[1].split()[0]
    purl = PackageURL("golang", "github.com/open-policy-agent", "opa", f"v{version}")
    part = _component("opa", version, ComponentType.APPLICATION, purl)
    with binary.open("rb") as file:
        part.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=hashlib.file_digest(file, "sha256").hexdigest()))
    return part


def _component(name: str, version: str, kind: ComponentType, purl: PackageURL) -> Component:
    return Component(name=name, version=version, type=kind, purl=purl, bom_ref=str(purl))


def _version() -> str:
    text = (ROOT / "sidecar" / "__init__.py").read_text(encoding="utf-8")
    return text.split('__version__ = "', 1)[1].split('"', 1)[0]


if __name__ == "__main__":
    main()
