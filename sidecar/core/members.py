"""Where the members of a JSON object lie in its bytes: put in, replaced and cut out in place, all else as it was. Pure.

The text is JSON already; of a member that is there twice, which not every reader takes alike, nothing is said.
"""

import json
import re
from typing import NamedTuple

import msgspec

_read = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_name = re.compile(rb'\s*[{,]\s*("[^"\\]*(?:\\.[^"\\]*)*")\s*:\s*', re.DOTALL).match


class Ambiguous(ValueError):
    """Not one object whose members have a name each."""


class Member(NamedTuple):
    """One member: its name, and where the name begins, the value begins and the value ends."""

    name: str
    begin: int
    value: int
    end: int


def members(text: bytes) -> list[Member]:
    """The members of an object, in order. Raises: Ambiguous."""
    found: list[Member] = []
    at = 0
    try:
        for name, raw in _read(text).items():
            head, value = _name(text, at), bytes(raw)
            if head is None or json.loads(head[1]) != name or not text.startswith(value, head.end()):
                raise Ambiguous
            at = head.end() + len(value)
            found.append(Member(name, head.start(1), head.end(), at))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Ambiguous from error
    if b"".join(text[at:].split()) != (b"}" if found else b"{}"):
        raise Ambiguous
    return found


def get(text: bytes, *path: str) -> bytes | None:
    """The bytes of the value at a path of member names, or None where there is none. Raises: Ambiguous."""
    for name in path:
        member = _named(text, name)
        if member is None:
            return None
        text = text[member.value : member.end]
    return text


def put(text: bytes, path: tuple[str, ...], value: bytes) -> bytes:
    """The text with this value at a path whose objects are there. Raises: Ambiguous."""
    name, *deeper = path
    member = _named(text, name)
    if member is not None:
        new = put(text[member.value : member.end], tuple(deeper), value) if deeper else value
        return text[: member.value] + new + text[member.end :]
    if deeper:
        raise Ambiguous
    brace = text.index(b"{") + 1
    comma = b"," if members(text) else b""
    return b"%b%b:%b%b%b" % (text[:brace], msgspec.json.encode(name), value, comma, text[brace:])


def cut(text: bytes, path: tuple[str, ...]) -> bytes:
    """The text without the member at a path, if there is one. Raises: Ambiguous."""
    name, *deeper = path
    found = members(text)
    index = next((index for index, member in enumerate(found) if member.name == name), None)
    if index is None:
        return text
    member = found[index]
    if deeper:
        return text[: member.value] + cut(text[member.value : member.end], tuple(deeper)) + text[member.end :]
    if index:
        return text[: found[index - 1].end] + text[member.end :]
    return text[: member.begin] + text[found[1].begin if len(found) > 1 else member.end :]


def _named(text: bytes, name: str) -> Member | None:
    return next((member for member in members(text) if member.name == name), None)
