"""A call of a tool that its grant does not see, answered as one of a tool that does not exist. Pure; asks no policy.

Source: mcp-gateway.md G31, G42.
"""

from collections.abc import Mapping, Sequence

from sidecar.core import denial, era, messages
from sidecar.core.decision import DEFAULT_DENY, HIDDEN, INVALID_ARGUMENTS
from sidecar.core.inventory import Inventory
from sidecar.core.jsonrpc import INVALID_PARAMS, Request
from sidecar.core.messages import ToolCall
from sidecar.errors import ProtocolError, UnusualName

_NOTHING_LISTED = Inventory()


def is_unseen(rule: str, *, listed: bool, callable_only: bool) -> bool:
    """Whether a denial by this rule is of a tool that is not in the grant's list.

    `listed`: the server lists it. `callable_only`: the grant's list leaves out what the default denies.
    """
    if rule == DEFAULT_DENY:
        return callable_only or not listed
    return rule == HIDDEN or (rule == INVALID_ARGUMENTS and not listed)


def answer(call: ToolCall) -> tuple[int, bytes]:
    """The HTTP status and the error for a tool that does not exist."""
    text = f"Unknown tool: {call.tool}"
    return denial.status(INVALID_PARAMS, modern=call.modern), denial.error(call.id_raw, INVALID_PARAMS, text)


def of_no_tool(
    request: Request, headers: Mapping[bytes, Sequence[bytes]] | None, refusal: ProtocolError
) -> ToolCall | ProtocolError:
    """What this refused call would be of a tool that no server lists: a call that is judged, or refused all the same.

    `headers` as for `era.read`, or None on stdio.
    """
    try:
        envelope = era.read_line(request) if headers is None else era.read(request, headers, _NOTHING_LISTED)
        call = messages.classify(request, envelope, _NOTHING_LISTED)
    except UnusualName as error:
        named = str(request.params["name"])
        return ToolCall(request.raw, request.id, request.id_raw, named, b"{}", (), None, error.modern, False)
    except ProtocolError as error:
        return error
    return call if isinstance(call, ToolCall) else refusal
