"""What an operator may set of where policies come from, if not from files named one by one, and of OPA.

Nothing is read here.
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from sidecar.algorithms import Algorithm
from sidecar.settings.values import Id, Located, Model, Secret, Text, Word, is_loopback

DEFAULT_APPROVAL_MAP = ("Requires human approval.",)
_SCHEMES = ("file", "http", "https", "oci")
_FILE_POLL_S = 1.0
_POLL_S = 30.0
_LEAST_S = 0.1
_SOCKET_PATH_BYTES = 107


def _bundle_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in _SCHEMES and (bool(parts.hostname) or parts.scheme == "file") and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isascii() or not url.isprintable() or set(url) & set(' "\\<>'):
        raise ValueError("must be a file://, https://, http:// or oci:// URL")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("must hold neither credentials nor a fragment (#…)")
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        raise ValueError("must be file:// and an absolute path: file:///etc/regate/bundle.tar.gz")
    if parts.scheme == "oci" and (len(parts.path) < 2 or parts.query):
        raise ValueError("must be oci://registry/repository:tag, or oci://registry/repository@sha256:…")
    return url


def _opa_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        named = parts.path.startswith("/") if parts.scheme == "unix" else bool(parts.hostname)
        sound = named and parts.port != 0
        bare = not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        sound = False
    if not sound or parts.scheme not in ("http", "https", "unix") or not url.isascii() or not url.isprintable():
        raise ValueError("must be an http://, https:// or unix:///path URL")
    if not bare or (parts.scheme == "unix" and parts.netloc) or (parts.scheme != "unix" and parts.path.strip("/")):
        raise ValueError("must name OPA alone: no path on it, no query, no credentials")
    if parts.scheme == "unix" and len(parts.path.encode()) > _SOCKET_PATH_BYTES:
        raise ValueError(f"must not have more than {_SOCKET_PATH_BYTES} bytes of path to the socket")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be https:// for an OPA that is not on a loopback address: whoever answers decides")
    return url.rstrip("/")


OpaUrl = Annotated[str, AfterValidator(_opa_url)]


class PolicyDir(Model):
    """A folder of policies: every `*.json` in it is one, by its name without the ending."""

    path: Located = Field(description="The folder. Files that begin with a dot are no policies.")
    approval_map: tuple[str, ...] = Field(
        default=DEFAULT_APPROVAL_MAP, description="Texts of unconditional denials that a person may lift for one call."
    )


class BundleKey(Model):
    """A key that bundles are verified by."""

    file: Located = Field(description="The public key in PEM; for HS256, HS384 and HS512 the secret.")
    alg: Algorithm = Field(description="How bundles are signed with it, as for `regate build --alg`.")
    keyid: Word = Field(
        default="default", description="The name that signatures give the key. Several keys may have the same."
    )


class Bundle(Model):
    """Where the one bundle of all policies comes from."""

    url: Annotated[str, AfterValidator(_bundle_url)] = Field(
        description="`file:///path`, `https://…`, `http://…`, or `oci://registry/repository:tag`."
    )
    keys: tuple[BundleKey, ...] = Field(
        default=(), description="Keys, one of which must have signed the bundle. See `bundle.keys` below."
    )
    unsigned: bool = Field(
        default=False, description="True takes bundles without keys: whoever can write them there is believed."
    )
    scope: Text = Field(default="", description="The scope that the signature must name.")
    library: Literal["own", "signed"] = Field(
        default="own",
        description="`own`: the bundle's library must be the one of this regate. `signed`: a signed bundle may bring "
        "another, of another version for instance.",
    )
    require_serial: bool = Field(default=False, description="Whether a bundle without a serial is refused.")
    max_policy_age_s: float | None = Field(
        default=None,
        gt=0,
        description="Seconds after which policies that the source did not confirm are no longer used: then every call "
        "is denied. Without it they are used for ever.",
    )
    poll_s: float | None = Field(
        default=None,
        ge=0.1,
        le=86400,
        description="Seconds between questions to the source; by default 30, or 1 for a file.",
    )
    wait_s: float = Field(
        default=60, ge=0, le=3600, description="Seconds a server may take to answer, if it offers that; 0: never."
    )
    token: Secret | None = Field(
        default=None,
        description="A bearer token for the server, or a registry's password: `{env: VARIABLE}` or `{file: PATH}`.",
    )
    username: Word | None = Field(default=None, description="The user name at a registry; `token` is its password.")
    ca_file: Located | None = Field(default=None, description="Certificates (PEM) to believe the server by.")

    @property
    def every_s(self) -> float:
        """How often the source is asked: three times at least before its policies are too old."""
        return self.in_time(self.poll_s or (_FILE_POLL_S if self.url.startswith("file:") else _POLL_S))

    def in_time(self, pause_s: float) -> float:
        """The pause, or a shorter one where the policies would grow too old."""
        return pause_s if self.max_policy_age_s is None else max(_LEAST_S, min(pause_s, self.max_policy_age_s / 3))

    @model_validator(mode="after")
    def _guarded(self) -> "Bundle":
        parts = urlsplit(self.url)
        if bool(self.keys) == self.unsigned:
            raise ValueError("must have keys, or else unsigned: true")
        if self.library == "signed" and not self.keys:
            raise ValueError("library: signed needs keys")
        if self.scope and not self.keys:
            raise ValueError("scope needs keys")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            if self.token is not None:
                raise ValueError("sends no token over http:// except to a loopback address")
            if not self.keys:
                raise ValueError("takes unsigned bundles over http:// from a loopback address only")
        if parts.scheme == "file" and (self.token or self.username or self.ca_file):
            raise ValueError("needs neither token, username nor ca_file for a file")
        if parts.scheme == "oci" and self.token is not None and self.username is None:
            raise ValueError("token is a registry's password, which needs username")
        if self.username is not None and (parts.scheme != "oci" or self.token is None):
            raise ValueError("username is for a registry, beside token")
        return self


class Opa(Model):
    """How OPA is run and asked."""

    binary: Located | None = Field(
        default=None, description="The OPA binary; by default it is looked for and, if need be, got."
    )
    timeout_s: float = Field(
        default=2, gt=0, le=60, description="Seconds to wait for a decision; then the call is denied."
    )
    url: OpaUrl | None = Field(
        default=None,
        description="An OPA that somebody else runs, `http://…`, `https://…` or `unix:///path`; none is started then.",
    )
    token: Secret | None = Field(
        default=None, description="A bearer token for that OPA: `{env: VARIABLE}` or `{file: PATH}`."
    )
    ca_file: Located | None = Field(default=None, description="Certificates (PEM) to believe that OPA by.")
    revisions: dict[Id, Word] = Field(
        default={},
        description="The revision of each policy that that OPA must hold, by the policy's id, in place of a bundle or "
        "of policies that tell it.",
    )
