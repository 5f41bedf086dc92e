"""Writes what is made from other files: deploy/manifests/ by kustomize, and the pages of `scripts.reference`.

`make render` runs it. Whoever has neither helm nor kustomize can apply deploy/manifests/ as they are.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".cache" / "deploy" / "bin"
OVERLAYS = ROOT / "deploy" / "kustomize" / "overlays"
MANIFESTS = ROOT / "deploy" / "manifests"
SHAPES = ("sidecar", "gateway", "agents")


def manifests() -> dict[Path, str]:
    """The overlay of each shape as plain YAML, by its path. Needs kustomize in `TOOLS`."""
    return {MANIFESTS / f"{shape}.yaml": _head(shape) + kustomized(OVERLAYS / shape) for shape in SHAPES}


def kustomized(folder: Path) -> str:
    """What kustomize builds in a folder."""
    command = [str(TOOLS / "kustomize"), "build", str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _head(shape: str) -> str:
    return f"# Made by `make render` from deploy/kustomize/overlays/{shape}; change that.\n"


def main() -> int:
    """Writes the files."""
    from scripts import reference

    for path, text in {**manifests(), **reference.pages()}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
