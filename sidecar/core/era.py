"""Which era a message belongs to, and whether its headers say what its body says. Policy reads the body only.

Pure; the constants and the header codec are our own, since importing the SDK's costs two seconds at start; tests
hold them against it. Source: mcp-gateway.md G10–G15, G20, G45.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from sidecar.core import arguments
from sidecar.core.inventory import Inventory
from sidecar.core.jsonrpc import INVALID_PARAMS, TOOLS_CALL, Message, Request, Response, addressed
from sidecar.core.strict import Json, Number
from sidecar.errors import HeaderMismatch, Malformed, ProtocolError, UnsupportedVersion

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = ("2026-07-28",)
UNNAMED = "2025-03-26"
"""The revision of a legacy HTTP request that names none (G14)."""

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
NAME_KEYS = {TOOLS_CALL: "name", "prompts/get": "name", "resources/read": "uri"}
"""The member of params that `Mcp-Name` mirrors, by method."""
TASK_KEYS = dict.fromkeys(("tasks/get", "tasks/update", "tasks/cancel"), "taskId")
"""As `NAME_KEYS`, for the tasks extension (SEP-2663): not every client that speaks it sends the header."""

_VERSION = b"mcp-protocol-version"
_METHOD = b"mcp-method"
_NAME = b"mcp-name"
_ONCE = (_VERSION, _METHOD, _NAME, b"mcp-session-id", b"last-event-id")
_sentinel = re.compile(r"=\?base64\?(.*)\?=").fullmatch
_decimal = re.compile(r"-?[0-9]{1,100}(\.0{1,100})?").fullmatch
_is_plain = re.compile(r"[\x20-\x7e]*").fullmatch


class Envelope(msgspec.Struct, frozen=True):
    """The era of a message and its revision (empty where the connection, not the message, says it)."""

    modern: bool
    version: str


Headers = Mapping[bytes, Sequence[bytes]]
"""The request's headers: lower-case name → values in order."""

_LEGACY = {version.encode(): Envelope(False, version) for version in LEGACY}
_MODERN = {version.encode(): Envelope(True, version) for version in MODERN}
_UNNAMED = Envelope(False, UNNAMED)
_LINE = Envelope(False, "")


def read(message: Message, headers: Headers, inventory: Inventory) -> Envelope:
    """The envelope of a message that came over HTTP, its headers held against its body.

    Raises: HeaderMismatch, UnsupportedVersion (both only for a genuine modern request), Malformed.
    """
    try:
        meta = _meta(message)
        genuine = VERSION_KEY in meta and isinstance(message, Request)
        mismatch = HeaderMismatch if genuine else Malformed
        for name in _ONCE:
            if len(headers.get(name, ())) > 1:
                raise mismatch(f"The {name.decode()} header appears more than once.")
        if _METHOD in headers and (isinstance(message, Response) or not _said(headers, _METHOD, message.method)):
            raise mismatch("The Mcp-Method header does not match the message.")
        if isinstance(message, Request) and VERSION_KEY in meta:
            return _modern(message, meta, headers, inventory)
        return _legacy(message, meta, headers)
    except ProtocolError as error:
        raise addressed(error, message) from None


def read_line(message: Message) -> Envelope:
    """The envelope of a message that came over stdio. Raises: UnsupportedVersion, Malformed."""
    try:
        meta = _meta(message)
        if VERSION_KEY not in meta:
            return _LINE
        if isinstance(message, Request):
            _check_required(meta)
        return _known(message, meta)
    except ProtocolError as error:
        raise addressed(error, message) from None


def spoken(request: Request, inventory: Inventory) -> list[tuple[bytes, bytes]]:
    """The headers that say again what a modern request says, as its client must over HTTP (G45)."""
    pairs = [(_VERSION, str(_meta(request)[VERSION_KEY])), (_METHOD, request.method)]
    named = request.params.get(NAME_KEYS.get(request.method, ""))
    if isinstance(named, str):
        pairs.append((_NAME, named))
    if request.method == TOOLS_CALL:
        for param in inventory.header_params(str(named)):
            written = _scalar(_at(request.params.get("arguments"), param.path))
            if written is not None:
                pairs.append((param.header, written if isinstance(written, str) else written.text))
    return [(name, encode(value).encode()) for name, value in pairs]


