"""The canonical hash of (server, grant, tool, arguments) that an approval is bound to.

Not RFC 8785: that rounds numbers, and 2^53 and 2^53+1 would share an approval.
Source: policy-semantics section 8.
"""

import hashlib
import json
from decimal import Decimal


def fingerprint(server: str, grant: str, tool: str, arguments: bytes) -> str:
    """The SHA-256, in hex, of the call's canonical form.

    `arguments` has passed `core.strict`: one JSON object without duplicate names, surrogates or odd numbers.
    """
    parsed = json.loads(arguments, parse_float=_number, parse_int=_number)
    text = "[" + ",".join(_canonical(part) for part in (server, grant, tool, parsed)) + "]"
    return hashlib.sha256(text.encode()).hexdigest()


class _Number(str):
    """A number in its canonical form."""

    __slots__ = ()


def _canonical(value: object) -> str:
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        return "{" + ",".join(f"{_string(name)}:{_canonical(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return _string(value)


def _string(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(text: str) -> _Number:
    if text.isdigit():
        return _written("", text, 0)
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    return _written("-" * sign, "".join(map(str, digits)).lstrip("0"), exponent)


def _written(sign: str, digits: str, exponent: int) -> _Number:
    significant = digits.rstrip("0")
    return _Number(f"{sign}{significant}e{exponent + len(digits) - len(significant)}" if significant else "0")
