"""`regate schema`: the JSON Schemas that let an editor complete and check. What is in them is made elsewhere."""

import json
from typing import Annotated

import typer

from sidecar.cli.terminal import say

_EXAMPLE = """\b
Examples:
  regate schema > policy.schema.json
  regate schema --config > regate.schema.json

In a policy, "$schema": "./policy.schema.json" tells an editor where it is; in regate.yaml, the first
line # yaml-language-server: $schema=./regate.schema.json does.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("schema", epilog=_EXAMPLE)(schema)


def schema(
    config: Annotated[bool, typer.Option("--config", help="The schema of regate.yaml instead of policy.json.")] = False,
) -> None:
    """Print the JSON Schema of policy.json."""
    from sidecar.settings import schema as settings_schema
    from translator import schema as policy_schema

    say(json.dumps(settings_schema.schema() if config else policy_schema.schema(), indent=2, ensure_ascii=False))
