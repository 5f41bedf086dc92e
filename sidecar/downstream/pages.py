"""The gateway's own pages: health for anybody, status for the operator, metrics for whoever may. No MCP."""

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.downstream.guard import RequestHeaders
from sidecar.downstream.request import Whole

Document = Callable[[], Awaitable[tuple[bool, Mapping[str, Any]]]]
Policy = Callable[[str], Mapping[str, Any] | None]
Metrics = Callable[[], Awaitable[bytes]]
_POLICIES = "/policies/"
_JSON = (b"content-type", b"application/json")
_ANY_ORIGIN = (b"access-control-allow-origin", b"*")
_TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Pages:
    """`/healthz` (the process answers), `/readyz` (calls can be served), `/readyz/servers` (by those beside it too).

    For the operator there are `/status` and `/policies/<id>`.

    A document is (fine or not, its members); not fine is status 503. `policy` tells what is in force under an id.
    `documents` are for anybody, by their path, and for pages of any origin. `metrics` are for the operator and who has
    `metrics_token`; where that is None, for anybody at an address that is private.
    """

    ready: Document
    status: Document
    policy: Policy
    operator_token: bytes
    documents: Mapping[str, bytes] = field(default_factory=dict)
    metrics: Metrics | None = None
    metrics_token: bytes | None = None
    ready_servers: Document | None = None

    async def answer(self, path: str, headers: RequestHeaders, *, is_private: bool = False) -> Whole:
        """The whole answer to one GET of a path that is no server's endpoint."""
        if path == "/metrics" and self.metrics is not None and self._may_measure(headers, is_private):
            return 200, [_TEXT], await self.metrics()
        status, body = await self.page(path, headers)
        return status, [_JSON, _ANY_ORIGIN] if path in self.documents else [_JSON], body

    async def page(self, path: str, headers: RequestHeaders) -> tuple[int, bytes]:
        """The status and body for one GET of a path that is no server's endpoint."""
        if path == "/healthz":
            return 200, b'{"ok":true}'
        ready = {"/readyz": self.ready, "/readyz/servers": self.ready_servers}.get(path)
        if ready is not None:
            fine, members = await ready()
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

    def _may_measure(self, headers: RequestHeaders, is_private: bool) -> bool:
        if self.metrics_token is None:
            return is_private or self._is_operator(headers)
        return _bears(headers, self.metrics_token) or self._is_operator(headers)

    def _is_operator(self, headers: RequestHeaders) -> bool:
        return _bears(headers, self.operator_token)


def _bears(headers: RequestHeaders, token: bytes) -> bool:
    given = headers.get(b"authorization", [b""])[0]
    return hmac.compare_digest(given, b"Bearer " + token)


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False).encode()
