"""What an operator may set of how the gateway serves: TLS, and how it ends. Values only; no file is opened here."""

from pathlib import Path

from pydantic import Field

from sidecar.settings.values import Located, Model


class Tls(Model):
    """The certificate that clients see, in PEM files that are read again when they change."""

    cert_file: Located = Field(description="The certificate, and behind it those that lead to its authority.")
    key_file: Located = Field(description="Its private key, without a password.")
    client_ca_file: Located | None = Field(
        default=None, description="Authorities, one of which must have signed the certificate that each client shows."
    )

    @property
    def files(self) -> tuple[Path, Path, Path | None]:
        """The three files, in order."""
        return self.cert_file, self.key_file, self.client_ca_file


class Drain(Model):
    """How the gateway ends after SIGTERM."""

    announce_s: float = Field(
        default=0,
        ge=0,
        le=3600,
        description="Seconds in which it still takes connections while `/readyz` is 503 already, so that load "
        "balancers can hear of it.",
    )
    finish_s: float = Field(default=20, ge=0, le=86400, description="Seconds that calls under way then have to end.")
