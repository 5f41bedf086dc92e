import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from sidecar.algorithms import ALGORITHMS
from sidecar.errors import SettingsError
from sidecar.signing import PATH
from sidecar.sources.archive import BundleRefused, unpack
from sidecar.sources.signatures import Key, verify
from tests import bundles
from tests.archives import unpack as unpack_into
from tests.bundles import EC_KEY, OTHER_EC_KEY, RSA_KEY, SECRET, key_file

FILES = bundles.files(serial=1)
PAYLOAD = bundles.payload(FILES)


def content(signatures: str | None, files: dict[str, str] = FILES) -> dict[str, bytes]:
    text = files if signatures is None else {**files, PATH: signatures}
    return {name: data.encode() for name, data in text.items()}


@pytest.mark.parametrize("algorithm", [each for each in ALGORITHMS if each not in ("ES384", "ES512")])
def test_verify_takes_what_regate_signs(tmp_path: Path, algorithm: str) -> None:
    key: Any = SECRET if algorithm.startswith("HS") else EC_KEY if algorithm.startswith("ES") else RSA_KEY
    verify(unpack(bundles.signed(FILES, key, algorithm)), [key_file(tmp_path, key, algorithm=algorithm)], "")


@pytest.mark.parametrize("scope", ["", "write"])
def test_verify_takes_what_opa_signs(tmp_path: Path, opa_path: Path, scope: str) -> None:
    folder = unpack_into(bundles.packed(FILES), tmp_path / "bundle")
    (tmp_path / "key.pem").write_bytes(bundles.private_pem(EC_KEY))
    command = [opa_path, "sign", "--signing-key", tmp_path / "key.pem", "--signing-alg", "ES256", "--bundle", "."]
    if scope:
        (tmp_path / "claims.json").write_text(json.dumps({"scope": scope}))
        command += ["--claims-file", tmp_path / "claims.json"]
    subprocess.run([*command, "--output-file-path", "."], cwd=folder, check=True, timeout=60)
    signatures = (folder / PATH).read_text()
    verify(content(signatures), [key_file(tmp_path)], scope)
    with pytest.raises(BundleRefused, match="another scope"):
        verify(content(signatures), [key_file(tmp_path)], "other")


def test_verify_takes_any_of_several_keys_also_of_one_name(tmp_path: Path) -> None:
    both = [key_file(tmp_path, OTHER_EC_KEY), key_file(tmp_path, EC_KEY), key_file(tmp_path, SECRET, algorithm="HS256")]
    for key, algorithm in ((EC_KEY, "ES256"), (OTHER_EC_KEY, "ES256"), (SECRET, "HS256")):
        verify(unpack(bundles.signed(FILES, key, algorithm)), both, "")


def test_verify_key_is_taken_by_its_name(tmp_path: Path) -> None:
    text = bundles.token(PAYLOAD, kid="2027")
    verify(content(text), [key_file(tmp_path, id_="2027")], "")
    with pytest.raises(BundleRefused, match="signed by key '2027' with 'ES256'; no key set is that"):
        verify(content(text), [key_file(tmp_path)], "")


def test_verify_signature_that_names_no_key_is_tried_with_all(tmp_path: Path) -> None:
    verify(content(bundles.token(PAYLOAD, kid=None)), [key_file(tmp_path, id_="2027")], "")


def _listed(change: dict[str, Any] | None = None, **members: Any) -> str:
    entries = [entry | (change or {}) if entry["name"] == ".manifest" else entry for entry in PAYLOAD["files"]]
    return bundles.token({**PAYLOAD, "files": entries, **members})


BENT: list[tuple[str, dict[str, bytes], str]] = [
    ("unsigned", content(None), "not signed, and keys are set"),
    ("no JSON", content("x"), "does not hold one signature"),
    ("too deep", content("[" * 100_000), "does not hold one signature"),
    ("no signature", content('{"signatures": []}'), "does not hold one signature"),
    ("two signatures", content('{"signatures": ["a", "b"]}'), "does not hold one signature"),
    ("a number", content('{"signatures": [1]}'), "does not hold one signature"),
    ("no token", content('{"signatures": ["a.b.c"]}'), "cannot be read"),
    ("another key", content(bundles.token(PAYLOAD, key=OTHER_EC_KEY)), "The bundle's signature is wrong"),
    ("no algorithm", content(bundles.token(PAYLOAD, key=None, algorithm="none")), "no key set is that"),
    (
        "public key as a secret",
        content(bundles.token(PAYLOAD, key=b"x" * 64, algorithm="HS256")),
        "with 'HS256'; no key set is that",
    ),
    ("expired", content(_listed(exp=int(time.time()) - 60)), "not valid at this time"),
    ("not yet", content(_listed(nbf=int(time.time()) + 600)), "not valid at this time"),
    ("scope", content(_listed(scope="write")), "another scope"),
    ("no files", content(bundles.token({"keyid": "default"})), "does not list its files"),
    ("files a number", content(bundles.token({"files": 1})), "does not list its files"),
    ("MD5", content(_listed({"algorithm": "MD5"})), "does not list its files"),
    ("digest a number", content(_listed({"hash": 1})), "does not list its files"),
    ("listed twice", content(_listed({"name": "mcp/gate/gate.rego"})), "does not list its files"),
    ("other digest", content(_listed({"hash": "0" * 64})), "'.manifest' is not what was signed"),
    ("file added", content(_listed(), FILES | {"x": ""}), "holds 'x', which is not signed"),
    ("file missing", content(_listed(), {".manifest": FILES[".manifest"]}), "lacks 'mcp/amount/amount.rego'"),
    ("file changed", content(_listed(), FILES | {"mcp/policies/p.rego": "package x"}), "is not what was signed"),
    ("manifest no JSON", content(_listed(), FILES | {".manifest": "{"}), "'.manifest' is not text"),
    ("not text", content(_listed()) | {"mcp/policies/p.rego": b"\xff"}, "is not text"),
]


@pytest.mark.parametrize(("files", "says"), [each[1:] for each in BENT], ids=[each[0] for each in BENT])
def test_verify_what_the_key_did_not_sign_is_refused(tmp_path: Path, files: dict[str, bytes], says: str) -> None:
    with pytest.raises(BundleRefused, match=says) as refused:
        verify(files, [key_file(tmp_path)], "")
    assert "\n" not in str(refused.value)


def test_verify_public_key_is_no_secret(tmp_path: Path) -> None:
    """The old trick: the public key, which everybody knows, taken as the secret of HS256."""
    with pytest.raises(SettingsError, match="holds no key that HS256 could verify by"):
        key_file(tmp_path, bundles.public_pem(RSA_KEY), algorithm="HS256").read()


@pytest.mark.parametrize(
    ("data", "algorithm", "says"),
    [
        (b"short", "HS256", "has 5 bytes; HS256 needs at least 32"),
        (bundles.private_pem(EC_KEY), "ES256", "holds a private key"),
        (bundles.public_pem(RSA_KEY), "ES256", "holds no key that ES256 could verify by"),
        (bundles.public_pem(EC_KEY), "RS256", "holds no key that RS256 could verify by"),
        (b"\xff", "RS256", "holds no key that RS256 could verify by"),
        (bytes(70_000), "RS256", "too large"),
    ],
)
def test_key_that_cannot_verify_is_an_error(tmp_path: Path, data: bytes, algorithm: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        key_file(tmp_path, data, algorithm=algorithm).read()


def test_key_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"k\.pem cannot be read: no such file"):
        Key("default", "ES256", tmp_path / "k.pem").read()
