import json
import re

from translator import manifest

LIBRARY = {"mcp/a.rego": "package mcp.a\n", "mcp/b.rego": "package mcp.b\n"}
DIGEST = re.compile("sha256:[0-9a-f]{32}")


def test_digest_depends_on_paths_and_text_and_on_no_order() -> None:
    base = manifest.digest(LIBRARY)
    assert DIGEST.fullmatch(base)
    assert manifest.digest(dict(reversed(LIBRARY.items()))) == base
    others = [
        LIBRARY | {"mcp/b.rego": "package mcp.c\n"},
        LIBRARY | {"mcp/c.rego": ""},
        {"mcp/a.rego": "", "mcp/b.rego": ""},
        {"mcp/a.regop": "ackage mcp.a\n", "mcp/b.rego": "package mcp.b\n"},
    ]
    assert len({base, *map(manifest.digest, others)}) == 5


def test_policy_revision_changes_with_module_place_and_library() -> None:
    base = manifest.policy_revision("sha256:1", "mcp/policies/p.rego", "x")
    assert DIGEST.fullmatch(base)
    assert manifest.policy_revision("sha256:1", "mcp/policies/p.rego", "x") == base
    assert manifest.policy_revision("sha256:1", "mcp/policies/p.rego", "y") != base
    assert manifest.policy_revision("sha256:1", "mcp/policies/q.rego", "x") != base
    assert manifest.policy_revision("sha256:2", "mcp/policies/p.rego", "x") != base


def test_revision_names_library_and_policies_by_digest() -> None:
    base = manifest.revision("sha256:1", {"p": "sha256:2"})
    assert re.fullmatch(r"library:sha256:1,policies:sha256:[0-9a-f]{32}", base)
    assert manifest.revision("sha256:1", {"p": "sha256:3"}) != base
    assert manifest.revision("sha256:1", {"q": "sha256:2"}) != base
    assert manifest.revision("sha256:3", {"p": "sha256:2"}).removeprefix("library:sha256:3") == base[16:]


def test_manifest_names_revision_roots_language_and_metadata() -> None:
    text = manifest.manifest("r", ["mcp/a", "mcp/b"], {"serial": 7})
    wanted = {"revision": "r", "roots": ["mcp/a", "mcp/b"], "rego_version": 1, "metadata": {"serial": 7}}
    assert json.loads(text) == wanted
