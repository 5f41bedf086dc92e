"""A call in a file, for a tool that asks what would become of it. Reads the file; judges nothing.

Shape: `{"tool", "arguments", "server", "grant", "session", "at"}`, all but the tool optional; or a JSON-RPC tools/call.
"""

import json
from datetime import UTC, datetime
from typing import Literal

import msgspec

from sidecar.core.arguments import fault
from sidecar.core.messages import ToolCall
from sidecar.errors import SidecarError
from sidecar.proving.members import Malformed, members

_ABSENT = msgspec.Raw(b"{}")


class CallMalformed(SidecarError):
    """The file holds no call."""

    code = "call_malformed"
    hint = 'A call is {"tool": "name", "arguments": {…}}; also "grant", "session", "server" and "at" (RFC 3339).'


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that somebody might make. Without a time it is made now."""

    tool: str
    arguments: msgspec.Raw = _ABSENT
    server: str = ""
    grant: str = ""
    session: str | None = None
    at: datetime | None = None

    def moment(self) -> datetime:
        """When the call is made."""
        return datetime.now(UTC) if self.at is None else self.at.astimezone(UTC)

    def judged(self, arguments: bytes | None = None) -> ToolCall:
        """The call as the gateway judges it, with other arguments if they are given."""
        raw = bytes(self.arguments) if arguments is None else arguments
        raw = b"{}" if raw == b"null" else raw
        return ToolCall(b"", 1, b"1", self.tool, raw, (), fault(raw), modern=True, task=False)


class _Params(msgspec.Struct, frozen=True):
    name: str


class _Message(msgspec.Struct, frozen=True):
    jsonrpc: Literal["2.0"]
    method: Literal["tools/call"]
    params: _Params


def read(data: bytes) -> Call:
    """The call that the file holds. Raises: CallMalformed."""
    try:
        parts = members(data.decode())
        if "jsonrpc" in parts:
            params = members(parts.get("params", ""))
            arguments = _taken(params)
            message = msgspec.json.decode(_object({**parts, "params": _object(params)}), type=_Message)
            return Call(message.params.name, arguments)
        arguments = _taken(parts)
        call = msgspec.structs.replace(msgspec.json.decode(_object(parts), type=Call), arguments=arguments)
    except (Malformed, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CallMalformed(f"it holds no call: {error}") from error
    if call.at is not None and call.at.tzinfo is None:
        raise CallMalformed('it holds no call: "at" has no offset; write 2026-01-31T12:00:00Z')
    return call


def _taken(parts: dict[str, str]) -> msgspec.Raw:
    """The arguments, as they are written and whatever is wrong with them; no longer among the parts."""
    return msgspec.Raw(parts.pop("arguments", "{}").encode())


def _object(parts: dict[str, str]) -> str:
    return f"{{{','.join(f'{json.dumps(name)}:{text}' for name, text in parts.items())}}}"
