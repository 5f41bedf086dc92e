"""What an operator may set where several gateways serve the same clients. Values only; nothing here opens a store."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from sidecar.errors import SettingsError
from sidecar.settings.conflicts import Problem
from sidecar.settings.values import Located, Model, Secret, Word

KEY_CHARACTERS = 32
_SCHEMES = ("redis", "rediss", "unix")


def _plain(url: str) -> str:
    try:
        parts = urlsplit(url)
        named = parts.path.startswith("/") and len(parts.path) > 1 if parts.scheme == "unix" else bool(parts.hostname)
        sound = parts.scheme in _SCHEMES and named and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:///PATH")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold credentials; they are set by username and password")
    if parts.query or parts.fragment:
        raise ValueError("must have neither a query (?…) nor a fragment (#…)")
    return url


class Redis(Model):
    """A Redis, version 7 or later, that holds what several gateways share."""

    url: Annotated[str, AfterValidator(_plain)] = Field(
        description="`redis://HOST:PORT`, `rediss://HOST:PORT` (TLS) or `unix:///PATH`, without credentials in it."
    )
    username: Word | None = Field(default=None, description="The user of its ACL; without it, the default user.")
    password: Secret | None = Field(default=None, description="Its password: `{env: VARIABLE}` or `{file: PATH}`.")
    ca_file: Located | None = Field(
        default=None,
        description="The authorities for `rediss://`, in a PEM file; by default those that this machine knows.",
    )
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] = Field(
        default="regate:", description="What its keys begin with: the same for all gateways that share, else another."
    )
    timeout_s: float = Field(default=1, gt=0, le=60, description="Seconds to wait for it; then the call is denied.")


Replicas = Annotated[
    Literal["one", "several", "sticky"],
    Field(
        description="`one`: no other gateway serves these clients. `several`: others do, and any of them may get the "
        "next request. `sticky`: others do, and a client always reaches the same one."
    ),
]
SharedRedis = Annotated[
    Redis | None,
    Field(
        description="See `redis` below; without it, counters, approvals and used states are kept in the state folder."
    ),
]
SessionKey = Annotated[
    Secret | None,
    Field(
        description="The key that binds sessions to their clients, 32 characters or more, for all of several gateways; "
        "without it, one is made in the state folder."
    ),
]


def key(secret: Secret) -> bytes:
    """The key in a secret. Raises: SettingsError (missing, or too short)."""
    text = secret.read()
    if len(text) < KEY_CHARACTERS:
        raise SettingsError(
            f"session_key is shorter than {KEY_CHARACTERS} characters.", hint="Make one: openssl rand -hex 32."
        )
    return text.encode()


def unshared(given: Mapping[str, Any]) -> Iterator[Problem]:
    """What in these settings, of whatever types, several gateways cannot share."""
    replicas = given.get("replicas")
    if replicas not in ("several", "sticky"):
        return
    if given.get("redis") is None:
        yield Problem(
            ("replicas",), "needs redis", "counters, approvals and used states in a state folder are one gateway's"
        )
    if given.get("session_key") is None:
        yield Problem(("replicas",), "needs session_key", "else a session of one gateway is unknown to the others")
    servers = given.get("servers")
    for name, server in servers.items() if isinstance(servers, dict) and replicas == "several" else ():
        if not isinstance(server, dict):
            continue
        if server.get("url") is None:
            yield Problem(
                ("servers", name),
                "is started by each gateway for itself, and so are its sessions",
                "replicas: sticky, where a client always reaches the same gateway",
            )
        elif server.get("transport") != "http":
            yield Problem(
                ("servers", name, "transport"),
                "must be http with replicas: several",
                "the older transport keeps its sessions in one gateway",
            )
