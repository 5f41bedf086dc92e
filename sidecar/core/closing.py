"""Which messages a grant that closes more than tools still lets through. Of tools themselves nothing is said here.

Source: mcp-gateway.md G17.
"""

import msgspec

from sidecar.core import splice
from sidecar.core.messages import PassThrough

_LISTEN = "subscriptions/listen"
_TOOLS = "toolsListChanged"
_OPEN = frozenset(
    {
        *("initialize", "ping", "server/discover", "logging/setLevel"),
        *("tasks/get", "tasks/list", "tasks/cancel", "tasks/result"),
        *("notifications/initialized", "notifications/cancelled", "notifications/progress"),
        "notifications/roots/list_changed",
    }
)
_NOTHING = frozenset({b"false", b"null", b"[]"})
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def is_closed(message: PassThrough) -> bool:
    """Whether a message is about resources or prompts, or nobody knows what it is about.

    An answer to a question of the server's is open, and so is a subscription to changes of tools alone.
    """
    if message.method == _LISTEN:
        return not _is_about_tools(splice.get(message.raw, "params", "notifications"))
    return message.method is not None and message.method not in _OPEN


def _is_about_tools(wanted: bytes | None) -> bool:
    try:
        members = _members(wanted or b"{}")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return all(name == _TOOLS or bytes(value).strip() in _NOTHING for name, value in members.items())
