"""`regate bundles`: serves bundles from a folder, and puts one into a registry. Makes none and verifies none."""

import asyncio
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli import files
from sidecar.cli.serve import listen_address
from sidecar.cli.terminal import note, printable, refuse, say
from sidecar.errors import SettingsError, SidecarError

EXAMPLE = """\b
Examples:
  regate bundles serve /srv/bundles
  regate bundles push bundle.tar.gz oci://registry.example/team/policies:main
"""
_SERVE_EXAMPLE = """\b
Example:
  regate build policies/ -o /srv/bundles/policies.tar.gz --serial 7 --sign key.pem --alg ES256
  regate bundles serve /srv/bundles --listen 127.0.0.1:8702
\b
Then, in a gateway's settings:
  bundle: {url: http://127.0.0.1:8702/policies.tar.gz, keys: [{file: public.pem, alg: ES256}]}
"""
_PUSH_EXAMPLE = """\b
Example:
  regate bundles push bundle.tar.gz oci://registry.example/team/policies:main --username ci --password-file secret
"""


class NotPushed(SidecarError):
    """The registry did not take the bundle."""

    code = "not_pushed"


def add(app: typer.Typer) -> None:
    """Adds the commands to their group."""
    app.command("serve", epilog=_SERVE_EXAMPLE)(serve)
    app.command("push", epilog=_PUSH_EXAMPLE)(push)


def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, hidden=True)],
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes any free one.")
    ] = "127.0.0.1:8702",
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", dir_okay=False, help="The token to ask for.  [default: none]"),
    ] = None,
) -> None:
    """Serve the bundles of a folder, for OPA and for gateways.

    DIR/NAME.tar.gz is at /NAME.tar.gz, with an ETag. A client that says `Prefer: wait=60` is answered when the file
    changes. Replace a file by renaming another over it.
    """
    from sidecar.settings.values import is_loopback
    from sidecar.shelf import BundleServer, Shelf

    host, port = listen_address(listen)

    def token() -> str:
        return _token(token_file) if token_file is not None else ""

    token()
    try:
        server = BundleServer((host, port), Shelf(folder), token=token, tell=lambda line: note(printable(line)))
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {listen}: {(error.strerror or 'failed').lower()}", hint="Choose another with --listen."
        ) from error
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    say(f"Bundles of {printable(str(folder))} are at http://{host}:{server.server_address[1]}/NAME.tar.gz")
    if not is_loopback(host):
        what = "A token travels in the clear" if token_file is not None else "Everybody who can connect can read them"
        note(f"regate: {what}; put TLS in front, and sign the bundles.")
    with server:
        server.serve_forever(poll_interval=0.1)


def push(
    bundle: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, hidden=True)],
    place: Annotated[str, typer.Argument(metavar="oci://REGISTRY/REPOSITORY:TAG", hidden=True)],
    username: Annotated[
        str | None, typer.Option("--username", metavar="NAME", help="The user name there.  [default: none]")
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", metavar="FILE", dir_okay=False, help="Its password.  [default: none]"),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(
            "--ca-file",
            metavar="FILE",
            dir_okay=False,
            help="Certificates (PEM) to believe the registry by.  [default: the system's]",
        ),
    ] = None,
) -> None:
    """Put a bundle into an OCI registry.

    It becomes an image with one layer, as OPA and `bundle.url` take it. A registry on this machine is spoken to without
    TLS.
    """
    from sidecar.fetch import NotFetched
    from sidecar.sources import oci
    from sidecar.sources.registry import Registry, parse
    from sidecar.sources.transfer import Transfer

    if (username is None) != (password_file is None):
        refuse("--username and --password-file belong together")
    reference = parse(place)
    if reference.digest:
        refuse("a bundle is pushed under a tag, not under a digest")
    data = files.read(bundle)

    async def upload() -> str:
        registry = Registry(
            Transfer(ca_file), username or "", lambda: _token(password_file) if password_file is not None else ""
        )
        try:
            return await oci.push(registry, reference, data)
        finally:
            await registry.close()

    try:
        digest = asyncio.run(upload())
    except NotFetched as error:
        raise NotPushed(f"{place} did not take the bundle: {error}") from error
    say(f"{printable(place)}: {digest}")


def _token(path: Path) -> str:
    from sidecar.settings.values import Secret

    return Secret(file=path).read()
