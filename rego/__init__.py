"""The hand-written Rego: what every policy means. The only Python here; it hands the text over and reads no policy."""

from pathlib import Path

ROOT = Path(__file__).parent
CAPABILITIES = ROOT / "capabilities.json"
"""What Rego may use: the built-ins of OPA 1.0 without network, clock, randomness, environment and the like."""


def library() -> dict[str, str]:
    """The library's modules by their place in a bundle, tests left out, sorted.

    Shape: `{"mcp/gate/gate.rego": "# METADATA…"}`.
    """
    modules = sorted(path for path in ROOT.glob("mcp/**/*.rego") if not path.stem.endswith("_test"))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in modules}
