"""`regate injector`: the admission webhook that puts the sidecar into pods. Decides nothing itself."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli.gateway import stoppable
from sidecar.cli.serve import listen_address
from sidecar.cli.terminal import note, printable, refuse
from sidecar.errors import SettingsError

if TYPE_CHECKING:
    from sidecar.injector.running import Files, SelfSigned

_ANNOUNCE_S = 5.0
_FINISH_S = 10.0

_EXAMPLE = """\b
Examples:
  regate injector --template sidecar.yaml --tls-cert tls.crt --tls-key tls.key
  regate injector --template sidecar.yaml --self-signed regate/tls --service injector.regate.svc --webhook regate

It answers /mutate and /validate of a Kubernetes API server, and changes nothing by itself, so a dry run is a dry run.
With --self-signed it makes its own certificate, keeps it in a Secret for all replicas, renews it, and has the webhook
configurations trust it; without, cert-manager or you do.
"""


def add(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("injector", epilog=_EXAMPLE)(injector)


def injector(
    template: Annotated[
        Path,
        typer.Option("--template", metavar="FILE", exists=True, dir_okay=False, help="The sidecar to add."),
    ],
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where the API server asks.")
    ] = "0.0.0.0:8443",
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="The certificate; read again when it changes.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key.")] = None,
    self_signed: Annotated[
        str | None,
        typer.Option("--self-signed", metavar="NAMESPACE/SECRET", help="Make the certificate, and keep it there."),
    ] = None,
    service: Annotated[
        list[str] | None,
        typer.Option("--service", metavar="NAME", help="A DNS name for the certificate made. May be repeated."),
    ] = None,
    webhook: Annotated[
        list[str] | None,
        typer.Option("--webhook", metavar="NAME", help="A webhook configuration that is to trust it. May be repeated."),
    ] = None,
    exempt_pods: Annotated[
        list[str] | None,
        typer.Option(
            "--exempt-pods",
            metavar="NAMESPACE/ACCOUNT",
            help="Pods of this service account need no sidecar. May be repeated.",
        ),
    ] = None,
    exempt_service: Annotated[
        list[str] | None,
        typer.Option("--exempt-service", metavar="NAMESPACE/NAME", help="This Service may lead past. May be repeated."),
    ] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option("--ready-file", metavar="FILE", dir_okay=False, help="Write the port to FILE once it answers."),
    ] = None,
) -> None:
    """Put the sidecar into pods that ask for it, and refuse what leads past it, as a Kubernetes admission webhook."""
    from sidecar import telemetry
    from sidecar.downstream.leaving import Leaving
    from sidecar.downstream.listener import bind
    from sidecar.injector.review import Exempt
    from sidecar.injector.running import run
    from sidecar.injector.template import Template

    shown = _shown(tls_cert, tls_key, self_signed, service or (), webhook or ())
    exempt = Exempt(_pairs("--exempt-pods", exempt_pods), _pairs("--exempt-service", exempt_service))
    sidecar = Template.read(template)
    host, port = listen_address(listen)
    telemetry.configure("info")
    try:
        listening = bind(host, port)
    except OSError as error:
        raise SettingsError(f"--listen: {listen} cannot be listened on: {error.strerror}.") from error
    bound = listening.getsockname()[1]

    def ready() -> None:
        if ready_file is not None:
            ready_file.write_text(f"{bound}\n")
        note(f"regate injector: answers on port {bound}; adds {printable(sidecar.container['image'])}")

    leaving = Leaving(_ANNOUNCE_S, _FINISH_S)
    asyncio.run(stoppable(run(sidecar, exempt, shown, listening, ready=ready, leaving=leaving), leaving))


def _shown(
    cert: Path | None, key: Path | None, self_signed: str | None, names: Sequence[str], webhooks: Sequence[str]
) -> "Files | SelfSigned":
    from sidecar.injector.running import Files, SelfSigned

    if self_signed is None:
        if cert is None or key is None or names or webhooks:
            refuse("give --tls-cert and --tls-key, or --self-signed with --service and --webhook")
        return Files(cert, key)
    if cert is not None or key is not None or not names or not webhooks:
        refuse("--self-signed goes with --service and --webhook, and without --tls-cert and --tls-key")
    (pair,) = _pairs("--self-signed", [self_signed])
    namespace, _, secret = pair.partition("/")
    return SelfSigned(namespace, secret, tuple(names), tuple(webhooks))


def _pairs(option: str, given: Sequence[str] | None) -> frozenset[str]:
    for one in given or ():
        if one.count("/") != 1 or one.startswith("/") or one.endswith("/"):
            refuse(f"{option}: must be NAMESPACE/NAME")
    return frozenset(given or ())
