"""How a tool call ended, read from one message of the upstream's."""

from typing import Literal

import msgspec

Ending = Literal["result", "tool_error", "input_required", "error"]


class _Result(msgspec.Struct):
    is_error: bool = msgspec.field(default=False, name="isError")
    kind: str = msgspec.field(default="complete", name="resultType")


class _Answer(msgspec.Struct):
    id: str | int | None = None
    method: str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(_Answer).decode
_decode_result = msgspec.json.Decoder(_Result).decode


def asks(data: bytes) -> bool:
    """Whether this message is a request of the server's own, which its client may answer as it likes, or not at all."""
    if b'"method"' not in data:
        return False
    try:
        request = _decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return request.method is not None and request.id is not None


def ending(data: bytes, request_id: str | int) -> Ending | None:
    """What this message says of the call, or None when it is not the call's answer or cannot be read.

    A message with both a result and an error counts as a result: the call may have run.
    """
    try:
        answer = _decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if answer.method is not None or answer.id != request_id or type(answer.id) is not type(request_id):
        return None
    if isinstance(answer.result, msgspec.Raw):
        try:
            result = _decode_result(answer.result)
            if result.kind == "input_required":
                return "input_required"
            return "tool_error" if result.is_error else "result"
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return "result"
    return "error" if isinstance(answer.error, msgspec.Raw) else None
