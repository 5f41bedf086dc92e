"""Small bundles that say what they hold, and an OPA in a runtime directory of its own."""

import gzip
import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.http1 import Origin
from sidecar.opa.client import OpaClient
from sidecar.opa.process import OpaProcess, runtime_directory


@dataclass(frozen=True)
class Policy:
    revision: str


@dataclass(frozen=True)
class Bundle:
    data: bytes
    policies: Mapping[str, Policy]


def pack(files: Mapping[str, str]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(archive.getvalue(), mtime=0)


@pytest.fixture(scope="session")
def bundle_of() -> Callable[..., Bundle]:
    """`bundle_of(p="r1")`: a bundle with these revisions. `bundle_of(rego=text)`: that module instead."""

    def make(rego: str = "", **revisions: str) -> Bundle:
        module = rego or f"package mcp.gate\n\nrevisions := {json.dumps(revisions)}\n"
        manifest = json.dumps({"revision": "", "roots": ["mcp"], "rego_version": 1})
        policies = {policy: Policy(revision) for policy, revision in revisions.items()}
        return Bundle(pack({".manifest": manifest, "mcp/gate.rego": module}), policies)

    return make


@pytest.fixture
async def directory() -> Path:
    """A runtime directory; whoever starts an OPA in it removes it by `stop`."""
    return runtime_directory()


@pytest.fixture
async def opa(opa_path: Path, directory: Path) -> AsyncIterator[OpaProcess]:
    """An OPA that is not yet started, and stopped afterwards."""
    process = OpaProcess(opa_path, directory)
    yield process
    await process.stop()


@pytest.fixture
async def client(opa: OpaProcess) -> AsyncIterator[OpaClient]:
    """Asks that OPA."""
    client = OpaClient(Origin(socket_path=str(opa.socket_path)))
    yield client
    await client.close()
