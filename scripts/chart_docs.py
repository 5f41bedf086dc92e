"""Writes README.md and values.schema.json of the Helm chart, from values.yaml and the model of settings.

`make render` runs it; a test compares the files with `pages()`. A comment `# --` describes the value below it. Of a
mapping whose members are described, only these may be set.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sidecar.settings import schema as settings_schema

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy" / "helm" / "regate"

_MARK = "# -- "
_MADE = "<!-- Made by scripts/chart_docs.py from values.yaml; change that, then run `make render`. -->"
_NAME = {"type": "string", "minLength": 1}
_RULES: Mapping[str, Mapping[str, Any]] = {
    "shape": {"enum": ["sidecar", "gateway", "agents"]},
    "image.digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "settings": {"anyOf": [{"maxProperties": 0}, {"$ref": "#/$defs/RegateSettings"}]},
    "policyFiles": {
        "type": "object",
        "propertyNames": {"pattern": r"^[A-Za-z0-9_.-]+$"},
        "additionalProperties": {"type": "string"},
    },
    "policyConfigMaps": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name", "keys"],
            "properties": {"name": _NAME, "keys": {"type": "array", "minItems": 1, "items": _NAME}},
            "additionalProperties": False,
        },
    },
    "secretFiles": {
        "type": "object",
        "propertyNames": {"pattern": r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$"},
        "additionalProperties": {
            "type": "object",
            "required": ["name", "key"],
            "properties": {"name": _NAME, "key": _NAME},
            "additionalProperties": False,
        },
    },
    "networkPolicy.servers": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name", "podSelector", "port"],
            "properties": {
                "name": _NAME,
                "podSelector": {"type": "object", "minProperties": 1},
                "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            },
            "additionalProperties": False,
        },
    },
    "podDisruptionBudget.maxUnavailable": {"type": ["integer", "string"]},
    "port": {"type": "integer", "minimum": 1024, "maximum": 65535},
    "replicas": {"type": "integer", "minimum": 1},
    "runAsUser": {"type": "integer", "minimum": 1},
    "server.runAsUser": {"type": "integer", "minimum": 1},
}
"""What a value may be, where its default does not say it."""


@dataclass(frozen=True, slots=True)
class Described:
    """A value of the chart: its dotted path and its description."""

    path: str
    text: str


def pages() -> dict[Path, str]:
    """Both files, by their path."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    described = list(_described(text))
    return {CHART / "README.md": _readme(values, described), CHART / "values.schema.json": _schema(values, described)}


def _described(text: str) -> Iterator[Described]:
    """The values that have a comment of their own, in order."""
    way: list[tuple[int, str]] = []
    comment = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(_MARK):
            comment = stripped.removeprefix(_MARK)
        elif stripped.startswith("# ") and comment:
            comment += f" {stripped.removeprefix('# ')}"
        elif stripped and not stripped.startswith("#"):
            indent = len(line) - len(line.lstrip())
            way = [step for step in way if step[0] < indent] + [(indent, stripped.partition(":")[0])]
            if comment:
                yield Described(".".join(name for _, name in way), comment)
            comment = ""


def _at(values: Any, path: str) -> Any:
    for step in path.split("."):
        values = values[step]
    return values


def _is_made_of_described(path: str, described: list[Described]) -> bool:
    return any(one.path.startswith(f"{path}.") for one in described)


def _readme(values: Any, described: list[Described]) -> str:
    rows = [
        f"| `{one.path}` | {_default(_at(values, one.path))} | {one.text.replace('|', chr(92) + '|')} |"
        for one in described
        if not _is_made_of_described(one.path, described)
    ]
    return "\n".join(
        [
            _MADE,
            "",
            "# The Helm chart",
            "",
            "**Without network policies the gateway is only advice: whoever reaches an MCP server directly is not "
            "governed.** The chart makes them; your CNI must enforce them. [deploy/README.md](../../README.md) says "
            "which shape is for whom.",
            "",
            "```",
            "kubectl create secret generic regate-tokens --from-literal=ci=$(openssl rand -hex 32)",
            "helm install regate deploy/helm/regate --values my-values.yaml",
            "helm test regate",
            "```",
            "",
            "Start `my-values.yaml` from one of `ci/*-values.yaml`.",
            "",
            "## Values",
            "",
            "| Value | Default | Meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _default(value: Any) -> str:
    return f"`{json.dumps(value)}`" if value not in ("", [], {}) else "–"


def _schema(values: Any, described: list[Described]) -> str:
    made = settings_schema.schema()
    inner = made.pop("$defs")
    made["properties"] = {name: {"anyOf": [{"type": "null"}, part]} for name, part in made["properties"].items()}
    definitions = {**inner, "RegateSettings": {key: made[key] for key in made if key not in ("$schema", "title")}}
    root = _of(values, "", described)
    root["properties"]["global"] = {"type": "object"}
    whole = {"$schema": settings_schema.DIALECT, "title": "Values of the chart", **root, "$defs": definitions}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _of(value: Any, path: str, described: list[Described]) -> dict[str, Any]:
    """The schema of a value, from its default."""
    if path in _RULES:
        return dict(_RULES[path])
    if isinstance(value, dict):
        if path and not _is_made_of_described(path, described):
            return {"type": "object"}
        members = {name: _of(part, f"{path}.{name}".lstrip("."), described) for name, part in value.items()}
        return {"type": "object", "properties": members, "additionalProperties": False}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "integer", "minimum": 0}
    return {"type": "array" if isinstance(value, list) else "string"}


def main() -> int:
    """Writes the files."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
