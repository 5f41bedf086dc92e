"""What a client is sent while a call waits for a person: a form, a reason to wait, signs of life. And its answer, read.

Pure. Forms are flat and name a tool and its argument keys, never values. Source: mcp-gateway.md G33–G36, G39.
"""

import re
from collections.abc import Sequence

import msgspec

from sidecar.core import splice
from sidecar.core.era import CAPABILITIES_KEY
from sidecar.core.rounds import OWN_KEY

_KEYS = 10
_OLDEST_PROGRESS = -1_000_000
_UNUSUAL = "(an unusual name)"
_SCHEMA = {
    "type": "object",
    "required": ["decision"],
    "properties": {"decision": {"type": "string", "title": "Decision", "enum": ["approve", "deny"]}},
}
_is_plain = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_json = msgspec.json.Encoder().encode


class _Content(msgspec.Struct):
    decision: str


class _Answer(msgspec.Struct):
    action: str
    content: _Content


_decode = msgspec.json.Decoder(_Answer).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def takes_forms(elicitation: bytes | None) -> bool:
    """Whether a client that declares this of elicitation can be shown a form; nothing in it means that it can."""
    try:
        declared = _members(elicitation or b"null")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return not declared or "form" in declared


def request_takes_forms(raw: bytes) -> bool:
    """Whether a modern request's own capabilities say so."""
    return takes_forms(splice.get(raw, "params", "_meta", CAPABILITIES_KEY, "elicitation"))


def session_takes_forms(raw: bytes) -> bool:
    """Whether this is an `initialize` whose capabilities say so, for all of its session."""
    if splice.scalar(splice.get(raw, "method")) != "initialize":
        return False
    return takes_forms(splice.get(raw, "params", "capabilities", "elicitation"))


def is_granted(answer: bytes | None) -> bool:
    """Whether an elicitation's result approves; everything else does not."""
    try:
        read = _decode(answer or b"null")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return read.action == "accept" and read.content.decision == "approve"


def text(policy: str, tool: str, keys: Sequence[str]) -> str:
    """What the form says. What could be read as a link, or as something else than a name, is not shown."""
    named = [key if _is_plain(key) else _UNUSUAL for key in keys[:_KEYS]]
    if len(keys) > _KEYS:
        named.append("and more")
    what = f"{tool if _is_plain(tool) else _UNUSUAL} (arguments: {', '.join(named) or 'none'})"
    return f"Policy {policy} asks you to confirm: {what}."


def legacy_form(request_id: str, message: str) -> bytes:
    """The gateway's own request to a legacy client. `mode` is left out, so that 2025-06-18 takes it."""
    params = {"message": message, "requestedSchema": _SCHEMA}
    return _json({"jsonrpc": "2.0", "id": request_id, "method": "elicitation/create", "params": params})


def modern_form(id_raw: bytes, state: str, message: str) -> bytes:
    """The answer that has a modern client ask its user, and come again."""
    params = {"mode": "form", "message": message, "requestedSchema": _SCHEMA}
    asked = _json({OWN_KEY: {"method": "elicitation/create", "params": params}})
    return _result(id_raw, b'"inputRequests":%b,"requestState":%b' % (asked, _json(state)))


def come_again(id_raw: bytes, state: str) -> bytes:
    """The answer that has a modern client come again by itself."""
    return _result(id_raw, b'"requestState":%b' % _json(state))


def progress(raw: bytes, number: int, message: str) -> bytes | None:
    """The `number`-th sign of life for a legacy request that asked for progress, or None where it did not.

    Progress has to increase, and the server will begin near 0: so it is negative.
    """
    token = splice.scalar(splice.get(raw, "params", "_meta", "progressToken"))
    if token is None:
        return None
    params = {"progressToken": token, "progress": _OLDEST_PROGRESS + number, "message": message}
    return _json({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})


def _result(id_raw: bytes, members: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":%b,"result":{"resultType":"input_required",%b}}' % (id_raw, members)
