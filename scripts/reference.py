"""Writes docs/reference/: every command and every setting, from the code itself. Run it after changing either.

The Helm chart repeats the settings in its schema, so its pages are written too.

`python -m scripts.reference` writes the pages; a test compares them with `pages()`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from scripts import chart_docs
from sidecar import cli
from sidecar.settings import auth as settings_auth
from sidecar.settings import container as settings_container
from sidecar.settings import file as settings_file
from sidecar.settings import model as settings
from sidecar.settings import serving as settings_serving
from sidecar.settings import shared as settings_shared
from sidecar.settings import sources as settings_sources

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"

_WIDTH = 100
_MADE = "<!-- Made by scripts/reference.py; change the code, then run `make render`. -->"
_EXAMPLE = """\
```yaml
listen_host: 127.0.0.1
listen_port: 8700
state: ./state

servers:
  git:
    command: [mcp-server-git, --repository, /srv/repository]
    env: {GIT_PAGER: cat}
  tickets:
    url: https://tickets.example/mcp
    headers:
      Authorization: {env: TICKETS_AUTHORIZATION}

policies:
  careful:
    file: policies/careful.json
  support:
    file: policies/support.json
    approval_map: ["Requires human approval.", "Ask the shift lead."]

grants:
  ci:
    server: git
    policy: careful
    token_env: CI_TOKEN
```"""
_SECTIONS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("servers.NAME", settings.Server, "An MCP server: `command` or `url`, one of them. It is served at `/mcp/NAME`."),
    (
        "servers.NAME.credentials",
        settings_auth.Credentials,
        "A token that the gateway shows to the server, and renews. One of `env`, `file`, `command` and `oauth`.",
    ),
    ("servers.NAME.credentials.oauth", settings_auth.ClientCredentials, "OAuth client credentials (RFC 6749, 4.4)."),
    ("tls", settings_serving.Tls, "TLS on the address it listens on, version 1.2 or newer."),
    ("drain", settings_serving.Drain, "How it ends after SIGTERM. A second signal ends it at once."),
    (
        "servers.NAME.container",
        settings_container.Container,
        "The container of an `image`. Its root is read-only, it has no capabilities, and `/tmp` is a tmpfs.",
    ),
    (
        "servers.NAME.container.mounts",
        settings_container.Mount,
        "A folder or volume. `FOLDER:/PLACE` and `FOLDER:/PLACE:rw` are short forms.",
    ),
    ("policies.ID", settings.Policy, "A policy, by the id that grants name."),
    (
        "policy_dir",
        settings_sources.PolicyDir,
        "Policies from a folder: files that come and go are followed. A ConfigMap mounted there is read as one copy.",
    ),
    (
        "bundle",
        settings_sources.Bundle,
        "All policies from one bundle, as `regate build` makes it: fetched again and again, verified, and kept for a "
        "start without its source. With `keys`, or else `unsigned: true`. See [bundles](../bundles.md).",
    ),
    ("bundle.keys", settings_sources.BundleKey, "A list. A bundle is taken when one of the keys signed it."),
    (
        "grants.ID",
        settings.TokenGrant,
        "A token's right to one server under one policy, with one of `token_env`, `token_file` and `token_sha256`. "
        "Other grants are made by `regate grants create`.",
    ),
    (
        "oauth",
        settings_auth.OAuth,
        "An authorization server whose tokens are taken, with one of `jwks_url` and `jwks_file`. "
        "Tokens of grants are taken beside them.",
    ),
    ("oauth.rules", settings_auth.Rule, "A list. What a token is good for is said by the first rule that fits it."),
    (
        "opa",
        settings_sources.Opa,
        "The Open Policy Agent that decides. Without `url` the gateway starts one; an OPA at a `url` must have its "
        "policies already, and every decision of it must name the revision expected.",
    ),
    ("children", settings.Children, "Processes started for servers that are commands."),
    ("redis", settings_shared.Redis, "A Redis that holds counters, approvals and used states for several gateways."),
)


def pages() -> dict[Path, str]:
    """Every page, by its path."""
    return {FOLDER / "commands.md": commands(), FOLDER / "settings.md": settings_page(), **chart_docs.pages()}


def commands() -> str:
    """The page of commands: what `--help` prints, for each."""
    root: Any = typer.main.get_command(cli.application())
    return "\n".join([_MADE, "", "# Commands", "", *_command(root, typer.Context(root, info_name="regate"))]) + "\n"


def _command(command: Any, context: Any) -> Iterator[str]:
    context.terminal_width = _WIDTH
    yield from (f"## `{context.command_path}`", "", "```text", *_trimmed(command.get_help(context)), "```", "")
    for name, child in getattr(command, "commands", {}).items():
        yield from _command(child, typer.Context(child, info_name=name, parent=context))


def _trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def settings_page() -> str:
    """The page of settings: the file, its parts, and the environment."""
    parts = [
        _MADE,
        "",
        "# Settings",
        "",
        "`regate serve --config regate.yaml` reads them from YAML. Paths in the file are relative to it. A flag",
        "outranks an environment variable, which outranks the file. `regate run` and `regate stdio` need no file.",
        "",
        _EXAMPLE,
        "",
        "## The file",
        "",
        *_table(settings.Settings, settings_file.ENVIRONMENT),
    ]
    for name, model, text in _SECTIONS:
        parts += [f"## `{name}`", "", text, "", *_table(model, {})]
    return "\n".join(parts).rstrip() + "\n"


def _table(model: type[BaseModel], environment: dict[str, str]) -> Iterator[str]:
    schema = model.model_json_schema()
    variables = {name: variable for variable, name in environment.items()}
    yield from ("| Setting | Value | Default | Meaning |", "| --- | --- | --- | --- |")
    for name, field in model.model_fields.items():
        inner = schema["properties"][name]
        meaning = field.description or f"See `{name}` below."
        if name in variables:
            meaning += f" Environment: `{variables[name]}`."
        yield f"| `{name}` | {_kind(inner)} | {_default(name, field)} | {meaning} |"
    yield ""


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "$ref" in schema:
        return "text or mapping" if schema["$ref"].endswith("/Secret") else "mapping"
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    if kind == "object":
        return "mapping"
    if schema.get("format") == "path":
        return "path"
    return {"integer": "whole number", "number": "number", "boolean": "true or false"}.get(str(kind), "text")


def _default(name: str, field: Any) -> str:
    if field.is_required():
        return "required"
    if name == "state":
        return "`$XDG_STATE_HOME/regate`, or `~/.local/state/regate`"
    value = field.default
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and value:
        return "`[" + ", ".join(f'"{text}"' for text in value) + "]`"
    if value is None or isinstance(value, BaseModel) or value in ((), {}):
        return "required" if name == "servers" else "–"
    return f"`{value}`"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
