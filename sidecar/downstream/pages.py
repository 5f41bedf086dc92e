"""The gateway's own pages: health for anybody, status for the operator. JSON only."""

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.downstream.guard import RequestHeaders

Document = Callable[[], Awaitable[tuple[bool, Mapping[str, Any]]]]
Policy = Callable[[str], Mapping[str, Any] | None]
_POLICIES = "/policies/"


@dataclass(frozen=True, slots=True)
class Pages:
    """`/healthz` (the process answers), `/readyz` (calls can be served); for the operator `/status`, `/policies/<id>`.

    A document is (fine or not, its members); not fine is status 503. `policy` tells what is in force under an id.
    `documents` are for anybody, by their path.
    """

    ready: Document
    status: Document
    policy: Policy
    operator_token: bytes
    documents: Mapping[str, bytes] = field(default_factory=dict)

    async def page(self, path: str, headers: RequestHeaders) -> tuple[int, bytes]:
        """The status and body for one GET of a path that is no server's endpoint."""
        if path == "/healthz":
            return 200, b'{"ok":true}'
        if path == "/readyz":
            fine, members = await self.ready()
            return (200 if fine else 503), _json(members)
        if path == "/status" and self._is_operator(headers):
            _, members = await self.status()
            return 200, _json(members)
        if path.startswith(_POLICIES) and self._is_operator(headers):
            known = self.policy(path.removeprefix(_POLICIES))
            if known is not None:
                return 200, _json(known)
        if path in self.documents:
            return 200, self.documents[path]
        return 404, _json({"error": "Nothing is served here. MCP servers are at /mcp or /mcp/<server>."})

    def _is_operator(self, headers: RequestHeaders) -> bool:
        given = headers.get(b"authorization", [b""])[0]
        return hmac.compare_digest(given, b"Bearer " + self.operator_token)


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False).encode()
