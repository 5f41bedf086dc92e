"""Does OPA take these regular expressions too? One question to the binary, without a server. Reads no policy.

The translator has asked RE2; Go's regexp is what will match. Both must take a pattern before it is relied on.
"""

import json
import os
import subprocess
from collections.abc import Collection
from pathlib import Path

from sidecar.errors import CannotDecide

_ANSWER_S = 60.0
_QUERY = "[pattern | some pattern in input; not regex.is_valid(pattern)]"


def refused(binary: Path, patterns: Collection[str]) -> list[str]:
    """Those of the patterns that OPA does not take, in order. Raises: CannotDecide (it does not answer)."""
    if not patterns:
        return []
    command: list[str | Path] = [binary, "eval", "--stdin-input", "--format", "raw", _QUERY]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(list(patterns)).encode(),
            env={"PATH": os.defpath},
            capture_output=True,
            timeout=_ANSWER_S,
            check=True,
        )
        found = json.loads(done.stdout)
        assert isinstance(found, list)
    except (OSError, ValueError, AssertionError, subprocess.SubprocessError) as error:
        raise CannotDecide(
            f"{binary} does not say whether it takes the policies' patterns.", hint="Correct or unset REGATE_OPA."
        ) from error
    return [pattern for pattern in patterns if pattern in found]
