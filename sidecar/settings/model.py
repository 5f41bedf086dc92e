"""The one model of what an operator may set, and its defaults.

How a file, the environment and the command line become it is `settings_file`; nothing here opens a store or a socket.
"""

import os
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from sidecar.errors import SettingsError
from sidecar.settings.auth import Credentials, OAuth
from sidecar.settings.container import Container, ImageName
from sidecar.settings.grants import TokenGrant
from sidecar.settings.serving import Drain, Tls
from sidecar.settings.shared import Replicas, SessionKey, SharedRedis
from sidecar.settings.sources import DEFAULT_APPROVAL_MAP, Bundle, Opa, PolicyDir
from sidecar.settings.values import Id, Located, Model, Name, Secret, Text, Variable, Word, host_and_port, is_loopback

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = re.compile(
    r"accept(-encoding)?|connection|content-(encoding|length|type)|expect|host|keep-alive|last-event-id|te|trailer"
    r"|mcp-(method|name|protocol-version|session-id|param-.*)|transfer-encoding|upgrade",
    re.IGNORECASE,
)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+")
_LOCAL_URL = re.compile(r"[^\s]+")


class Server(Model):
    """An MCP server behind the gateway: a command or an image spoken to over stdio, or a URL."""

    command: tuple[Word, ...] | None = Field(
        default=None,
        min_length=1,
        description="The command and its arguments, as a list. Beside `image`: what the container is given instead of "
        "the image's own command.",
    )
    image: ImageName | None = Field(
        default=None, description="The image to start it from in a container, by Docker; never pulled."
    )
    container: Container = Field(default=Container(), description="See `servers.NAME.container` below; for an image.")
    url: str | None = Field(default=None, description="The URL of an HTTP server, without credentials in it.")
    transport: Literal["http", "sse"] | None = Field(
        default=None,
        description="How the URL is spoken to: `http` (Streamable HTTP) or `sse` (the older HTTP+SSE). Without it, "
        "that is tried out.",
    )
    env: dict[Variable, Text] = Field(
        default={}, repr=False, description="Environment variables added for the command, or all of them for the image."
    )
    cwd: Located | None = Field(default=None, description="The folder the command starts in.")
    headers: dict[str, Secret] = Field(
        default={},
        description="Headers sent to the URL: `Name: text`, `Name: {env: VARIABLE}` or `Name: {file: PATH}`.",
    )
    credentials: Credentials | None = Field(
        default=None, description="See `servers.NAME.credentials` below; for a URL."
    )
    timeout_s: float = Field(
        default=120, gt=0, le=86400, description="Seconds to wait for the first byte of an answer."
    )

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            sound = False
        if not sound or not url.isascii() or _LOCAL_URL.fullmatch(url) is None:
            raise ValueError("must be an http:// or https:// URL")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold credentials; put them into headers, as {env: NAME} or {file: PATH}")
        if parts.fragment:
            raise ValueError("must not have a fragment (#…)")
        return url

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, Secret]) -> dict[str, Secret]:
        if len({name.lower() for name in headers}) != len(headers):
            raise ValueError("one header is given twice; upper and lower case are the same")
        for name in headers:
            if _HEADER_NAME.fullmatch(name) is None:
                raise ValueError("a header's name may hold letters, digits and - only")
            if _OWN_HEADERS.fullmatch(name) is not None:
                raise ValueError(f"{name} is the gateway's own to set")
        return headers

    @field_validator("credentials")
    @classmethod
    def _carried(cls, credentials: Credentials | None) -> Credentials | None:
        if credentials is not None and credentials.header and _OWN_HEADERS.fullmatch(credentials.header):
            raise ValueError(f"{credentials.header} is the gateway's own to set")
        return credentials


class Policy(Model):
    """A policy file under the id that grants name it by."""

    file: Located = Field(description="The policy.json.")
    approval_map: tuple[str, ...] = Field(
        default=DEFAULT_APPROVAL_MAP, description="Texts of unconditional denials that a person may lift for one call."
    )


class Children(Model):
    """Bounds on the processes started for servers that are commands."""

    max_per_server: int = Field(
        default=32, ge=1, le=10_000, description="Processes at once, one for each open session."
    )
    idle_s: float = Field(
        default=1800, gt=0, description="Seconds without a message after which a session's process is ended."
    )


