"""Where an HTTP server is: one fixed URL as what a connection and a request's head need. No I/O."""

import ssl
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from sidecar.errors import Broken, SettingsError
from sidecar.http1 import Origin


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart. `host` is what the Host header says, `target` the path and the query."""

    url: str
    origin: Origin
    host: str
    target: str

    @classmethod
    def of(cls, url: str, tls: ssl.SSLContext | None = None) -> "Address":
        """The address of a URL. Raises: SettingsError."""
        try:
            parts = urlsplit(url)
            given_port, host = parts.port, parts.netloc.encode("idna").decode()
        except ValueError as error:
            raise SettingsError("The upstream URL is not a URL.") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError("The upstream URL is not an http or https URL.")
        if parts.username or parts.password:
            raise SettingsError("The upstream URL holds a user name or password.", hint="Give it as a header instead.")
        secure = parts.scheme == "https"
        port = given_port or (443 if secure else 80)
        context = (tls or ssl.create_default_context()) if secure else None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(url, Origin(parts.hostname, port, context), host, target)

    def beside(self, reference: str) -> "Address":
        """What a reference on this page leads to. Raises: Broken (it is no reference, or leads to another server)."""
        try:
            url = urljoin(self.url, reference)
            ours, theirs = urlsplit(self.url), urlsplit(url)
            port = theirs.port or (443 if theirs.scheme == "https" else 80)
        except ValueError as error:
            raise Broken("The server's endpoint is not a URL.") from error
        if (theirs.scheme, theirs.hostname, port) != (ours.scheme, self.origin.host, self.origin.port):
            raise Broken("The server's endpoint is on another server.")
        if theirs.username is not None or not url.isascii() or not url.isprintable() or " " in url:
            raise Broken("The server's endpoint is not a URL.")
        target = (theirs.path or "/") + (f"?{theirs.query}" if theirs.query else "")
        return Address(url, self.origin, self.host, target)

    def head(self, verb: str) -> bytes:
        """The first lines of a request."""
        return f"{verb} {self.target} HTTP/1.1\r\nhost: {self.host}\r\naccept-encoding: identity\r\n".encode()
