"""Bytes → Request | Notification | Response, the bytes kept. Two parsers read each message and must agree.

Knows JSON-RPC and the shape of a tool call's params; no headers, eras or policy. Source: mcp-gateway.md G1–G5.
"""

import json
import re
from typing import TypeAlias

import msgspec

from sidecar.core import strict
from sidecar.core.names import Known
from sidecar.core.strict import Json, Number
from sidecar.errors import BatchRefused, Malformed, ProtocolError

INVALID_PARAMS = -32602
TOOLS_CALL = "tools/call"
TOOLS_LIST = "tools/list"

_ENVELOPE = Known(("jsonrpc", "id", "method", "params", "result", "error"))
# fmt: off
_PARAMS = Known((
    "_meta", "argument", "arguments", "capabilities", "clientInfo", "context", "cursor", "data", "elicitationId",
    "includeContext", "inputResponses", "level", "logger", "maxTokens", "message", "messages", "metadata", "mode",
    "modelPreferences", "name", "notifications", "progress", "progressToken", "protocolVersion", "reason", "ref",
    "requestId", "requestState", "requestedSchema", "stopSequences", "systemPrompt", "task", "taskId", "temperature",
    "toolChoice", "tools", "total", "uri", "url",
))
_META = Known((
    "progressToken", "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/clientInfo", "io.modelcontextprotocol/logLevel", "io.modelcontextprotocol/subscriptionId",
    "io.modelcontextprotocol/related-task",
))
# fmt: on
_NO_PARAMS: dict[str, Json] = {}
_NO_ID = b"null"
_is_integer = re.compile(r"0|-?[1-9][0-9]{0,99}").fullmatch


class Request(msgspec.Struct, frozen=True):
    """A message that is owed an answer. `params` is `{}` when absent.

    `raw` is the whole message, `id_raw` its id as written, and `arguments_raw` the exact slice that holds the
    arguments of a tool call (`{}` when they are absent or null, or for any other method).
    """

    raw: bytes
    id: str | int
    id_raw: bytes
    method: str
    params: dict[str, Json]
    arguments_raw: bytes = b"{}"


class Notification(msgspec.Struct, frozen=True):
    """A `notifications/…` message, which nobody answers."""

    raw: bytes
    method: str
    params: dict[str, Json]


class Response(msgspec.Struct, frozen=True):
    """An answer to a request of the other side's."""

    raw: bytes
    id: str | int
    is_error: bool


Message: TypeAlias = Request | Notification | Response


class _Params(msgspec.Struct):
    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"null")


class _Call(msgspec.Struct):
    id: msgspec.Raw
    method: str
    params: _Params


class _Request(msgspec.Struct):
    id: msgspec.Raw
    method: str


_read_call = msgspec.json.Decoder(_Call).decode
_read_request = msgspec.json.Decoder(_Request).decode


def parse(body: bytes) -> Message:
    """The one message in these bytes.

    Raises: Malformed (-32700 not strict JSON, -32600 not one message, -32602 params of the wrong shape),
    BatchRefused. The error carries the message's id, method and tool where they could be read.
    """
    message = strict.read(body)
    if type(message) is list:
        raise BatchRefused("Batches are not accepted: send one message per request.")
    if type(message) is not dict:
        raise Malformed("The message is not a JSON object.")
    try:
        return _message(body, message)
    except ProtocolError as error:
        _address(error, message)
        raise


def addressed(error: ProtocolError, message: Message) -> ProtocolError:
    """The error, told which parsed message it is about."""
    if isinstance(message, Request):
        name = message.params["name"] if message.method == TOOLS_CALL else ""
        return error.about(id_raw=message.id_raw, method=message.method, tool=str(name))
    return error.about(id_raw=_NO_ID, method="" if isinstance(message, Response) else message.method)


def _message(raw: bytes, message: dict[str, Json]) -> Message:
    if message.get("jsonrpc") != "2.0":
        raise Malformed('The message has no "jsonrpc": "2.0".')
    if _ENVELOPE.imitated(message.keys()):
        raise Malformed("A member of the message has a name that only looks like a known one.")
    if "method" not in message:
        return _response(raw, message)
    method = message["method"]
    if type(method) is not str or "result" in message or "error" in message:
        raise Malformed("The message is neither a request nor a response.")
    params = message.get("params", _NO_PARAMS)
    if type(params) is not dict:
        raise Malformed("The message's params are not an object.", rpc_code=INVALID_PARAMS)
    meta = params.get("_meta")
    if _PARAMS.imitated(params.keys()) or (type(meta) is dict and _META.imitated(meta.keys())):
        raise Malformed("A member of the params has a name that only looks like a known one.")
    if "id" in message:
        return _request(raw, _id(message["id"]), method, params)
    if not method.startswith("notifications/"):
        raise Malformed("The message has no id, and its method is not a notification.")
    return Notification(raw, method, params)


def _request(raw: bytes, id: str | int, method: str, params: dict[str, Json]) -> Request:
    try:
        if method != TOOLS_CALL:
            read = _read_request(raw)
            if read.method == method:
                return Request(raw, id, bytes(read.id), method, params)
        else:
            _check_call(params)
            call = _read_call(raw)
            if call.method == method and call.params.name == params["name"]:
                arguments = bytes(call.params.arguments)
                return Request(raw, id, bytes(call.id), method, params, b"{}" if arguments == b"null" else arguments)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    raise Malformed("The message reads differently to two parsers.", rpc_code=strict.PARSE_ERROR)


def _check_call(params: dict[str, Json]) -> None:
    if type(params.get("name")) is not str:
        raise Malformed("The tool call has no name.", rpc_code=INVALID_PARAMS)
    arguments = params.get("arguments")
    if arguments is not None and type(arguments) is not dict:
        raise Malformed("The arguments of the tool call are not an object.", rpc_code=INVALID_PARAMS)


def _response(raw: bytes, message: dict[str, Json]) -> Response:
    if ("result" in message) == ("error" in message):
        raise Malformed("The message needs exactly one of method, result and error.")
    return Response(raw, _id(message.get("id")), "error" in message)


def _id(value: Json) -> str | int:
    if type(value) is str:
        return value
    if type(value) is Number and _is_integer(value.text):
        return int(value.text)
    raise Malformed("The message's id is neither a string nor an integer.")


def _address(error: ProtocolError, message: dict[str, Json]) -> None:
    """Tells an error what could be read of the message it is about."""
    try:
        id_raw = json.dumps(_id(message.get("id"))).encode()
    except Malformed:
        id_raw = _NO_ID
    method, params = message.get("method"), message.get("params")
    tool = params.get("name") if method == TOOLS_CALL and isinstance(params, dict) else ""
    error.about(
        id_raw=id_raw, method=method if isinstance(method, str) else "", tool=tool if isinstance(tool, str) else ""
    )
