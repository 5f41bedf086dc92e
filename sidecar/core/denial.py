"""What a client is told instead of an answer: tool results and JSON-RPC errors. Decides nothing.

Source: mcp-gateway.md G16, G29–G31, G42; policy-semantics section 12.
"""

from collections.abc import Mapping

import msgspec

DENIED = 40301
UNAVAILABLE = 50301
META_KEY = "dev.regate/decision"

_STATUS = {-32601: 404, -32700: 400, -32600: 400, -32602: 400, -32020: 400, -32021: 400, -32022: 400}
_LEGACY_STATUS = {-32700: 400, -32600: 400}
_json = msgspec.json.Encoder().encode


def text(message: str) -> str:
    """The message as clients see it."""
    return f"[POLICY DENIED] {message}"


def result(id_raw: bytes, message: str, meta: Mapping[str, object], *, modern: bool) -> bytes:
    """A denial as the result of the tool call. Members of `meta` that are None are left out.

    Shape: `meta` holds outcome, rule and, where they apply, policy (`id@revision`), retry_at and approval.
    """
    told = {name: value for name, value in meta.items() if value is not None}
    kind = b'"resultType":"complete",' if modern else b""
    return b'{"jsonrpc":"2.0","id":%b,"result":{%b"content":[{"type":"text","text":%b}],"isError":true,"_meta":%b}}' % (
        id_raw,
        kind,
        _json(text(message)),
        _json({META_KEY: told}),
    )


def error(id_raw: bytes, code: int, message: str, data: Mapping[str, object] | None = None) -> bytes:
    """A JSON-RPC error. An unknown id (`null`) is left out, as the protocol's schema wants it."""
    body: dict[str, object] = {"code": code, "message": message}
    if data is not None:
        body["data"] = data
    id_member = b"" if id_raw == b"null" else b'"id":%b,' % id_raw
    return b'{"jsonrpc":"2.0",%b"error":%b}' % (id_member, _json(body))


def status(rpc_code: int, *, modern: bool) -> int:
    """The HTTP status that goes with an error's code. In the legacy era 404 would mean that the session is gone."""
    return (_STATUS if modern else _LEGACY_STATUS).get(rpc_code, 200)
