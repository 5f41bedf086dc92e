"""Programs → one bundle: the same programs give the same bytes. No policy is read or judged here."""

import hashlib
import io
import re
import struct
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import rego
from translator import emit, manifest
from translator.program import Program

_ESCAPED = re.compile(rb"[^a-z0-9_-]")
_MAX_NAME = 80


@dataclass(frozen=True, slots=True)
class Compiled:
    """One policy of a bundle: what it means, and the revision that its decisions name."""

    revision: str
    program: Program


@dataclass(frozen=True, slots=True)
class Bundle:
    """What OPA loads. `data` is a tar.gz; `revision` names the whole of it, `policies` has each policy's own."""

    data: bytes
    revision: str
    policies: Mapping[str, Compiled]


def build(programs: Mapping[str, Program]) -> Bundle:
    """The bundle of the library and one module per policy id.

    Raises: ValueError for an id that is not Unicode text.
    """
    library = rego.library()
    files = dict(library)
    policies = {}
    for policy_id, program in sorted(programs.items()):
        path = module_path(policy_id)
        revision = manifest.policy_revision(library, path, emit.module(program, policy_id, ""))
        files[path] = emit.module(program, policy_id, revision)
        policies[policy_id] = Compiled(revision, program)
    revision = manifest.revision(files)
    files[".manifest"] = manifest.manifest(revision)
    return Bundle(pack(files), revision, policies)


def module_path(policy_id: str) -> str:
    """Where a policy's module stands in a bundle: a safe name that no other id has, on any file system.

    Lower-case letters, digits, `_` and `-` stay; every other byte becomes `=` and two digits; a long name is cut
    and ends in `==` and a digest.
    """
    encoded = policy_id.encode()
    name = _ESCAPED.sub(lambda byte: b"=%02x" % ord(byte[0]), encoded).decode() or "="
    if len(name) > _MAX_NAME:
        name = f"{name[:12]}=={hashlib.sha256(encoded).hexdigest()}"
    return f"{manifest.ROOT}/policies/{name}.rego"


def pack(files: Mapping[str, str]) -> bytes:
    """The files as a tar.gz that depends on nothing but their paths and their text."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, text in sorted(files.items()):
            data = text.encode()
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            entry.mode = 0o600
            tar.addfile(entry, io.BytesIO(data))
    return _gzip(archive.getvalue())


def _gzip(data: bytes) -> bytes:
    """`gzip.compress` without what differs between Python versions: the header's time, name and system."""
    deflate = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    header = b"\x1f\x8b\x08" + bytes(5) + b"\x02\xff"
    return header + deflate.compress(data) + deflate.flush() + struct.pack("<II", zlib.crc32(data), len(data))