def default_state() -> Path:
    """`$XDG_STATE_HOME/regate`, or `~/.local/state/regate`. Raises: SettingsError where there is no home folder."""
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    try:
        return (home if home.is_absolute() else Path("~/.local/state").expanduser()) / "regate"
    except RuntimeError as error:
        raise SettingsError("There is no home folder to keep state in.", hint="Set --state or REGATE_STATE.") from error


class Settings(Model):
    """All settings of one gateway. Make it with `settings_file`, which checks what fields say of each other."""

    listen_host: Word = Field(default="127.0.0.1", description="The address to listen on.")
    listen_port: int = Field(default=8700, ge=0, le=65535, description="The port to listen on; 0 takes any free one.")
    admin_listen: str | None = Field(
        default=None,
        description="HOST:PORT of a second address, for `/livez`, `/readyz`, `/startupz` and `/metrics` only, in plain "
        "HTTP. Without it, `/readyz` and `/metrics` are where MCP is.",
    )
    metrics_token: Secret | None = Field(
        default=None,
        description="The token that `/metrics` asks for, as `{env: NAME}` or `{file: PATH}`. Without it, anybody who "
        "reaches `admin_listen` may read them, and elsewhere the operator only.",
    )
    tls: Tls | None = Field(default=None, description="See `tls` below; without it, plain HTTP is spoken.")
    drain: Drain = Drain()
    state: Located = Field(
        default_factory=default_state, description="The folder for counters, grants, approvals and the audit log."
    )
    auth: bool = Field(
        default=True, description="Whether a token is asked for. It can be off on a loopback address only."
    )
    ready_file: Located | None = Field(
        default=None, description="A file to write url, token and pid to once calls are served."
    )
    servers: dict[Name, Server] = Field(min_length=1, description="The MCP servers, by the name in `/mcp/<name>`.")
    policies: dict[Id, Policy] = Field(default={}, description="The policies, by id.")
    policy_dir: PolicyDir | None = Field(
        default=None, description="See `policy_dir` below; policies from a folder, in place of `policies`."
    )
    bundle: Bundle | None = Field(
        default=None, description="See `bundle` below; policies from a bundle, in place of `policies`."
    )
    grants: dict[Id, TokenGrant] = Field(default={}, description="Grants whose tokens are made elsewhere, by id.")
    oauth: OAuth | None = Field(default=None, description="See `oauth` below; without it, only tokens of grants count.")
    allowed_origins: tuple[str, ...] = Field(default=(), description="Values of `Origin` that browsers may send.")
    allowed_hosts: tuple[Word, ...] = Field(
        default=(), description="Names in `Host` to accept besides the loopback names and `listen_host`."
    )
    body_limit_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1024, le=1 << 30, description="The longest message accepted."
    )
    max_connections: int = Field(
        default=4096, ge=1, description="The most connections at once (mind `ulimit -n`); the next is answered 503."
    )
    audit_keep_days: int | None = Field(
        default=None, ge=1, le=36_500, description="The days that audit records are kept; without it, for ever."
    )
    list_ttl_cap_ms: int = Field(
        default=30_000, ge=0, description="The longest time a client may keep a list of tools."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is logged."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto",
        description="How the log is written: `text`, or a line of JSON for each event. `auto` is text on a terminal, "
        "else JSON. With `json`, the greeting is such a line too.",
    )
    opa: Opa = Opa()
    children: Children = Children()
    replicas: Replicas = "one"
    redis: SharedRedis = None
    session_key: SessionKey = None

    @field_validator("admin_listen")
    @classmethod
    def _address(cls, text: str | None) -> str | None:
        if text is not None:
            host_and_port(text)
        return text

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if any(_ORIGIN.fullmatch(origin) is None for origin in origins):
            raise ValueError("an origin is scheme://host or scheme://host:port, in lower case and without a path")
        return origins

    @property
    def hosts(self) -> frozenset[str]:
        """Every name or address, without a port and in lower case, that `Host` may carry."""
        return frozenset(name.lower() for name in (*LOOPBACK_NAMES, self.listen_host, *self.allowed_hosts))

    @property
    def policy_ids(self) -> tuple[str, ...] | None:
        """The ids of all policies; None where only what comes from elsewhere tells them."""
        if self.policy_dir is not None or self.bundle is not None:
            return None
        return tuple(self.opa.revisions or self.policies)

    @property
    def is_local(self) -> bool:
        """Can only this machine reach the gateway?"""
        return is_loopback(self.listen_host)
