"""`regate stdio`: the gateway as a stdio MCP server, so that a client's entry only swaps its command."""

import typer

from sidecar.cli.flags import of_single
from sidecar.cli.single import Single

_EXAMPLE = """\b
Examples, where a client's entry had the command `npx -y some-server`, or a URL:
  regate stdio --policy /path/to/policy.json -- npx -y some-server
  regate stdio --policy /path/to/policy.json --upstream https://host/mcp --header 'Authorization: env:UPSTREAM_AUTH'
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("stdio", epilog=_EXAMPLE, context_settings={"allow_interspersed_args": False})(of_single(stdio))


def stdio(single: Single) -> None:
    """Govern one MCP server with one policy, over stdio.

    COMMAND is the server to start; --image starts it in a container, and one that is reached over HTTP is named by
    --upstream. Nothing but MCP messages goes to stdout.
    """
    from sidecar.cli.gateway import serve_stdio
    from sidecar.settings.file import Override

    settings = single.settings(
        "stdio", [Override("auth", False, "stdio"), Override("listen_host", "localhost", "stdio")]
    )
    single.check()
    serve_stdio(settings)
