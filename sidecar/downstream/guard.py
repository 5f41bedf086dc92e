"""What an HTTP request must be before its body is read: from an allowed place, by a grant, of the right form.

No sockets and no policy. Source: mcp-gateway.md G7–G9, G49, G54.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import _lru_cache_wrapper, lru_cache
from typing import TypeVar

from sidecar.errors import NoToken, SidecarError, StoreError, UnknownGrant, WrongServer
from sidecar.ports import Bearers, Grant, Grants

T = TypeVar("T")
RequestHeaders = Mapping[bytes, list[bytes]]

_NO_HEADER: list[bytes] = []
_JSON = b"application/json"
_EVENTS = b"text/event-stream"
_SHORT = 256


class RequestRefused(SidecarError):
    """The request's form is wrong, whatever its body says. `http_status` is the answer's status."""

    code = "request_refused"

    def __init__(self, http_status: int, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status


def too_large(limit_bytes: int) -> RequestRefused:
    """The refusal of a body over the limit."""
    return RequestRefused(413, f"The body is larger than {limit_bytes} bytes.")


@dataclass(frozen=True, slots=True)
class Guard:
    """The checks every request passes, in the order in which they are made.

    `hosts` are names without a port, lower-case, or `*`; `origins` are whole origins. Without `grants` there is no
    authentication and `anybody` maps a server to the grant that every caller has. `bearers` knows the tokens that no
    grant of ours has, if any are taken.
    """

    hosts: Collection[str]
    origins: Collection[str]
    grants: Grants | None
    anybody: Mapping[str, Grant]
    body_limit_bytes: int
    bearers: Bearers | None = None

    def place(self, headers: RequestHeaders) -> None:
        """Host and Origin are ours (DNS rebinding, foreign pages). Raises: RequestRefused (421, 403)."""
        host = self.host(headers)
        for origin in headers.get(b"origin", _NO_HEADER):
            if origin.decode("latin-1") not in self.origins and not self._is_own(origin, host):
                raise RequestRefused(403, "This Origin is not allowed; add it to allowed_origins.")

    def host(self, headers: RequestHeaders) -> bytes:
        """The Host, which is ours. Raises: RequestRefused (421)."""
        host = headers.get(b"host", _NO_HEADER)
        if len(host) != 1 or not ("*" in self.hosts or _short(host_name, host[0]) in self.hosts):
            raise RequestRefused(421, "This Host is not served here; add it to allowed_hosts.")
        return host[0]

    def grant(self, headers: RequestHeaders, server: str) -> Grant:
        """The caller's grant for this server. Raises: GrantError (KeysAwaited: `settle` first), StoreError."""
        if self.grants is None:
            return self.anybody[server]
        given = headers.get(b"authorization", _NO_HEADER)
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        token = token.strip()
        if scheme.lower() != b"bearer" or not token:
            raise NoToken("A bearer token is required.")
        grant = self.grants.resolve(token)
        if grant is None and self.bearers is not None:
            return self.bearers.resolve(token, server)
        if grant is None:
            raise UnknownGrant("This token is not valid.")
        if grant.server != server:
            raise WrongServer("This token is for another server.")
        return grant

    def edition(self) -> int | None:
        """While this stays the same, so does every `grant`; None: nothing is promised."""
        if self.bearers is not None:
            return None
        try:
            return 0 if self.grants is None else self.grants.edition()
        except StoreError:
            return None

    async def settle(self) -> None:
        """Waits for what `grant` needs."""
        if self.bearers is not None:
            await self.bearers.settle()

    def length(self, length: bytes | None) -> None:
        """The length that the head announces. Raises: RequestRefused (413)."""
        if length is not None and (not length.isdigit() or int(length[:20]) > self.body_limit_bytes):
            raise too_large(self.body_limit_bytes)

    def form(self, method: str, headers: RequestHeaders) -> None:
        """Method, Upgrade, Expect, encodings and types. Raises: RequestRefused (405, 400, 417, 415, 406)."""
        if method not in ("POST", "GET", "DELETE"):
            raise RequestRefused(405, "Only POST, GET and DELETE are served here.")
        if b"upgrade" in headers:
            raise RequestRefused(400, "Upgrade is not supported.")
        if b"expect" in headers:
            raise RequestRefused(417, "Expect is not supported.")
        if method == "GET" and not _accepts(headers, _EVENTS):
            raise RequestRefused(406, "Accept must name text/event-stream.")
        if method == "POST":
            _post(headers)

    def _is_own(self, origin: bytes, host: bytes) -> bool:
        """Whether a page is from the very place it calls. Where any Host is served, that proves nothing."""
        return "*" not in self.hosts and origin in (b"http://" + host, b"https://" + host)


def _post(headers: RequestHeaders) -> None:
    content_type = headers.get(b"content-type", _NO_HEADER)
    if len(content_type) != 1 or not _short(_is_json, content_type[0]):
        raise RequestRefused(415, "Content-Type must be application/json, in UTF-8.")
    if headers.get(b"content-encoding", [b"identity"]) != [b"identity"]:
        raise RequestRefused(415, "Content-Encoding is not supported.")
    if not (_accepts(headers, _JSON) and _accepts(headers, _EVENTS)):
        raise RequestRefused(406, "Accept must name application/json and text/event-stream.")


def _short(read: "_lru_cache_wrapper[T]", value: bytes) -> T:
    """What `read` makes of a header's value, looked up if that is short: clients send few different ones."""
    return read(value) if len(value) <= _SHORT else read.__wrapped__(value)


@lru_cache(maxsize=256)
def host_name(host: bytes) -> str:
    """The host without its port."""
    name = host.decode("latin-1").lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


@lru_cache(maxsize=256)
def _is_json(content_type: bytes) -> bool:
    """Whether a reader of this type reads what we read: another charset, such as UTF-7, would make it another call."""
    essence, *parameters = (part.strip().lower() for part in content_type.split(b";"))
    return essence == b"application/json" and parameters in ([], [b"charset=utf-8"], [b'charset="utf-8"'])


def _accepts(headers: RequestHeaders, wanted: bytes) -> bool:
    return any(wanted in _short(_named, value) for value in headers.get(b"accept", _NO_HEADER))


@lru_cache(maxsize=256)
def _named(accept: bytes) -> frozenset[bytes]:
    """Which of our two types an Accept header names."""
    named = {part.partition(b";")[0].strip() for part in accept.lower().split(b",")}
    return frozenset(
        wanted for wanted in (_JSON, _EVENTS) if named & {wanted, wanted.partition(b"/")[0] + b"/*", b"*/*"}
    )
