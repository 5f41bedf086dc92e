"""What a client is told of the tokens it needs: challenges, and where an authorization server has them. No token here.

Source: RFC 6750 section 3, RFC 9728 sections 2 to 5; mcp-gateway.md G49.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.errors import GrantError, InsufficientScope, NoToken
from sidecar.ports import Headers

WELL_KNOWN = "/.well-known/oauth-protected-resource"
_CHALLENGE = b"www-authenticate"


@dataclass(frozen=True, slots=True)
class ProtectedResources:
    """The endpoints as an authorization server knows them: `url` and a path. Without an `issuer` there is none.

    `scopes` maps the path of each endpoint to what a client should ask for.
    """

    url: str = ""
    issuer: str = ""
    scopes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def challenge(self, path: str, error: GrantError) -> Headers:
        """The WWW-Authenticate of a refusal on an endpoint's path; none where a better token is no help."""
        if error.http_status != 401 and not isinstance(error, InsufficientScope):
            return ()
        if not self.issuer:
            return ((_CHALLENGE, b"Bearer"),)
        parts = []
        scope = self.scopes[path]
        if isinstance(error, InsufficientScope):
            parts.append('error="insufficient_scope"')
            scope = error.scope
        elif not isinstance(error, NoToken):
            parts.append('error="invalid_token"')
        parts.append(f'resource_metadata="{self.url}{WELL_KNOWN}{path}"')
        if scope:
            parts.append(f'scope="{" ".join(scope)}"')
        return ((_CHALLENGE, f"Bearer {', '.join(parts)}".encode()),)

    def documents(self) -> Mapping[str, bytes]:
        """The metadata of every endpoint, by the path it is served at."""
        if not self.issuer:
            return {}
        return {WELL_KNOWN + path: self._document(path) for path in self.scopes}

    def _document(self, path: str) -> bytes:
        members: dict[str, object] = {
            "resource": self.url + path,
            "authorization_servers": [self.issuer],
            "bearer_methods_supported": ["header"],
        }
        if self.scopes[path]:
            members["scopes_supported"] = list(self.scopes[path])
        return json.dumps(members).encode()
