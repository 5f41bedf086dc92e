"""A parsed message → ToolCall | ToolList | PassThrough. Refuses names that only look like policed ones.

Asks no policy. Source: mcp-gateway.md G5, G6, G17, G54; policy-semantics section 4.
"""

from itertools import islice
from typing import TypeAlias

import msgspec

from sidecar.core import arguments
from sidecar.core.era import Envelope
from sidecar.core.inventory import Inventory
from sidecar.core.jsonrpc import INVALID_PARAMS, TOOLS_CALL, TOOLS_LIST, Message, Request, Response, addressed
from sidecar.core.names import bare_method, is_tool_name
from sidecar.errors import Malformed, ProtocolError, UnusualName

METHOD_NOT_FOUND = -32601
KEYS = 64
KEY_LENGTH = 128
_METHOD_LENGTH = 256
_POLICED = frozenset({TOOLS_CALL, TOOLS_LIST})
# fmt: off
_HARMLESS = frozenset((
    "completion/complete", "initialize", "logging/setLevel", "ping", "prompts/get", "prompts/list", "resources/list",
    "resources/read", "resources/subscribe", "resources/templates/list", "resources/unsubscribe", "server/discover",
    "subscriptions/listen", "tasks/cancel", "tasks/get", "tasks/list", "tasks/result",
))
# fmt: on


class ToolCall(msgspec.Struct, frozen=True):
    """One tools/call to be judged.

    `raw` is the whole message and `arguments_raw` the exact slice of it that holds the arguments (`{}` when absent or
    null). `argument_keys` are the first 64 names in there, each cut to 128 characters. `arguments_fault` is what
    policy has to say of them before any rule. `task`: the caller expects a task (G30). `resumes`: it carries a state or
    answers, as a retry does (G38).
    """

    raw: bytes
    id: str | int
    id_raw: bytes
    tool: str
    arguments_raw: bytes
    argument_keys: tuple[str, ...]
    arguments_fault: str | None
    modern: bool
    task: bool
    resumes: bool = False


class ToolList(msgspec.Struct, frozen=True):
    """One tools/list, whose answer is to be filtered."""

    raw: bytes
    id: str | int
    id_raw: bytes
    modern: bool


class PassThrough(msgspec.Struct, frozen=True):
    """Anything else. Without `id` a notification, without `method` an answer to the other side's request."""

    raw: bytes
    id: str | int | None
    id_raw: bytes
    method: str | None
    modern: bool


Judged: TypeAlias = ToolCall | ToolList | PassThrough


def classify(message: Message, envelope: Envelope, inventory: Inventory) -> Judged:
    """What is to be done about a message.

    Raises: Malformed (-32601 a look-alike of a policed method; -32602 a tool name or argument name that only looks
    like an advertised one).
    """
    try:
        if isinstance(message, Request):
            if message.method == TOOLS_CALL:
                return _tool_call(message, envelope.modern, inventory)
            if message.method == TOOLS_LIST:
                return ToolList(message.raw, message.id, message.id_raw, envelope.modern)
            _check_method(message.method, modern=envelope.modern)
            return PassThrough(message.raw, message.id, message.id_raw, message.method, envelope.modern)
        if isinstance(message, Response):
            return PassThrough(message.raw, message.id, b"null", None, envelope.modern)
        return PassThrough(message.raw, None, b"null", message.method, envelope.modern)
    except ProtocolError as error:
        raise addressed(error, message) from None


def _tool_call(request: Request, modern: bool, inventory: Inventory) -> ToolCall:
    params = request.params
    tool = str(params["name"])
    if not is_tool_name(tool) and not inventory.advertised(tool):
        raise UnusualName("The tool's name has an unusual form and is not one the server lists.", modern=modern)
    members = params.get("arguments")
    if not isinstance(members, dict):
        members = {}
    known = inventory.properties(tool)
    if known is not None and known.imitated(members.keys()):
        raise Malformed("An argument has a name that only looks like a known one.", rpc_code=INVALID_PARAMS)
    if (b"__proto__" in request.raw or b"\\u" in request.raw) and arguments.reaches_prototype(params):
        raise Malformed("A tool call must not name __proto__.", rpc_code=INVALID_PARAMS)
    return ToolCall(
        request.raw,
        request.id,
        request.id_raw,
        tool,
        request.arguments_raw,
        tuple([key[:KEY_LENGTH] for key in islice(members, KEYS)]),
        arguments.fault_in(members),
        modern,
        not modern and params.get("task") is not None,
        modern and ("requestState" in params or "inputResponses" in params),
    )


def _check_method(method: str, *, modern: bool) -> None:
    if method not in _HARMLESS and (len(method) > _METHOD_LENGTH or bare_method(method) in _POLICED):
        raise Malformed(
            "The method is overlong or only looks like a known one.",
            rpc_code=METHOD_NOT_FOUND,
            http_status=404 if modern else 400,
        )
