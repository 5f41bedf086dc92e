"""(ToolCall, policy, grant) → the OPA input document. The arguments are spliced in as the bytes that are forwarded."""

import re
from collections.abc import Sequence

import msgspec

_json = msgspec.json.Encoder().encode
_APPROVED = b',"approval":{"state":"granted"}'
_CALLABLE = b',"list":"callable"'
_REFUSED = b',"approval":{"state":"refused"}'

_long_exponent = re.compile(rb"[eE][+-]?[0-9]{7}").search
_PIECE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*')
_is_zero = re.compile(rb"-?0(?:\.0+)?[eE].*").fullmatch


class Asker:
    """The part of every query of one grant that never changes, encoded once.

    Shape: opa.md section 2, e.g. `{"policy": "p", "server": "s", "grant": "g", "tool": "t", "args": {…}}`.
    """

    __slots__ = ("_head", "_list")

    def __init__(self, *, policy: str | None, server: str, grant: str, callable_only: bool = False) -> None:
        self._head = _json({"policy": policy, "server": server, "grant": grant})[:-1]
        self._list = _CALLABLE if callable_only else b""

    def call(
        self,
        tool: str,
        arguments: bytes,
        fault: str | None = None,
        approved: bool | None = None,
    ) -> bytes:
        """The query for one call. With a `fault` the arguments stay out and the fault goes in their place.

        `approved` is a person's answer to exactly this call: yes, no, or none (None).
        """
        judged = b',"args":' + _askable(arguments) if fault is None else b',"args_fault":' + _json(fault)
        answer = b"" if approved is None else _APPROVED if approved else _REFUSED
        return b'%b,"tool":%b%b%b}' % (self._head, _json(tool), judged, answer)

    def visible(self, tools: Sequence[str]) -> bytes:
        """The query for the visible ones among a list's names; of a grant that asks so, those that may be called."""
        return b'%b%b,"tools":%b}' % (self._head, self._list, _json(list(tools)))


def _askable(arguments: bytes) -> bytes:
    """The arguments without what OPA cannot read: a zero may have an exponent beyond any number's bounds."""
    if not _long_exponent(arguments):
        return arguments
    return _PIECE.sub(lambda piece: b"0" if _is_zero(piece[0]) else piece[0], arguments)
