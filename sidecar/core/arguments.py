"""What is wrong with the arguments of a tool call, in the words of the policy. Knows no tool and no policy.

Source: policy-semantics sections 3, 4 and 15.7.
"""

import json
from collections.abc import Iterator

from sidecar.core import strict
from sidecar.core.strict import Json, Number

NOT_AN_OBJECT = "Tool arguments must be a JSON object."
DUPLICATE_KEY = "Duplicate key in tool arguments."
NUMBER_RANGE = "Number out of range in tool arguments."
TOO_DEEP = "Tool arguments are nested too deeply."
BAD_UNICODE = "Invalid Unicode in tool arguments."

_DEPTH = 128
_DIGITS = 100
_EXPONENT = 1000
_SURE_EXPONENT_DIGITS = 12


def fault_in(members: dict[str, Json]) -> str | None:
    """What is wrong with arguments that `core.strict` has read, or None."""
    odd_number = False
    depth, level = 1, list(members.values())
    while level:
        inner: list[Json] = []
        before = depth
        for value in level:
            if type(value) is Number:
                odd_number = odd_number or not in_range(value.text)
            elif type(value) is dict:
                depth = before + 1
                inner += value.values()
            elif type(value) is list:
                depth = before + 1
                inner += value
        level = inner
    if odd_number:
        return NUMBER_RANGE
    return TOO_DEEP if depth > _DEPTH else None


def fault(raw: bytes) -> str | None:
    """What is wrong with this text as arguments, or None. `null` stands for `{}`.

    Of several faults, the first in the order of the reference's list of messages.
    """
    try:
        text = raw.decode().strip(" \t\n\r")
        if not text.startswith("{"):
            return None if text == "null" else NOT_AN_OBJECT
        members, end = _scan(text, 0)
    except RecursionError:
        return TOO_DEEP
    except (StopIteration, ValueError):
        return NOT_AN_OBJECT
    if end != len(text):
        return NOT_AN_OBJECT
    if any(type(node) is _Doubled for node in _objects(members)):
        return DUPLICATE_KEY
    return fault_in(members) or (None if _encodes(members) else BAD_UNICODE)


def reaches_prototype(members: dict[str, Json]) -> bool:
    """Whether any object has a member `__proto__`: copied by assignment in JavaScript, its values appear as members."""
    return any("__proto__" in node for node in _objects(members))


def in_range(text: str) -> bool:
    """Whether a JSON number has at most 100 significant digits and a scientific exponent of at most ±1000."""
    if len(text) <= _DIGITS and "e" not in text and "E" not in text:
        return True
    mantissa, _, exponent = text.replace("E", "e").partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return True
    size = exponent.lstrip("+-").lstrip("0")
    if len(size) > _SURE_EXPONENT_DIGITS or len(digits.rstrip("0")) > _DIGITS:
        return False
    written = int(size or "0") * (-1 if exponent.startswith("-") else 1)
    return abs(written + len(digits) - len(fraction) - 1) <= _EXPONENT


def _objects(members: dict[str, Json]) -> Iterator[dict[str, Json]]:
    """The object and every one inside it."""
    waiting: list[Json] = [members]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _encodes(members: dict[str, Json]) -> bool:
    try:
        json.dumps(members, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True


class _Doubled(dict[str, Json]):
    """An object with a member name that occurs twice."""


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _Doubled(members)


def _constant(name: str) -> Json:
    raise ValueError(name)


_scan = strict.scanner(_object, _constant)
