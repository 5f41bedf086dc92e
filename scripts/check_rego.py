"""`opa fmt --fail` and `opa check --strict` with schemas over the hand-written Rego. Needs only OPA."""

import subprocess
import sys
from pathlib import Path

from sidecar.opa import binary

_REGO = Path(__file__).resolve().parent.parent / "rego"


def main() -> int:
    """The worst exit code of the two checks; OPA prints what is wrong."""
    opa = str(binary.ensure(print))
    commands = (
        [opa, "fmt", "--fail", "--list", "."],
        [opa, "check", "--strict", "--schema", "schemas", "mcp"],
    )
    return max(subprocess.run(command, cwd=_REGO, check=False).returncode for command in commands)


if __name__ == "__main__":
    sys.exit(main())
