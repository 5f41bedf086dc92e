"""What an operator may set of tokens: whose are taken from clients, and what is shown to servers.

Values only; nothing here fetches a key or a token.
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StringConstraints

from sidecar.settings.values import Id, Located, Model, Secret, Word, is_loopback

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
Scope = Annotated[str, StringConstraints(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]
Claim = StrictBool | StrictInt | Annotated[str, StringConstraints(strict=True)]


def _plain(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isascii() or not url.isprintable() or set(url) & set(' "\\<>'):
        raise ValueError("must be an https:// URL")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("must hold neither credentials nor a fragment (#…)")
    return url


def _guarded(url: str) -> str:
    if url.startswith("http:") and not is_loopback(urlsplit(url).hostname or ""):
        raise ValueError("must be an https:// URL; http:// is for a loopback address only")
    return url


def _bare(url: str) -> str:
    if urlsplit(url).query:
        raise ValueError("must not have a query (?…)")
    return url.rstrip("/")


Url = Annotated[str, AfterValidator(_plain)]
GuardedUrl = Annotated[Url, AfterValidator(_guarded)]


class Rule(Model):
    """Which tokens have a right to a server, and under which policy."""

    server: str = Field(description="The server a token is good for.")
    policy: str | None = Field(description="The policy its calls are judged by; null means that every call is denied.")
    claims: dict[Word, Claim | tuple[Claim, ...]] = Field(
        default={},
        description="What a token's claims must be: `name: value`, or `name: [one, of, these]`. A claim that is a list "
        "must hold such a value. A dot leads into a claim that is a mapping.",
    )
    scope: tuple[Scope, ...] = Field(default=(), description="The scopes a token must have, all of them.")
    grant: Id | None = Field(
        default=None,
        description="The id of the one grant of all these tokens; without it, each `id_claim` has a grant of its own.",
    )
    id_claim: Word = Field(default="sub", description="The claim that tells callers apart.")
    list: Literal["hidden", "callable"] = Field(default="hidden", description="As for a grant.")
    policed_methods: Literal["tools", "all"] = Field(default="tools", description="As for a grant.")
    hidden_calls: Literal["denied", "unknown"] = Field(default="denied", description="As for a grant.")
    approval: Literal["later", "wait", "confirm"] = Field(default="later", description="As for a grant.")


class OAuth(Model):
    """An authorization server whose tokens (JWT) are taken beside those of grants."""

    issuer: GuardedUrl = Field(description="The authorization server, exactly as its tokens name it in `iss`.")
    public_url: Annotated[Url, AfterValidator(_bare)] | None = Field(
        default=None,
        description="The URL under which clients reach this gateway; by default that of the address it listens on.",
    )
    audience: tuple[Word, ...] = Field(
        default=(),
        description="What `aud` of a token must hold one of; by default the URL of the server it is shown for: "
        "`public_url` and `/mcp/NAME`.",
    )
    jwks_url: GuardedUrl | None = Field(default=None, description="Where the authorization server's keys are (JWKS).")
    jwks_file: Located | None = Field(default=None, description="A file that holds the keys (JWKS) instead.")
    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256", "ES256"), min_length=1, description="How a token may be signed."
    )
    refresh_s: float = Field(
        default=300,
        ge=10,
        le=86400,
        description="Seconds after which the keys are read again. Without an answer for 12 times as long, they are no "
        "longer believed.",
    )
    rules: tuple[Rule, ...] = Field(min_length=1, description="What tokens are good for; the first rule that fits.")


class ClientCredentials(Model):
    """Tokens for a server from its authorization server, by OAuth client credentials."""

    token_url: GuardedUrl = Field(description="The token endpoint.")
    client_id: Word = Field(description="The gateway's id there.")
    client_secret: Secret = Field(description="Its secret: `{env: VARIABLE}` or `{file: PATH}`.")
    scope: tuple[Scope, ...] = Field(default=(), description="The scopes to ask for.")
    resource: Url | None = Field(default=None, description="The `resource` to ask a token for.")
    client_auth: Literal["basic", "post"] = Field(
        default="basic", description="Whether id and secret go into the Authorization header, or into the form."
    )


class Credentials(Model):
    """What is shown to a server that is a URL, and renewed: one of `env`, `file`, `command` and `oauth`."""

    env: Word | None = Field(default=None, description="The environment variable that holds the token.")
    file: Located | None = Field(default=None, description="The file that holds the token.")
    command: tuple[Word, ...] | None = Field(
        default=None, min_length=1, description="A command that prints the token, as a list. It is ended after 10 s."
    )
    oauth: ClientCredentials | None = Field(
        default=None, description="See `servers.NAME.credentials.oauth` below; the token is renewed before it expires."
    )
    header: Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")] | None = Field(
        default=None,
        description="The header that carries the token alone; by default it is `Authorization: Bearer TOKEN`.",
    )
    refresh_s: float = Field(
        default=300, ge=1, le=86400, description="Seconds after which a file is read, or a command run, again."
    )
