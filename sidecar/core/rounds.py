"""A call of several rounds: the state in its answers and retries, put on and taken off in place. Pure; opens no seal.

Source: mcp-gateway.md G38; MCP 2026-07-28, multi round-trip requests.
"""

import msgspec

from sidecar.core import members, splice
from sidecar.core.sealed import PREFIX

OWN_KEY = "dev.regate/approval"
"""The gateway's own key in what a client is asked, and in its answers."""

_STATE = ("params", "requestState")
_ANSWERS = ("params", "inputResponses")
_RESULT = ("result", "requestState")
_NULL = b"null"


def state_in(raw: bytes) -> str | None:
    """The gateway's state in a request, or None: there is none, or it is of another's making."""
    state = splice.get(raw, *_STATE)
    if state is None or not state.startswith(b'"'):
        return None
    text: str = msgspec.json.decode(state)
    return text if text.startswith(PREFIX) else None


def answer_in(raw: bytes) -> bytes | None:
    """What a request answers to the gateway's own question."""
    return splice.get(raw, *_ANSWERS, OWN_KEY)


def own_taken_off(raw: bytes) -> bytes:
    """The request without an answer to the gateway, all else as it came. Raises: Ambiguous."""
    if answer_in(raw) is None:
        return raw
    without = members.cut(raw, (*_ANSWERS, OWN_KEY))
    return without if members.members(members.get(without, *_ANSWERS) or b"{}") else members.cut(without, _ANSWERS)


def taken_off(raw: bytes, theirs: bytes | None) -> bytes:
    """The request as the server may have it: with its own state, or none, in place of the gateway's."""
    plain = own_taken_off(raw)
    return members.cut(plain, _STATE) if theirs is None else members.put(plain, _STATE, theirs)


def theirs_in(answer: bytes) -> bytes | None:
    """The server's state in an answer that asks for input, as JSON. Raises: Ambiguous."""
    theirs = members.get(answer, *_RESULT)
    return None if theirs == _NULL else theirs


def put_on(answer: bytes, state: str) -> bytes:
    """The answer with the gateway's state in place of the server's. Raises: Ambiguous."""
    return members.put(answer, _RESULT, msgspec.json.encode(state))
