"""Bundles as `regate build` makes them, signed and not, and bent in every way that somebody may try."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import translator
from sidecar import signing
from sidecar.sources.signatures import Key

ALLOWS = b'{"version": "1", "default": "deny", "tools": {"add": {}}}'
DENIES = b'{"version": "1", "default": "deny", "tools": {}}'
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
SECRET = b"0123456789abcdef" * 4


def private_pem(key: Any) -> bytes:
    data: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return data


def public_pem(key: Any) -> bytes:
    data: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data


def key_file(folder: Path, key: Any = EC_KEY, *, algorithm: str = "ES256", id_: str = "default") -> Key:
    """A key to verify by, in a file."""
    path = folder / f"{id_}-{algorithm}-{id(key)}.key"
    path.write_bytes(key if isinstance(key, bytes) else public_pem(key))
    return Key(id_, algorithm, path)


def files(policies: Mapping[str, bytes] | None = None, *, serial: int | None = None, **more: Any) -> dict[str, str]:
    """The files of a bundle of these policies."""
    metadata = more | ({} if serial is None else {"serial": serial})
    return dict(translator.translate(policies or {"p": ALLOWS}, metadata=metadata).files)


def signed(given: Mapping[str, str], key: Any = EC_KEY, algorithm: str = "ES256") -> bytes:
    """A bundle of these files, signed as `regate build --sign` does."""
    pem = key if isinstance(key, bytes) else private_pem(key)
    return packed({**given, signing.PATH: signing.signatures(given, pem, algorithm)})


def bundle(policies: Mapping[str, bytes] | None = None, *, serial: int | None = None) -> bytes:
    """A good bundle, signed with `EC_KEY`."""
    return signed(files(policies, serial=serial))


def packed(given: Mapping[str, str]) -> bytes:
    """The files as a tar.gz."""
    return tarred((entry(name), text.encode()) for name, text in given.items())


def entry(name: str, **more: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for attribute, value in more.items():
        setattr(made, attribute, value)
    return made


def tarred(members: Iterable[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.USTAR_FORMAT) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=form) as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(archive.getvalue(), mtime=0)


def token(
    payload: Mapping[str, Any], *, key: Any = EC_KEY, algorithm: str = "ES256", kid: str | None = "default"
) -> str:
    """`.signatures.json` with any payload in it."""
    head = {} if kid is None else {"kid": kid}
    return json.dumps({"signatures": [jwt.encode(dict(payload), key, algorithm, headers=head)]})


def payload(given: Mapping[str, str]) -> dict[str, Any]:
    """What a good signature of these files says."""
    text = signing.signatures(given, SECRET, "HS256")
    found: dict[str, Any] = jwt.decode(json.loads(text)["signatures"][0], options={"verify_signature": False})
    return found


def names(data: bytes) -> Sequence[str]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        return tar.getnames()
