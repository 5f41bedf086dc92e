"""What the protocol's own schemas take for valid. Knows nothing of the gateway."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema.validators import validator_for

FOLDER = Path(__file__).parent / "schema"
MODERN = "2026-07-28"
LEGACY = ["2025-06-18", "2025-11-25"]
_CODED = {-32020: "HeaderMismatchError", -32022: "UnsupportedProtocolVersionError"}


@cache
def _validator(revision: str, name: str) -> Any:
    schema = json.loads((FOLDER / f"{revision}.json").read_text(encoding="utf-8"))
    section = "$defs" if "$defs" in schema else "definitions"
    assert name in schema[section], f"{revision} has no {name}"
    return validator_for(schema)({**schema, "$ref": f"#/{section}/{name}"})


def check(revision: str, name: str, instance: Any) -> None:
    """Raises: jsonschema.ValidationError for what the revision does not mean by that name."""
    _validator(revision, name).validate(instance)


def check_error(answer: Any, *, modern: bool) -> None:
    """Raises: jsonschema.ValidationError for what is no error in the era, or not the one that its code says."""
    for revision in [MODERN] if modern else [*LEGACY, MODERN]:
        if "id" in answer or revision != LEGACY[0]:
            check(revision, "JSONRPCError" if revision == LEGACY[0] else "JSONRPCErrorResponse", answer)
    code = answer["error"]["code"]
    if code in _CODED:
        assert modern
        check(MODERN, _CODED[code], answer)
