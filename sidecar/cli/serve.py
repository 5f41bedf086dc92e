"""`regate run` and `regate serve`: the gateway over HTTP, and what it says once calls can be served."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar import __version__
from sidecar.cli.flags import of_single
from sidecar.cli.single import Single
from sidecar.cli.stores import state_store
from sidecar.cli.terminal import StateOption, note, printable, refuse, say

if TYPE_CHECKING:
    from sidecar.settings.file import Override
    from sidecar.settings.model import Settings
    from sidecar.wiring import Ready

ListenOption = Annotated[
    str | None,
    typer.Option(
        "--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes any free one.  [default: 127.0.0.1:8700]"
    ),
]
ReadyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--ready-file",
        metavar="FILE",
        dir_okay=False,
        help="Write url, token and pid to FILE once calls can be served.",
    ),
]
AdminListenOption = Annotated[
    str | None,
    typer.Option("--admin-listen", metavar="HOST:PORT", help="Where to serve probes and metrics, apart from MCP."),
]
TlsCertOption = Annotated[
    Path | None,
    typer.Option("--tls-cert", metavar="FILE", dir_okay=False, help="Speak TLS with the certificate in this PEM file."),
]
TlsKeyOption = Annotated[
    Path | None,
    typer.Option("--tls-key", metavar="FILE", dir_okay=False, help="The certificate's private key, in a PEM file."),
]
NoAuthOption = Annotated[bool, typer.Option("--no-auth", help="Ask for no token. On a loopback address only.")]

_RUN_EXAMPLES = """\b
Examples:
  regate run --policy policy.json -- npx -y some-server
  regate run --policy policy.json --image mcp/time --env TZ
  regate run --policy policy.json --upstream https://host/mcp --header 'Authorization: env:UPSTREAM_AUTH'
"""
_SERVE_EXAMPLES = """\b
Example:
  regate serve --config regate.yaml
\b
A regate.yaml with one server and one policy:
  servers:
    git: {command: [mcp-server-git, --repository, /srv/repository]}
  policies:
    careful: {file: policy.json}
\b
Then make a token for a client:
  regate grants create --config regate.yaml --server git --policy careful
"""


def add(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command("run", epilog=_RUN_EXAMPLES, context_settings={"allow_interspersed_args": False})(of_single(run))
    app.command("serve", epilog=_SERVE_EXAMPLES)(serve)


def run(
    single: Single,
    listen: ListenOption = None,
    ready_file: ReadyFileOption = None,
    no_auth: NoAuthOption = False,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    admin_listen: AdminListenOption = None,
) -> None:
    """Govern one MCP server with one policy, over HTTP.

    COMMAND is the server to start and is spoken to over stdio; --image starts it in a container, and a server that is
    reached over HTTP is named by --upstream. No settings file is needed.
    """
    from sidecar import statedir
    from sidecar.cli.gateway import serve_http

    more = _more(tls_cert, tls_key, admin_listen)
    settings = single.settings("run", [*_overrides(listen, None, ready_file, no_auth), *more])
    single.check()
    token = statedir.kept_token(statedir.run_token_file(settings.state, single.server)) if settings.auth else None

    def greet(served: "Ready") -> None:
        _greet_run(single, settings, served, token)

    serve_http(settings, token, greet)


def serve(
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", exists=True, dir_okay=False, help="The settings, in YAML.")
    ],
    listen: ListenOption = None,
    state: StateOption = None,
    ready_file: ReadyFileOption = None,
    no_auth: NoAuthOption = False,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    admin_listen: AdminListenOption = None,
) -> None:
    """Govern the MCP servers of a settings file, over HTTP.

    Each server is at /mcp/NAME. A client needs a token, which is good for one server under one policy.
    """
    from sidecar.cli.gateway import serve_http
    from sidecar.settings.file import load

    settings = load(config, [*_overrides(listen, state, ready_file, no_auth), *_more(tls_cert, tls_key, admin_listen)])
    _require_a_grant(settings)

    def greet(served: "Ready") -> None:
        _greet_serve(config, settings, served)

    serve_http(settings, None, greet)


def _require_a_grant(settings: "Settings") -> None:
    """Raises: SettingsError when other machines could connect, and no token was ever made to tell them apart."""
    from sidecar.errors import SettingsError
    from sidecar.grants.sqlite import SqliteGrants

    if settings.is_local or settings.grants or settings.oauth is not None:
        return
    with state_store(settings.state, make=True) as database:
        if all(grant.revoked_at is not None for grant in SqliteGrants(database).list()):
            raise SettingsError(
                f"listening on {settings.listen_host} needs a grant first, and there is none",
                hint="Make one with `regate grants create`, or listen on 127.0.0.1.",
            )


def listen_address(text: str) -> tuple[str, int]:
    """The host and port of HOST:PORT. Raises: Usage."""
    from sidecar.settings.values import host_and_port

    try:
        return host_and_port(text)
    except ValueError as error:
        refuse(f"--listen: {error}")


def _overrides(listen: str | None, state: Path | None, ready_file: Path | None, no_auth: bool) -> "Iterator[Override]":
    from sidecar.settings.file import Override

    if listen is not None:
        host, port = listen_address(listen)
        yield Override("listen_host", host, "--listen")
        yield Override("listen_port", port, "--listen")
    for name, path, label in (("state", state, "--state"), ("ready_file", ready_file, "--ready-file")):
        if path is not None:
            yield Override(name, str(path), label)
    if no_auth:
        yield Override("auth", False, "--no-auth")


def _more(cert: Path | None, key: Path | None, admin_listen: str | None) -> "Iterator[Override]":
    from sidecar.settings.file import Override

    if admin_listen is not None:
        yield Override("admin_listen", admin_listen, "--admin-listen")
    if (cert is None) != (key is None):
        refuse("--tls-cert and --tls-key go together")
    if cert is not None and key is not None:
        yield Override("tls", {"cert_file": str(cert.absolute()), "key_file": str(key.absolute())}, "--tls-cert")


def _greet_run(single: Single, settings: "Settings", served: "Ready", token: str | None) -> None:
    from sidecar.cli.clients import Entry, own_command

    say(f"regate {__version__} governs {single.server} under {printable(str(single.policy))}")
    say()
    say(f"  gateway  {served.url}")
    say(f"  token    {token or 'none is asked for'}")
    say()
    stdio = [*own_command(), *single.stdio_arguments()]
    for line in Entry(single.server, served.url, token, stdio).lines():
        say(line)
    _say_tools(served)
    _warn_if_open(settings)
    say("Ctrl-C stops it.")


def _greet_serve(config: Path, settings: "Settings", served: "Ready") -> None:
    say(f"regate {__version__} governs {', '.join(settings.servers)} under {printable(str(config))}")
    say()
    for server in settings.servers:
        say(f"  {served.base}/mcp/{server}")
    _say_tools(served)
    _warn_if_open(settings)
    if settings.auth:
        say("`regate grants create` makes a token for a client; `regate status` says what runs. Ctrl-C stops it.")


def _say_tools(served: "Ready") -> None:
    say()
    for server, tools in served.tools.items():
        if tools is None:
            say(f"Tools of {server}: not known yet, for it does not answer; see the log.")
        else:
            say(f"Tools of {server} ({len(tools)}):")
        width = max((len(printable(name)) for name, _ in tools or ()), default=0)
        for name, line in tools or ():
            say(f"  {printable(name):<{width}}  {printable(line)}".rstrip())
        say()


def _warn_if_open(settings: "Settings") -> None:
    from sidecar.cli.gateway import exposure

    if exposed := exposure(settings):
        note(f"regate: {exposed}")