def encode(value: str) -> str:
    """The value as a header carries it: itself, or wrapped where it would not survive the way (G12)."""
    if _is_plain(value) and value == value.strip() and not _sentinel(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def decode(header: bytes) -> str | None:
    """The value a header carries, or None where it is malformed. Inverse of `encode`."""
    try:
        text = header.decode("ascii")
        wrapped = _sentinel(text)
        if wrapped is None:
            return text if _is_plain(text) else None
        value = base64.b64decode(wrapped[1], validate=True)
        return value.decode() if base64.b64encode(value).decode() == wrapped[1] else None
    except ValueError:
        return None


def _meta(message: Message) -> dict[str, Json]:
    meta = None if isinstance(message, Response) else message.params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def _check_required(meta: dict[str, Json]) -> None:
    if not isinstance(meta[VERSION_KEY], str) or not isinstance(meta.get(CAPABILITIES_KEY), dict):
        raise Malformed(
            f"params._meta needs {VERSION_KEY} (a string) and {CAPABILITIES_KEY} (an object).", rpc_code=INVALID_PARAMS
        )


def _known(message: Message, meta: dict[str, Json]) -> Envelope:
    version = meta[VERSION_KEY]
    if version in MODERN:
        return _MODERN[str(version).encode()]
    if isinstance(message, Request):
        raise UnsupportedVersion(
            "This revision of the protocol is not supported.",
            data={"supported": list(MODERN), "requested": version},
        )
    raise Malformed("The notification names a revision that is not supported.")


def _legacy(message: Message, meta: dict[str, Json], headers: Headers) -> Envelope:
    """The envelope of a message whose body claims no revision, or of a notification."""
    if VERSION_KEY in meta:
        if not _said(headers, _VERSION, meta[VERSION_KEY]):
            raise Malformed("The notification names another revision than its header.")
        return _known(message, meta)
    versions = headers.get(_VERSION, ())
    if not versions:
        return _UNNAMED
    if versions[0] in _LEGACY:
        return _LEGACY[versions[0]]
    if versions[0] not in _MODERN:
        raise Malformed("This revision of the protocol is not supported.")
    if isinstance(message, Request):
        raise Malformed(f"params._meta needs {VERSION_KEY} and {CAPABILITIES_KEY}.", rpc_code=INVALID_PARAMS)
    if isinstance(message, Response):
        raise Malformed("In this revision a client sends no responses.")
    return _MODERN[versions[0]]


def _modern(message: Request, meta: dict[str, Json], headers: Headers, inventory: Inventory) -> Envelope:
    """Source: mcp-gateway.md G11, G12, G14."""
    _check_required(meta)
    if not _said(headers, _VERSION, meta[VERSION_KEY]):
        raise HeaderMismatch("The MCP-Protocol-Version header does not match the message.")
    if _METHOD not in headers:
        raise HeaderMismatch("The Mcp-Method header is missing.")
    key = NAME_KEYS.get(message.method)
    if key is None and _NAME in headers:
        key = TASK_KEYS.get(message.method)
    if key is not None:
        named, values = message.params.get(key), headers.get(_NAME, ())
        if (decode(values[0]) if values else None) != named or (values and named is None):
            raise HeaderMismatch(f"The Mcp-Name header does not match the message's {key}.")
    envelope = _known(message, meta)
    if message.method == TOOLS_CALL:
        _check_params(message, headers, inventory)
    return envelope


def _said(headers: Headers, name: bytes, expected: Json) -> bool:
    values = headers.get(name, ())
    return bool(values) and isinstance(expected, str) and values[0] == expected.encode()


def _check_params(message: Request, headers: Headers, inventory: Inventory) -> None:
    """Source: mcp-gateway.md G13."""
    for param in inventory.header_params(str(message.params["name"])):
        values = headers.get(param.header, ())
        written = _scalar(_at(message.params.get("arguments"), param.path))
        if (len(values) > 1) or (written is None) != (not values):
            raise HeaderMismatch(f"The {param.header.decode()} header does not match the arguments.")
        if written is not None and not _same(decode(values[0]), written, numeric=param.integer):
            raise HeaderMismatch(f"The {param.header.decode()} header does not match the arguments.")


def _at(node: Json, path: tuple[str, ...]) -> Json:
    for name in path:
        node = node.get(name) if isinstance(node, dict) else None
    return node


def _scalar(value: Json) -> str | Number | None:
    """The argument as a header can mirror it; None for what none can: absent, null, arrays and objects."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str | Number) else None


def _same(header: str | None, written: str | Number, *, numeric: bool) -> bool:
    if header is None or isinstance(written, str):
        return header == written
    if numeric and _decimal(header) and arguments.in_range(written.text):
        return Decimal(header) == Decimal(written.text)
    return header == written.text
