"""The certificate that the gateway shows, from files that may change while it runs. Opens no socket.

Kubernetes swaps a link when it renews a Secret: files are looked at by what their paths lead to. A pair that cannot be
used, half written or mixed, changes nothing; the last good one stays.
"""

import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sidecar.errors import SettingsError, SidecarError

_Mark = tuple[tuple[int, ...] | None, ...]


class Certificates:
    """`context` is for new connections; `problem` says why the files as they are now are not in it.

    With `client_ca_file`, a client must show a certificate that one of its authorities has signed.
    Raises: SettingsError (missing, unreadable, no pair).
    """

    def __init__(
        self, cert_file: Path, key_file: Path, client_ca_file: Path | None, warn: Callable[[SidecarError], None]
    ) -> None:
        self._cert_file = cert_file
        self._key_file = key_file
        self._client_ca_file = client_ca_file
        self._warn = warn
        self._seen = self._marks()
        self.context, self.expires_at = self._load()
        self.problem = ""
        self._expired: datetime | None = None
        self._look_at_the_end()

    def renew(self) -> bool:
        """Whether the files have changed, and `context` with them."""
        marks = self._marks()
        if marks == self._seen:
            self._look_at_the_end()
            return False
        self._seen = marks
        try:
            self.context, self.expires_at = self._load()
        except SettingsError as error:
            if str(error) != self.problem:
                self.problem = str(error)
                self._warn(SettingsError(f"{error} The certificate before stays in use."))
            return False
        self.problem = ""
        self._look_at_the_end()
        return True

    def _look_at_the_end(self) -> None:
        """An expired certificate is shown all the same: the gateway serves, and clients say what they make of it."""
        if self.expires_at <= datetime.now(UTC) and self._expired != self.expires_at:
            self._expired = self.expires_at
            self._warn(
                SettingsError(
                    f"tls: the certificate in {self._cert_file} expired at {self.expires_at:%Y-%m-%dT%H:%M:%SZ}; "
                    "clients will refuse it."
                )
            )

    def _marks(self) -> _Mark:
        return tuple(map(_mark, (self._cert_file, self._key_file, self._client_ca_file)))

    def _load(self) -> tuple[ssl.SSLContext, datetime]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        for path in (self._cert_file, self._key_file, self._client_ca_file):
            if path is not None:
                _readable(path)
        try:
            context.load_cert_chain(self._cert_file, self._key_file, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise SettingsError(
                f"tls: {self._cert_file} and {self._key_file} are no certificate with its key: {_reason(error)}."
            ) from None
        if self._client_ca_file is not None:
            try:
                context.load_verify_locations(self._client_ca_file)
            except (ssl.SSLError, OSError) as error:
                raise SettingsError(
                    f"tls: {self._client_ca_file} holds no certificate authority: {_reason(error)}."
                ) from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context, _expires_at(self._cert_file)


def _mark(path: Path | None) -> tuple[int, ...] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


def _readable(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        raise SettingsError(f"tls: {path} cannot be read: {(error.strerror or 'failed').lower()}.") from None


def _no_password() -> str:
    raise ValueError("the key asks for a password")


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    if reason is None and isinstance(error, ssl.SSLError):
        return "not PEM, or damaged"
    return str(reason).replace("_", " ").lower() if reason else str(error) or type(error).__name__


def _expires_at(path: Path) -> datetime:
    """Raises: SettingsError."""
    from cryptography import x509  # a tenth of a second that a gateway without TLS does not need

    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0].not_valid_after_utc.astimezone(UTC)
    except (OSError, ValueError) as error:
        raise SettingsError(f"tls: {path} cannot be read: {type(error).__name__}.") from None
