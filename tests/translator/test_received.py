import json
from collections.abc import Callable
from typing import Any

import pytest

import rego
from tests import bundles
from translator import BundleRejected, received, translate
from translator.bundle import module_path
from translator.manifest import digest

FILES = bundles.files({"p": bundles.ALLOWS, "a b": bundles.DENIES}, serial=7, commit="0b1c2d3")
MODULE = module_path("p")


def test_received_names_what_regate_build_made() -> None:
    made = translate({"p": bundles.ALLOWS, "a b": bundles.DENIES})
    found = received(FILES)
    assert found.revision == made.revision
    assert dict(found.policies) == {id_: policy.revision for id_, policy in made.policies.items()}
    assert (found.serial, found.commit, found.is_own_library) == (7, "0b1c2d3", True)
    assert dict(found.files) == FILES


def test_received_without_serial_and_policies() -> None:
    found = received(dict(translate({}).files))
    assert (found.serial, found.commit, dict(found.policies)) == (None, "", {})


def test_received_another_library_is_told() -> None:
    library = rego.library() | {"mcp/more/more.rego": "package mcp.more\n"}
    found = received(_remade(library))
    assert not found.is_own_library


def _remade(library: dict[str, str]) -> dict[str, str]:
    """A bundle that is in step with its own manifest, with another library and no policy."""
    manifest = json.loads(dict(translate({}).files)[".manifest"])
    manifest["metadata"]["library"] = digest(library)
    manifest["revision"] = f"library:{digest(library)},policies:{digest({})}"
    return {**library, ".manifest": json.dumps(manifest)}


def _manifest(**members: Any) -> str:
    return json.dumps({**json.loads(FILES[".manifest"]), **members})


def _metadata(**members: Any) -> str:
    given = json.loads(FILES[".manifest"])
    return json.dumps({**given, "metadata": {**given["metadata"], **members}})


def _module(change: Callable[[str], str]) -> dict[str, str]:
    return FILES | {MODULE: change(FILES[MODULE])}


def _dropped(name: str) -> dict[str, str]:
    return {path: text for path, text in FILES.items() if path != name}


BENT: list[tuple[str, dict[str, str], str]] = [
    ("no manifest", _dropped(".manifest"), "no manifest"),
    ("no JSON", FILES | {".manifest": "{"}, "not JSON"),
    ("too deep", FILES | {".manifest": "[" * 100_000}, "not JSON"),
    ("half a character", FILES | {".manifest": '{"revision": "\\ud800"}'}, "not JSON"),
    ("a list", FILES | {".manifest": "[]"}, "not one that regate build writes"),
    ("wasm", FILES | {".manifest": _manifest(wasm=[])}, "not one that regate build writes"),
    ("other roots", FILES | {".manifest": _manifest(roots=["mcp", "system"])}, "one root must be mcp"),
    ("other Rego", FILES | {".manifest": _manifest(rego_version=0)}, "Rego version 1"),
    ("metadata a list", FILES | {".manifest": _manifest(metadata=[])}, "does not name library"),
    ("revision a number", FILES | {".manifest": _manifest(revision=1)}, "does not name library"),
    ("no library", FILES | {".manifest": _manifest(metadata={"policies": {}})}, "does not name library"),
    ("policies a list", FILES | {".manifest": _metadata(policies=[])}, "does not name library"),
    ("policy a number", FILES | {".manifest": _metadata(policies={"p": 1})}, "does not name library"),
    ("serial a text", FILES | {".manifest": _metadata(serial="7")}, "does not name library"),
    ("serial true", FILES | {".manifest": _metadata(serial=True)}, "does not name library"),
    ("serial negative", FILES | {".manifest": _metadata(serial=-1)}, "does not name library"),
    ("commit a number", FILES | {".manifest": _metadata(commit=1)}, "does not name library"),
    ("another revision", FILES | {".manifest": _manifest(revision="r")}, "Its revision is library:sha256:"),
    ("library changed", FILES | {"mcp/gate/gate.rego": "package mcp.gate\n"}, "Its library is sha256:"),
    ("library added to", FILES | {"mcp/more.rego": "package mcp.more\n"}, "Its library is sha256:"),
    ("data", FILES | {"data.json": "{}"}, "It holds 'data.json'"),
    ("policy added", FILES | {"mcp/policies/q.rego": "package mcp.policies.q\n"}, "It holds 'mcp/policies/q.rego'"),
    ("policy left out", _dropped(MODULE), "does not hold policy 'p'"),
    ("policy changed", _module(lambda text: text.replace('"add"', '"drop"')), "not of the revision"),
    (
        "policy of the router",
        _module(lambda text: text.replace("package mcp.policies.p", "package mcp.gate")),
        "another",
    ),
    ("package hidden", _module(lambda text: f"# \rpackage mcp.gate\n{text}"), "in another package"),
    ("package of another", _module(lambda text: text.replace("mcp.policies.p", "mcp.policies.q")), "another package"),
    ("empty module", _module(lambda _: ""), "in another package"),
]


@pytest.mark.parametrize(("files", "says"), [each[1:] for each in BENT], ids=[each[0] for each in BENT])
def test_received_what_regate_build_did_not_make_is_rejected(files: dict[str, str], says: str) -> None:
    with pytest.raises(BundleRejected, match=says) as rejected:
        received(files)
    assert "\n" not in str(rejected.value)
