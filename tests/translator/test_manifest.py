import json
import re

from translator import manifest

LIBRARY = {"mcp/a.rego": "package mcp.a\n", "mcp/b.rego": "package mcp.b\n"}


def test_revision_depends_on_paths_and_text_and_on_no_order() -> None:
    base = manifest.revision(LIBRARY)
    assert re.fullmatch("sha256:[0-9a-f]{64}", base)
    assert manifest.revision(dict(reversed(LIBRARY.items()))) == base
    others = [
        LIBRARY | {"mcp/b.rego": "package mcp.c\n"},
        LIBRARY | {"mcp/c.rego": ""},
        {"mcp/a.rego": "", "mcp/b.rego": ""},
        {"mcp/a.regop": "ackage mcp.a\n", "mcp/b.rego": "package mcp.b\n"},
    ]
    assert len({base, *map(manifest.revision, others)}) == 5


def test_policy_revision_changes_with_module_place_and_library() -> None:
    base = manifest.policy_revision(LIBRARY, "mcp/policies/p.rego", "x")
    assert re.fullmatch("sha256:[0-9a-f]{32}", base)
    assert manifest.policy_revision(LIBRARY, "mcp/policies/p.rego", "x") == base
    assert manifest.policy_revision(LIBRARY, "mcp/policies/p.rego", "y") != base
    assert manifest.policy_revision(LIBRARY, "mcp/policies/q.rego", "x") != base
    assert manifest.policy_revision({}, "mcp/policies/p.rego", "x") != base


def test_manifest_names_revision_root_and_language() -> None:
    assert json.loads(manifest.manifest("sha256:1")) == {"revision": "sha256:1", "roots": ["mcp"], "rego_version": 1}
