"""`regate stdio`: the gateway as a stdio MCP server, so that a client's entry only swaps its command."""

from typing import Annotated

import typer

from sidecar.cli.images import ImageFlags, ImageOption, MountOption, NetworkOption, UserOption
from sidecar.cli.single import (
    ApprovalMapOption,
    EnvOption,
    HeaderOption,
    HiddenCalls,
    HiddenCallsOption,
    ListOf,
    ListOption,
    NameOption,
    Policed,
    PolicedMethodsOption,
    PolicyOption,
    Single,
    UpstreamOption,
)
from sidecar.cli.terminal import StateOption, state_directory

_EXAMPLE = """\b
Examples, where a client's entry had the command `npx -y some-server`, or a URL:
  regate stdio --policy /path/to/policy.json -- npx -y some-server
  regate stdio --policy /path/to/policy.json --upstream https://host/mcp --header 'Authorization: env:UPSTREAM_AUTH'
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("stdio", epilog=_EXAMPLE, context_settings={"allow_interspersed_args": False})(stdio)


def stdio(
    policy: PolicyOption,
    command: Annotated[list[str] | None, typer.Argument(metavar="-- COMMAND", hidden=True)] = None,
    upstream: UpstreamOption = None,
    state: StateOption = None,
    name: NameOption = None,
    env: EnvOption = None,
    header: HeaderOption = None,
    approval_map: ApprovalMapOption = None,
    list_of: ListOption = ListOf.hidden,
    policed_methods: PolicedMethodsOption = Policed.tools,
    hidden_calls: HiddenCallsOption = HiddenCalls.denied,
    image: ImageOption = None,
    network: NetworkOption = None,
    mount: MountOption = None,
    user: UserOption = None,
) -> None:
    """Govern one MCP server with one policy, over stdio.

    COMMAND is the server to start; --image starts it in a container, and one that is reached over HTTP is named by
    --upstream. Nothing but MCP messages goes to stdout.
    """
    from sidecar.cli.gateway import serve_stdio
    from sidecar.settings_file import Override

    single = Single(
        policy,
        command or (),
        upstream,
        name,
        env or (),
        header or (),
        approval_map,
        state_directory(state),
        list_of,
        policed_methods,
        hidden_calls,
        ImageFlags(image, network, mount or (), user),
    )
    settings = single.settings(
        "stdio", [Override("auth", False, "stdio"), Override("listen_host", "localhost", "stdio")]
    )
    single.check()
    serve_stdio(settings)
