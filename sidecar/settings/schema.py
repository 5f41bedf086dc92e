"""The JSON Schema of the settings file, for editors, made from the model. Reads no settings.

What fields say of each other (a server has a command or a url) is not in it: `settings_file` checks that.
"""

from typing import Any

from sidecar.settings.model import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    made = _plain(Settings.model_json_schema())
    made["$defs"]["Secret"] = _secret(made["$defs"]["Secret"])
    return {"$schema": DIALECT, "title": "Settings of regate", **made}


def _plain(part: Any) -> Any:
    """The schema without titles, which only repeat the names."""
    if isinstance(part, list):
        return [_plain(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        name: {key: _plain(each) for key, each in inner.items()} if name in ("properties", "$defs") else _plain(inner)
        for name, inner in part.items()
        if name != "title"
    }


def _secret(made: dict[str, Any]) -> dict[str, Any]:
    """A secret may be written as plain text as well; `value` is how the model keeps that."""
    sources = {name: made["properties"][name] for name in ("env", "file")}
    named = {
        "type": "object",
        "properties": sources,
        "additionalProperties": False,
        "oneOf": [{"required": [name]} for name in sources],
    }
    return {"description": made["description"], "anyOf": [{"type": "string"}, named]}
