import hashlib
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sidecar import signing
from sidecar.algorithms import ALGORITHMS

FILES = {"mcp/a.rego": "package mcp.a\n", ".manifest": '{"revision": "r", "roots": ["é\\u2028"], "metadata": {}}'}
SECRET = b"0123456789abcdef" * 4
RSA = rsa.generate_private_key(65537, 2048)
CURVES = {"256": ec.SECP256R1(), "384": ec.SECP384R1(), "512": ec.SECP521R1()}


def private(key: Any, password: bytes | None = None) -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    data: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    return data


def pair(algorithm: str) -> tuple[bytes, Any]:
    """What signs and what verifies."""
    if algorithm.startswith("HS"):
        return SECRET, SECRET
    key: Any = ec.generate_private_key(CURVES[algorithm[2:]]) if algorithm.startswith("ES") else RSA
    return private(key), key.public_key()


def payload(text: str, key: Any, algorithm: str) -> dict[str, Any]:
    (token,) = json.loads(text)["signatures"]
    found: dict[str, Any] = jwt.decode(token, key, [algorithm])
    return found


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signature_of_every_algorithm_names_every_file(algorithm: str) -> None:
    key, verifier = pair(algorithm)
    found = payload(signing.signatures(FILES, key, algorithm), verifier, algorithm)
    assert [entry["name"] for entry in found["files"]] == [".manifest", "mcp/a.rego"]
    assert found["files"][1]["hash"] == hashlib.sha256(FILES["mcp/a.rego"].encode()).hexdigest()


def test_digest_of_the_manifest_is_of_its_meaning() -> None:
    other = FILES | {".manifest": '{"metadata":{},"roots":["\\u00e9\\u2028"],"revision":"r"}'}
    assert signing.signatures(FILES, SECRET, "HS256") == signing.signatures(other, SECRET, "HS256")
    wanted = '{"metadata":{},"revision":"r","roots":["é\\u2028"]}'.encode()
    found = payload(signing.signatures(FILES, SECRET, "HS256"), SECRET, "HS256")
    assert found["files"][0]["hash"] == hashlib.sha256(wanted).hexdigest()


@pytest.mark.parametrize(("algorithm", "same"), [("RS256", True), ("HS512", True), ("ES256", False), ("PS256", False)])
def test_signature_is_the_same_again_where_the_algorithm_allows_it(algorithm: str, same: bool) -> None:
    key, _ = pair(algorithm)
    one, other = (signing.signatures(FILES, key, algorithm) for _ in range(2))
    assert (one == other) is same


PUBLIC = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
OTHERS: list[tuple[str, Callable[[], bytes], str]] = [
    ("RS256", lambda: private(ec.generate_private_key(ec.SECP256R1())), "RS256 needs a private RSA key in PEM."),
    ("RS256", lambda: PUBLIC, "RS256 needs a private RSA key in PEM."),
    ("RS256", lambda: b"", "RS256 needs a private RSA key in PEM."),
    ("PS384", lambda: b"\xff\x00", "PS384 needs a private RSA key in PEM."),
    ("ES256", lambda: private(RSA), "ES256 needs a private EC key (P-256) in PEM."),
    ("ES512", lambda: private(ec.generate_private_key(ec.SECP384R1())), "ES512 needs a private EC key (P-521) in PEM."),
    ("HS256", lambda: private(RSA), "HS256 needs a secret that is no key in PEM."),
    ("RS256", lambda: private(RSA, b"word"), "Decrypt it: openssl pkey -in KEY -out PLAIN"),
    ("HS384", lambda: b"x" * 47, "Make one: openssl rand -hex 48 > secret.key"),
]


@pytest.mark.parametrize(("algorithm", "key", "hint"), OTHERS)
def test_signing_with_the_wrong_key_says_what_is_needed(algorithm: str, key: Callable[[], bytes], hint: str) -> None:
    with pytest.raises(signing.SigningFailed) as refused:
        signing.signatures(FILES, key(), algorithm)
    assert refused.value.hint == hint
