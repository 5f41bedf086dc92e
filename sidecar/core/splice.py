"""Members of a JSON object read and replaced in place: every other value keeps its bytes. Pure."""

from typing import Any

import msgspec

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def get(text: bytes | msgspec.Raw, *path: str) -> bytes | None:
    """The bytes of the value at a path of member names, or None where there is none."""
    value: bytes | msgspec.Raw = text
    for name in path:
        try:
            found = _members(value).get(name)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        if found is None:
            return None
        value = found
    return bytes(value)


def put(text: bytes | msgspec.Raw, path: tuple[str, ...], value: bytes) -> bytes:
    """The text with the value at an existing path replaced. Raises: KeyError, msgspec.MsgspecError."""
    members = _members(text)
    name, *deeper = path
    members[name] = msgspec.Raw(put(members[name], tuple(deeper), value) if deeper else value)
    return msgspec.json.encode(members)


def scalar(text: bytes | None) -> Any:
    """The string or integer that the text is, else None."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=int | str)
    except (msgspec.MsgspecError, ValueError):
        return None
