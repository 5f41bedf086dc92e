"""Programs → one bundle: the same programs give the same bytes. No policy is read or judged, nothing is signed here."""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import rego
from translator import deflate, emit, manifest
from translator.program import Program

_ESCAPED = re.compile(rb"[^a-z0-9_-]")
_MAX_NAME = 80
_UNNAMED = '\nrevision := ""\n'
"""The line of a module that its revision is put into. Nothing before it can hold a line like it."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """One policy of a bundle: what it means, and the revision that its decisions name."""

    revision: str
    program: Program


class Part(StrEnum):
    """What of a whole a bundle holds. OPA takes one bundle of the library beside any number of policies' own."""

    ALL = "all"
    LIBRARY = "library"
    POLICIES = "policies"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What OPA loads: `data`, a tar.gz of `files`.

    `revision` names the whole of it, `policies` has each policy's own.
    """

    data: bytes
    revision: str
    policies: Mapping[str, Compiled]
    files: Mapping[str, str] = field(default_factory=dict)


def build(
    programs: Mapping[str, Program], *, part: Part = Part.ALL, metadata: Mapping[str, str | int] | None = None
) -> Bundle:
    """The bundle of the library and one module per policy id, or of a part of that.

    `metadata` goes into the manifest beside the digests of the library and of each policy; it changes no revision.
    Raises: ValueError for an id that is not Unicode text.
    """
    library = rego.library()
    digest = manifest.digest(library)
    modules = {}
    policies = {}
    for policy_id, program in sorted(programs.items()):
        path = module_path(policy_id)
        module = emit.module(program, policy_id, "")
        revision = manifest.policy_revision(digest, path, module)
        modules[path] = module.replace(_UNNAMED, _UNNAMED.replace('""', f'"{revision}"'), 1)
        policies[policy_id] = Compiled(revision, program)
    revisions = {policy_id: compiled.revision for policy_id, compiled in policies.items()}
    revision = manifest.revision(digest, revisions)
    members = {"library": digest, "policies": revisions, **(metadata or {})}
    files = {
        ".manifest": manifest.manifest(revision, _roots(part, library, programs), members),
        **({} if part is Part.POLICIES else library),
        **({} if part is Part.LIBRARY else modules),
    }
    return Bundle(pack(files), revision, policies, files)


def _roots(part: Part, library: Mapping[str, str], policy_ids: Iterable[str]) -> list[str]:
    """What the bundle owns of OPA's data: nothing that another bundle beside it may hold."""
    if part is Part.ALL:
        return [manifest.ROOT]
    if part is Part.LIBRARY:
        return sorted({path.rpartition("/")[0] for path in library})
    return [f"{manifest.POLICIES}/{policy_id}" for policy_id in sorted(policy_ids)]


def module_path(policy_id: str) -> str:
    """Where a policy's module stands in a bundle: a safe name that no other id has, on any file system.

    Lower-case letters, digits, `_` and `-` stay; every other byte becomes `=` and two digits; a long name is cut
    and ends in `==` and a digest.
    """
    encoded = policy_id.encode()
    name = _ESCAPED.sub(lambda byte: b"=%02x" % ord(byte[0]), encoded).decode() or "="
    if len(name) > _MAX_NAME:
        name = f"{name[:12]}=={hashlib.sha256(encoded).hexdigest()}"
    return f"{manifest.POLICIES}/{name}.rego"


def pack(files: Mapping[str, str]) -> bytes:
    """The files as a tar.gz that depends on nothing but their paths and their text."""
    return deflate.gzip(tarred(files))


def tarred(files: Mapping[str, str]) -> bytes:
    """The files as a tar archive that depends on nothing but their paths and their text."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, text in sorted(files.items()):
            data = text.encode()
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            entry.mode = 0o600
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()
