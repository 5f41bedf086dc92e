import json
from pathlib import Path

import pytest

import rego
import translator
from sidecar.sources.accepted import Trust, accept
from sidecar.sources.archive import BundleRefused, unpack
from tests import bundles
from tests.bundles import key_file
from translator.manifest import digest

FILES = bundles.files({"p": bundles.ALLOWS}, serial=7)


def trust(folder: Path, **more: bool) -> Trust:
    return Trust((key_file(folder),), **more)


def other_library() -> dict[str, str]:
    """A bundle whose router allows everything, in step with its own manifest."""
    library = rego.library() | {"mcp/gate/gate.rego": "package mcp.gate\n\ndecision := {}\n"}
    manifest = json.loads(dict(translator.translate({}).files)[".manifest"])
    manifest["metadata"]["library"] = digest(library)
    manifest["revision"] = f"library:{digest(library)},policies:{digest({})}"
    return {**library, ".manifest": json.dumps(manifest)}


def test_accept_gives_what_opa_is_to_hold(tmp_path: Path) -> None:
    found = accept(bundles.signed(FILES), trust(tmp_path))
    made = translator.translate({"p": bundles.ALLOWS})
    assert (found.revision, found.serial, found.commit) == (made.revision, 7, "")
    assert {id_: policy.revision for id_, policy in found.policies.items()} == {"p": made.policies["p"].revision}
    assert unpack(found.data) == {name: text.encode() for name, text in FILES.items()}


def test_accept_unsigned_only_without_keys(tmp_path: Path) -> None:
    assert accept(bundles.packed(FILES), Trust()).serial == 7
    assert accept(bundles.signed(FILES), Trust()).serial == 7
    with pytest.raises(BundleRefused, match="not signed"):
        accept(bundles.packed(FILES), trust(tmp_path))


def test_accept_needs_a_serial_where_told(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="has no serial"):
        accept(bundles.signed(bundles.files()), trust(tmp_path, require_serial=True))
    assert accept(bundles.signed(FILES), trust(tmp_path, require_serial=True)).serial == 7


def test_accept_foreign_router_only_of_a_signer_who_may(tmp_path: Path) -> None:
    files = other_library()
    for given in (trust(tmp_path), Trust(), Trust(any_library=True)):
        with pytest.raises(BundleRefused, match="library is not the one of this regate") as refused:
            accept(bundles.signed(files), given)
        assert "Build the bundle with the regate that runs here" in refused.value.hint
    assert accept(bundles.signed(files), trust(tmp_path, any_library=True)).policies == {}


def test_accept_what_regate_build_did_not_make_is_refused_even_signed(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match=r"not sound\. It holds 'data.json'"):
        accept(bundles.signed(FILES | {"data.json": "{}"}), trust(tmp_path))


def test_accept_file_that_is_not_text_is_refused() -> None:
    members = [(bundles.entry(name), text.encode()) for name, text in FILES.items()]
    with pytest.raises(BundleRefused, match="not text"):
        accept(bundles.tarred([*members, (bundles.entry("mcp/x.rego"), b"\xff")]), Trust())


def test_trust_examines_its_keys(tmp_path: Path) -> None:
    from sidecar.errors import SettingsError

    trust(tmp_path).examine()
    with pytest.raises(SettingsError):
        Trust((key_file(tmp_path, b"x", algorithm="HS256"),)).examine()
